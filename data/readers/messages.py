"""Training files (OpenAI messages, ShareGPT, Alpaca, pairs, preferences, ChatML text) -> scenes of those who speak."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import cycle
from typing import Any

from data.readers import fields
from data.readers.gathering import SAMPLE, Format, Gathering, headline, matches, plain, read_each
from data.readers.jsonlines import Records
from data.readers.marks import BREAK, PERSONA, START, SYSTEM, TOOL, Turn, looks_like_marked, marked_turns, speaker_of
from data.source import CHARACTER, USER, Source
from persona.errors import PersonaError
from persona.formats.envelope import kind_of
from persona.formats.folder import parse_scenes

_TURN_TEXTS = ("content", "value", "text", "message", "utterance")


def looks_like(records: Records) -> bool:
    """Whether most of the first records are dialogues of a training format, or lines of a script with a speaker each."""
    return matches(records, FORMATS) or _are_lines(records)


def read(records: Records, name: str) -> Source:
    """A scene for each record, more where a tool speaks in between; speakers are roles where they have no name."""
    return read_each(records, name, FORMATS) if matches(records, FORMATS) else _read_lines(records, name)


def read_marked(text: str, name: str) -> Source:
    """The turns of a text with marks. A system turn, or the mark between two documents, begins a new scene."""
    out = Gathering()
    out.kinds["marked text"] += 1
    say_marked(text.replace("\r\n", "\n"), out)
    return out.source(name, ())


def say_marked(text: str, out: Gathering, called: str = CHARACTER) -> None:
    """Say what stands in a text with marks; `called` is the character's name."""
    personas = list(PERSONA.finditer(text))
    if not personas:
        _say_turns(marked_turns(text), out, called)
    ends = [persona.start() for persona in personas[1:]] + [len(text)]
    for persona, end in zip(personas, ends, strict=False):
        body = text[persona.end() : end]
        start = START.search(body)
        if told := plain(body[: start.start()] if start else body):
            out.systems[told] += 1
        out.characters[persona[1].strip()] += 1
        for scene in parse_scenes(body[start.start() :] if start else "", persona[1]):
            out.cut(scene.title)
            for speaker, said in scene.turns:
                out.say(USER if speaker.casefold() == "you" else speaker, said)


def _say_turns(turns: Iterable[Turn], out: Gathering, called: str = CHARACTER, rejected: Iterable[str] = ()) -> None:
    """Say the turns of one record; `called` is the character's name, `rejected` what it did not answer at the end."""
    turns = list(turns)
    title = out.title
    for number, (who, text) in enumerate(turns, 1):
        if who == BREAK:
            out.cut()
        elif who == TOOL:
            out.left_out["tools' messages"] += 1
            out.cut(title)
        elif who == SYSTEM and out.said:
            out.left_out["system messages within a dialogue"] += 1
        elif who == SYSTEM:
            out.systems.update(filter(None, [plain(text)]))
        else:
            others = rejected if number == len(turns) else ()
            out.say(called if who == CHARACTER else who, text, number, others)


def _turns_of(value: Any, role: str, out: Gathering) -> Iterator[Turn]:
    """The turns in a text, which are `role`'s, in a message, or in a list of messages, exchanges, or texts by turns."""
    if isinstance(value, dict):
        value = [value]
    if isinstance(value, str):
        yield from marked_turns(value) if looks_like_marked(value) else [(role, value)]
    elif not isinstance(value, list):
        raise PersonaError(f"Its messages are {kind_of(value)}, not a list.")
    elif all(isinstance(item, str) for item in value):
        yield from zip(cycle("AB"), value)
    else:
        for number, item in enumerate(value, 1):
            if isinstance(item, list) and len(item) == 2 and all(isinstance(text, str) for text in item):
                yield from zip((USER, CHARACTER), item, strict=True)
            elif not isinstance(item, dict):
                raise PersonaError(f"Message {number} is {kind_of(item)}, not an object.")
            elif _is_pair(item):
                yield from _turns_of(_question(item), USER, out)
                yield from _turns_of(item[fields.first_key(item, fields.ANSWERS)], CHARACTER, out)
            else:
                yield _turn(item, number, out)


def _turn(item: Mapping[str, Any], number: int, out: Gathering) -> Turn:
    role = fields.first_text(item, ("role", "from"))
    name = fields.first_text(item, ("name", "speaker", "character"))
    who = speaker_of(role or name)
    if not who:
        raise PersonaError(f"Message {number} does not say who speaks.")
    key = next((key for key in _TURN_TEXTS if item.get(key) is not None), "")
    text = _content(item.get(key), number, out)
    return (name if role and name and who not in (SYSTEM, TOOL) else who), text


def _content(content: Any, number: int, out: Gathering) -> str:
    """The text of a message, which may be in parts; a message without any calls a tool or shows a picture."""
    if isinstance(content, str):
        return content
    if content is not None and not isinstance(content, list):
        raise PersonaError(f"Message {number} has {kind_of(content)} instead of a text.")
    texts = [part.get("text") if isinstance(part, dict) else part for part in content or ()]
    kept = [text for text in texts if isinstance(text, str)]
    if len(kept) < len(texts):
        out.left_out["parts of messages that are no text"] += len(texts) - len(kept)
    return "\n".join(kept)


