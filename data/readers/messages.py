"""Training files (OpenAI messages, ShareGPT, Alpaca, pairs, preferences, ChatML text) -> scenes of those who speak."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import cycle
from typing import Any

from data.readers.gathering import SAMPLE, Format, Gathering, headline, matches, plain, read_each
from data.readers.jsonlines import Records
from data.source import CHARACTER, USER, Source
from persona.errors import PersonaError
from persona.formats.envelope import kind_of
from persona.formats.folder import parse_scenes

LISTS = ("messages", "conversations", "conversation", "dialogue", "dialogues", "dialog", "turns", "utterances")
"""Fields that hold a dialogue as a list."""

QUESTIONS = ("prompt", "instruction", "question", "query", "user", "human", "input")
ANSWERS = ("chosen", "completion", "response", "output", "answer", "assistant", "reply")
"""Fields that together hold one exchange."""

SPEAKERS = ("speaker", "character", "character_name")
LINES = ("line", "dialogue", "utterance", "sentence", "message")
"""Fields of records that are the lines of a script."""

_SCENES = ("scene", "scene_id", "dialogue_id", "conversation_id", "chapter", "episode")
_TITLES = ("title", "scene", "topic", "id")
_CALLED = ("character", "char_name", "bot_name")
_SYSTEMS = ("system", "system_prompt")
FIELDS = frozenset(
    (*LISTS, *QUESTIONS, *ANSWERS, *SPEAKERS, *LINES, *_SCENES, *_TITLES, *_CALLED, *_SYSTEMS)
    + ("rejected", "label", "history", "text", "content", "name", "source", "provenance", "metadata")
)
"""Every field of a record that is looked at."""

SYSTEM, TOOL, BREAK = "{{system}}", "{{tool}}", "{{break}}"
"""Who "speaks" where nobody does: what the model is told, what a program says, the border of two dialogues."""

_ROLES = {
    **dict.fromkeys("user human you prompter instruction input [inst] <</sys>>".split(), USER),
    **dict.fromkeys("assistant gpt chatgpt bot bing bard model ai char response output [/inst]".split(), CHARACTER),
    **dict.fromkeys("system developer <<sys>>".split(), SYSTEM),
    **dict.fromkeys("tool function observation function_call tool_call tool_response ipython".split(), TOOL),
}
_TURN_TEXTS = ("content", "value", "text", "message", "utterance")

_MARK = re.compile(
    r"<\|im_start\|>([^\n<|]{1,60})\n"
    r"|<\|start_header_id\|>([^\n<|]{1,60})<\|end_header_id\|>"
    r"|<start_of_turn>(\w{1,20})\n"
    r"|<\|(system|user|model|assistant)\|>"
    r"|(\[/?INST\]|<</?SYS>>)"
    r"|\{\{\[(INPUT|OUTPUT|SYSTEM)\]\}\}"
    r"|^### (System|Instruction|Input|Response):"
    r"|\n\n(Human|Assistant):",
    re.MULTILINE,
)
_END = re.compile(
    r"<\|im_end\|>|<\|eot_id\|>|<end_of_turn>|<\|end\|>|<\|endoftext\|>|<\|end_of_text\|>|</s>\s*+(?:<s>|\Z)"
    r"|\{\{\[(?:INPUT|OUTPUT|SYSTEM)_END\]\}\}"
)
_BETWEEN = re.compile(r"<\|endoftext\|>|<\|end_of_text\|>|<\|begin_of_text\|>|^(?:-{3,}|={3,})[ \t]*$", re.MULTILINE)
_TAG = re.compile(r"<[^<>\s]{1,30}>")
_PERSONA = re.compile(r"^([^\n:]{1,60})'s Persona:", re.MULTILINE)
_START = re.compile(r"^<START>[ \t]*$", re.MULTILINE | re.IGNORECASE)
_START_CHARACTERS = 64 * 1024
_FIRST_MARK_BEFORE = 4_000  # characters: later ones are quoted by a text about something else

Turn = tuple[str, str]
"""(speaker, or one of `SYSTEM`, `TOOL`, `BREAK`; text)."""


def looks_like(records: Records) -> bool:
    """Whether most of the first records are dialogues of a training format, or lines of a script with a speaker each."""
    return matches(records, FORMATS) or _are_lines(records)


def read(records: Records, name: str) -> Source:
    """A scene for each record, more where a tool speaks in between; speakers are roles where they have no name."""
    return read_each(records, name, FORMATS) if matches(records, FORMATS) else _read_lines(records, name)


def has_dialogue(columns: Collection[str]) -> bool:
    """Whether a table with these columns, in lower case, holds dialogue, as far as names tell."""
    exchange = any(q in columns for q in QUESTIONS) and any(a in columns for a in ANSWERS)
    return exchange or any(key in columns for key in (*LISTS, "chosen")) or _line_fields(columns) is not None


def looks_like_marked(text: str) -> bool:
    """Whether a text is turns between the marks of a chat template, or a character in Pygmalion's old plain form."""
    start = text[:_START_CHARACTERS]
    persona = _PERSONA.search(start, 0, _FIRST_MARK_BEFORE)
    if persona and _START.search(start, persona.end()):
        return True
    first = _MARK.search(start, 0, _FIRST_MARK_BEFORE)
    roles = {_who(mark[mark.lastindex or 0]) for mark in _MARK.finditer(start)} if first else set()
    return USER in roles and not roles <= {USER, SYSTEM}


