"""Chats that other programs save (oobabooga, Agnai, CAI Tools, Kobold Lite, PIPPA, Telegram, CoSER) -> scenes."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from data.readers.gathering import Format, Gathering, headline, matches, plain, read_each
from data.readers.jsonlines import Records
from data.readers.marks import looks_like_marked
from data.readers.messages import say_marked
from data.readers.tavern import is_pause, seconds_of
from data.source import CHARACTER, USER, Lore, Source
from persona.formats.envelope import kind_of
from persona.formats.folder import parse_scenes

TELEGRAM_GAP_HOURS = 2.0
"""After a longer silence between people who write to each other a new scene begins."""

_EXCHANGES = ("internal", "data", "visible", "data_visible")
_GREETS = "<|BEGIN-VISIBLE-CHAT|>"
"""What oobabooga writes as the user's part where the character begins."""

_BOOK_PARTS = ("plots", "conversations", "conversation")
_BOOK_DEPTH = 3
_NARRATOR = "environment"
_THOUGHT = re.compile(r"\[[^\[\]]*\]\s*")
_FIRST = 20  # items that are looked at to know a format

Object = Mapping[str, Any]


def looks_like(records: Records) -> bool:
    """Whether most of the first records are chats of one of these programs; a file of one object is one record."""
    return matches(records, FORMATS)


def read(records: Records, name: str) -> Source:
    """The scenes of all chats. A broken message is quarantined, and the next one begins a new scene."""
    return read_each(records, name, FORMATS)


def _text(row: Any, key: str) -> str:
    value = row.get(key) if isinstance(row, dict) else None
    return plain(value) if isinstance(value, str) else ""


def _list(row: Any, key: str) -> list[Any]:
    value = row.get(key) if isinstance(row, dict) else None
    return value if isinstance(value, list) else []


def _have(items: list[Any], *keys: str) -> bool:
    """Whether one of the first items is an object with all of the keys."""
    return any(isinstance(item, dict) and all(key in item for key in keys) for item in items[:_FIRST])


def _messages(items: list[Any], out: Gathering) -> Iterator[tuple[int, Object]]:
    """(number, message) of all that are objects; others are quarantined."""
    for number, item in enumerate(items, 1):
        if isinstance(item, dict):
            yield number, item
        else:
            out.refuse(f"It is {kind_of(item)}, not a message.", number)


def _say(speaker: str, text: Any, number: int, out: Gathering) -> None:
    """Say a message's text, or quarantine the message."""
    if isinstance(text, str):
        out.say(speaker, text, number)
    else:
        out.refuse(f"The message has {kind_of(text)} instead of a text.", number)


def _exchanges(row: Object) -> list[Any]:
    lists = (_list(row, key) for key in _EXCHANGES)
    return next((items for items in lists if any(isinstance(item, list) for item in items[:_FIRST])), [])


def _read_oobabooga(row: Object, out: Gathering) -> None:
    for number, pair in enumerate(_exchanges(row), 1):
        if not (isinstance(pair, list) and len(pair) == 2):
            out.refuse("It is no pair of the user's message and the answer.", number)
            continue
        if pair[0] not in ("", _GREETS):
            _say(USER, pair[0], number, out)
        if pair[1] != "":
            _say(CHARACTER, pair[1], number, out)


def _read_agnai(row: Object, out: Gathering) -> None:
    for number, message in _messages(_list(row, "messages"), out):
        role = USER if message.get("userId") else CHARACTER
        _say(_text(message, "handle") or role, message.get("msg"), number, out)


def _read_cai(row: Object, out: Gathering) -> None:
    for _, history in _messages(_list(row["histories"], "histories"), out):
        out.cut()
        for number, message in _messages(_list(history, "msgs"), out):
            source = message.get("src")
            is_human = isinstance(source, dict) and source.get("is_human") is True
            name = _text(source, "name")
            if name and not is_human:
                out.characters[name] += 1
            _say(name or (USER if is_human else CHARACTER), message.get("text"), number, out)


def _read_kobold(row: Object, out: Gathering) -> None:
    """The plain case: a story with the marks of a template, or with `Name: ` before what is said."""
    parts = [row.get("prompt"), *row["actions"]]
    story = "".join(part for part in parts if isinstance(part, str)).replace("\r\n", "\n")
    settings = row.get("savedsettings")
    if opponent := _text(settings, "chatopponent"):
        out.characters[opponent] += 1
    if looks_like_marked(story):
        return say_marked(story, out, opponent or CHARACTER)
    for scene in parse_scenes(story, out.record):
        out.cut(scene.title)
        for speaker, text in scene.turns:
            out.say(speaker, text)