def _begin(row: Mapping[str, Any], out: Gathering) -> str:
    """Note what a record says of its dialogue; gives what the character is called."""
    called = fields.first_text(row, fields.CALLED)
    out.title = headline(fields.first_text(row, fields.TITLES))
    out.systems.update(filter(None, [plain(fields.first_text(row, fields.SYSTEMS))]))
    out.characters.update(filter(None, [called]))
    return called or CHARACTER


def _has_list(row: Mapping[str, Any], key: str = "") -> bool:
    """Whether the record has a list of messages, and their first has `key`."""
    items = fields.list_in(row)
    return bool(items) and (not key or (isinstance(items[0], dict) and key in items[0]))


def _is_pair(row: Mapping[str, Any]) -> bool:
    return bool(fields.first_key(row, fields.QUESTIONS) and fields.first_key(row, fields.ANSWERS))


def _is_choice(row: Mapping[str, Any]) -> bool:
    return bool(fields.first_key(row, ("chosen",))) and "rejected" in row


def _question(row: Mapping[str, Any]) -> Any:
    """What was asked; an Alpaca `input` stands under its instruction. An empty list where nothing was."""
    key = fields.first_key(row, fields.QUESTIONS)
    if key == "instruction" and isinstance(row[key], str):
        return "\n".join(filter(None, [row[key], fields.first_text(row, ("input",))]))
    return row[key] if key else []


def _read(row: Mapping[str, Any], out: Gathering) -> None:
    """Say a list of messages, or a question and its answer, which may be the whole dialogue, too."""
    if row.get("label") is False:
        raise PersonaError("Its label says that the answer is a bad one.")
    called, listed, before = _begin(row, out), fields.list_in(row), row.get("history")
    turns = list(_turns_of(before, USER, out)) if isinstance(before, list) else []
    turns += _turns_of(listed or _question(row), USER, out)
    key = fields.first_key(row, ("chosen",) if listed else fields.ANSWERS)
    answer = list(_turns_of(row[key], CHARACTER, out)) if key else []
    is_whole = any(who in (USER, SYSTEM) for who, _ in answer[:1])
    worse = list(_turns_of(row["rejected"], CHARACTER, out)) if fields.first_key(row, ("rejected",)) else []
    _say_turns(answer if is_whole else turns + answer, out, called, [text for _, text in worse[-1:]])


def _script_in(row: Mapping[str, Any]) -> str:
    """A dialogue that is one text with a name before each line, or ""."""
    text = "" if fields.line_fields(row) else fields.first_text(row, fields.LISTS)
    return text if text.count(":") > 1 and "\n" in text else ""


def _read_script(row: Mapping[str, Any], out: Gathering) -> None:
    _begin(row, out)
    turns = [turn for scene in parse_scenes(_script_in(row), out.record) for turn in scene.turns]
    _say_turns([(speaker_of(speaker), text) for speaker, text in turns], out)


def _read_text(row: Mapping[str, Any], out: Gathering) -> None:
    say_marked(row["text"].replace("\r\n", "\n"), out, _begin(row, out))


FORMATS = (
    Format("ShareGPT", lambda row: _has_list(row, "from"), _read),
    Format("messages", lambda row: _has_list(row, "role"), _read),
    Format("chosen and rejected answers", _is_choice, _read),
    Format("Alpaca", lambda row: _is_pair(row) and "instruction" in row, _read),
    Format("questions and answers", _is_pair, _read),
    Format("dialogues", _has_list, _read),
    Format("scripts", lambda row: bool(_script_in(row)), _read_script),
    Format("marked text", lambda row: looks_like_marked(fields.first_text(row, ("text",))), _read_text),
)


def _are_lines(records: Records) -> bool:
    sample = records.rows[:SAMPLE]
    return 2 * sum(_line(row) is not None for _, row in sample) > len(sample)


def _line(row: Any) -> Turn | None:
    keys = fields.line_fields(row) if isinstance(row, dict) else None
    if keys is None or not all(isinstance(row[key], str) for key in keys):
        return None
    return speaker_of(row[keys[0]]), row[keys[1]]


def _read_lines(records: Records, name: str) -> Source:
    """A script with one line in each record; a new scene begins where the number or the name of the scene changes."""
    out = Gathering(quarantined=list(records.quarantined))
    out.kinds["lines with speakers"] += 1
    scene: list[Any] = []
    for number, row in records.rows:
        out.record = records.place(number)
        line = _line(row)
        try:
            if line is None:
                raise PersonaError("It has no speaker and text.")
            now = [row[key] for key in fields.SCENES if isinstance(row.get(key), str | int)]
            if now != scene:
                out.cut(headline(" ".join(map(str, now))))
                scene = now
            if line[0] in (SYSTEM, TOOL):
                out.left_out["system and tools' messages"] += 1
            else:
                out.say(*line)
        except PersonaError as error:
            out.refuse(error.what)
    return out.source(name, records.notes)