def read_marked(text: str, name: str) -> Source:
    """The turns of a text with marks. A system turn, or the mark between two documents, begins a new scene."""
    out = Gathering()
    out.kinds["marked text"] += 1
    say_marked(text.replace("\r\n", "\n"), out)
    return out.source(name, ())


def say_marked(text: str, out: Gathering, called: str = CHARACTER) -> None:
    """Say what stands in a text with marks; `called` is the character's name."""
    personas = list(_PERSONA.finditer(text))
    if not personas:
        say_turns(_marked_turns(text), out, called)
    ends = [persona.start() for persona in personas[1:]] + [len(text)]
    for persona, end in zip(personas, ends, strict=False):
        body = text[persona.end() : end]
        start = _START.search(body)
        if told := plain(body[: start.start()] if start else body):
            out.systems[told] += 1
        out.characters[persona[1].strip()] += 1
        for scene in parse_scenes(body[start.start() :] if start else "", persona[1]):
            out.cut(scene.title)
            for speaker, said in scene.turns:
                out.say(USER if speaker.casefold() == "you" else speaker, said)


def _marked_turns(text: str) -> Iterator[Turn]:
    marks = list(_MARK.finditer(text))
    if marks and (told := _TAG.sub("", text[: marks[0].start()]).strip()):
        yield SYSTEM, told
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    for place, (mark, stop) in enumerate(zip(marks, ends, strict=False)):
        body = text[mark.end() : stop]
        who = _who(mark[mark.lastindex or 0])
        end = _END.search(body)
        if who == SYSTEM and place:
            yield BREAK, ""
        if said := body[: end.start()].strip() if end else body.strip():
            yield who, said
        if end and _BETWEEN.search(body, end.start()):
            yield BREAK, ""


def say_turns(turns: Iterable[Turn], out: Gathering, called: str = CHARACTER, rejected: Iterable[str] = ()) -> None:
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


def _who(role: str) -> str:
    return _ROLES.get(role.strip().casefold(), role.strip())


def _turns_of(value: Any, role: str, out: Gathering) -> Iterator[Turn]:
    """The turns in a text, which are `role`'s, in a message, or in a list of messages, exchanges, or texts by turns."""
    if isinstance(value, dict):
        value = [value]
    if isinstance(value, str):
        yield from _marked_turns(value) if looks_like_marked(value) else [(role, value)]
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
                yield from _turns_of(item[_field(item, ANSWERS)], CHARACTER, out)
            else:
                yield _turn(item, number, out)


def _turn(item: Mapping[str, Any], number: int, out: Gathering) -> Turn:
    role = _first(item, ("role", "from"))
    name = _first(item, ("name", "speaker", "character"))
    who = _who(role or name)
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


def _first(row: Mapping[str, Any], keys: Iterable[str]) -> str:
    """The first of the fields that is a text and not blank, or ""."""
    return next((value for key in keys if isinstance(value := row.get(key), str) and value.strip()), "")