def _read_pippa(row: Object, out: Gathering) -> None:
    """The greeting begins the chat where it does not yet; what describes the character is lore, its examples too."""
    name = _text(row, "bot_name")
    if name:
        out.characters[name] += 1
    about = "\n\n".join(filter(None, [_text(row, "bot_description"), _text(row, "bot_definitions")]))
    if about:
        out.lore[Lore(name, about)] = None
    greeting, talk = _text(row, "bot_greeting"), _list(row, "conversation")
    if greeting and not any(_text(message, "message") == greeting for message in talk[:1]):
        out.say(name or CHARACTER, greeting)
    for number, message in _messages(talk, out):
        speaker = USER if message.get("is_human") is True else name or CHARACTER
        _say(speaker, message.get("message"), number, out)


def _telegram_chats(row: Object) -> list[Any]:
    return [row] if "messages" in row else _list(row.get("chats"), "list")


def _is_telegram(row: Object) -> bool:
    return any(_have(_list(chat, "messages"), "type", "text", "date") for chat in _telegram_chats(row)[:_FIRST])


def _read_telegram(row: Object, out: Gathering) -> None:
    for chat in _telegram_chats(row):
        last: float | None = None
        title = headline(_text(chat, "name"))
        out.cut(title)
        for number, message in _messages(_list(chat, "messages"), out):
            if message.get("type") != "message":
                out.left_out["service messages"] += 1
            elif "forwarded_from" in message:
                out.left_out["forwarded messages"] += 1
            else:
                sent = seconds_of(message.get("date_unixtime")) or seconds_of(message.get("date"))
                if is_pause(last, sent, TELEGRAM_GAP_HOURS):
                    out.cut(title)
                last = last if sent is None else sent
                _say(_text(message, "from") or _text(message, "from_id"), _telegram_text(message), number, out)


def _telegram_text(message: Object) -> Any:
    """A text, or the texts of its parts (links, bold words) put together."""
    text = message.get("text")
    if not isinstance(text, list):
        return text
    return "".join(part if isinstance(part, str) else str(_raw(part)) for part in text)


def _raw(part: Any) -> str:
    text = part.get("text") if isinstance(part, dict) else ""
    return text if isinstance(text, str) else ""


def _is_book(row: Object, depth: int = _BOOK_DEPTH) -> bool:
    if _have(_list(row, "dialogues"), "character", "message"):
        return True
    parts = [item for key in _BOOK_PARTS for item in _list(row, key)[:_FIRST] if isinstance(item, dict)]
    return depth > 0 and any(_is_book(item, depth - 1) for item in parts)


def _read_book(row: Object, out: Gathering, depth: int = _BOOK_DEPTH) -> None:
    """Conversations of a novel's characters; what they think, in square brackets, is left out."""
    title = headline(_text(row, "topic") or _text(row, "scenario"))
    out.cut(title)
    for number, message in _messages(_list(row, "dialogues"), out):
        speaker, text = _text(message, "character"), message.get("message")
        if speaker.casefold() == _NARRATOR:
            out.left_out["narrator's messages"] += 1
            continue
        if isinstance(text, str):
            text, thoughts = _THOUGHT.subn("", text)
            out.left_out.update({"thoughts": thoughts} if thoughts else {})
        _say(speaker, text, number, out)
    for key in _BOOK_PARTS if depth else ():
        for item in _list(row, key):
            if isinstance(item, dict):
                _read_book(item, out, depth - 1)


FORMATS = (
    Format("Telegram export", _is_telegram, _read_telegram),
    Format("Agnai chat", lambda row: _have(_list(row, "messages"), "msg"), _read_agnai),
    Format("CAI Tools chats", lambda row: bool(_list(row.get("histories"), "histories")), _read_cai),
    Format("PIPPA chat", lambda row: _have(_list(row, "conversation"), "message", "is_human"), _read_pippa),
    Format("oobabooga chat", lambda row: bool(_exchanges(row)), _read_oobabooga),
    Format("Kobold Lite story", lambda row: bool(_list(row, "actions")) and "prompt" in row, _read_kobold),
    Format("CoSER dialogues", _is_book, _read_book),
)