def _begin(row: Mapping[str, Any], out: Gathering) -> str:
    """Note what a record says of its dialogue; gives what the character is called."""
    called = _first(row, _CALLED)
    out.title = headline(_first(row, _TITLES))
    out.systems.update(filter(None, [plain(_first(row, _SYSTEMS))]))
    out.characters.update(filter(None, [called]))
    return called or CHARACTER


def _list_in(row: Mapping[str, Any]) -> list[Any]:
    return next((value for key in LISTS if isinstance(value := row.get(key), list) and value), [])


def _has_list(row: Mapping[str, Any], key: str = "") -> bool:
    """Whether the record has a list of messages, and their first has `key`."""
    items = _list_in(row)
    return bool(items) and (not key or (isinstance(items[0], dict) and key in items[0]))


def _field(row: Mapping[str, Any], keys: Iterable[str]) -> str:
    """The first of the keys under which something stands, or ""."""
    return next((key for key in keys if isinstance(row.get(key), str | list | dict) and row[key]), "")


def _is_pair(row: Mapping[str, Any]) -> bool:
    return bool(_field(row, QUESTIONS) and _field(row, ANSWERS))


def _is_choice(row: Mapping[str, Any]) -> bool:
    return bool(_field(row, ("chosen",))) and "rejected" in row


def _question(row: Mapping[str, Any]) -> Any:
    """What was asked; an Alpaca `input` stands under its instruction. An empty list where nothing was."""
    key = _field(row, QUESTIONS)
    if key == "instruction" and isinstance(row[key], str):
        return "\n".join(filter(None, [row[key], _first(row, ("input",))]))
    return row[key] if key else []


def _read(row: Mapping[str, Any], out: Gathering) -> None:
    """Say a list of messages, or a question and its answer, which may be the whole dialogue, too."""
    if row.get("label") is False:
        raise PersonaError("Its label says that the answer is a bad one.")
    called, listed, before = _begin(row, out), _list_in(row), row.get("history")
    turns = list(_turns_of(before, USER, out)) if isinstance(before, list) else []
    turns += _turns_of(listed or _question(row), USER, out)
    key = _field(row, ("chosen",) if listed else ANSWERS)
    answer = list(_turns_of(row[key], CHARACTER, out)) if key else []
    is_whole = any(who in (USER, SYSTEM) for who, _ in answer[:1])
    worse = list(_turns_of(row["rejected"], CHARACTER, out)) if _field(row, ("rejected",)) else []
    say_turns(answer if is_whole else turns + answer, out, called, [text for _, text in worse[-1:]])


def _script_in(row: Mapping[str, Any]) -> str:
    """A dialogue that is one text with a name before each line, or ""."""
    text = "" if _line_fields(row) else _first(row, LISTS)
    return text if text.count(":") > 1 and "\n" in text else ""


def _read_script(row: Mapping[str, Any], out: Gathering) -> None:
    _begin(row, out)
    turns = [turn for scene in parse_scenes(_script_in(row), out.record) for turn in scene.turns]
    say_turns([(_who(speaker), text) for speaker, text in turns], out)


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
    Format("marked text", lambda row: looks_like_marked(_first(row, ("text",))), _read_text),
)


def _line_fields(row: Collection[str]) -> tuple[str, str] | None:
    """The fields of a script's line: who speaks, and what. A `name` beside a `text` may be a document's."""
    said = next((key for key in LINES if key in row), None)
    speaker = next((key for key in SPEAKERS if key in row), None)
    if said is None and speaker is not None:
        said = next((key for key in ("text", "content") if key in row), None)
    elif speaker is None and "name" in row:
        speaker = "name"
    return (speaker, said) if speaker and said else None


def _are_lines(records: Records) -> bool:
    sample = records.rows[:SAMPLE]
    return 2 * sum(_line(row) is not None for _, row in sample) > len(sample)


def _line(row: Any) -> Turn | None:
    fields = _line_fields(row) if isinstance(row, dict) else None
    if fields is None or not (isinstance(row[fields[0]], str) and isinstance(row[fields[1]], str)):
        return None
    return _who(row[fields[0]]), row[fields[1]]


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
            now = [row[key] for key in _SCENES if isinstance(row.get(key), str | int)]
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
