"""Texts with the marks of chat templates (ChatML, Llama, Gemma, Alpaca ...) -> turns, and who speaks in which role."""

import re
from collections.abc import Iterator

from data.source import CHARACTER, USER

SYSTEM, TOOL, BREAK = "{{system}}", "{{tool}}", "{{break}}"
"""Who "speaks" where nobody does: what the model is told, what a program says, the border of two dialogues."""

_ROLES = {
    **dict.fromkeys("user human you prompter instruction input [inst] <</sys>>".split(), USER),
    **dict.fromkeys("assistant gpt chatgpt bot bing bard model ai char response output [/inst]".split(), CHARACTER),
    **dict.fromkeys("system developer <<sys>>".split(), SYSTEM),
    **dict.fromkeys("tool function observation function_call tool_call tool_response ipython".split(), TOOL),
}
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

PERSONA = re.compile(r"^([^\n:]{1,60})'s Persona:", re.MULTILINE)
START = re.compile(r"^<START>[ \t]*$", re.MULTILINE | re.IGNORECASE)
"""In Pygmalion's old plain form: whom the text that follows describes, and where the dialogue begins."""

_START_CHARACTERS = 64 * 1024
_FIRST_MARK_BEFORE = 4_000  # characters: later ones are quoted by a text about something else

Turn = tuple[str, str]
"""(speaker, or one of `SYSTEM`, `TOOL`, `BREAK`; text)."""


def speaker_of(role: str) -> str:
    """Who speaks in a role, by any of its usual names; a name that is no role stays."""
    return _ROLES.get(role.strip().casefold(), role.strip())


def looks_like_marked(text: str) -> bool:
    """Whether a text is turns between the marks of a chat template, or a character in Pygmalion's old plain form."""
    start = text[:_START_CHARACTERS]
    persona = PERSONA.search(start, 0, _FIRST_MARK_BEFORE)
    if persona and START.search(start, persona.end()):
        return True
    first = _MARK.search(start, 0, _FIRST_MARK_BEFORE)
    roles = {speaker_of(mark[mark.lastindex or 0]) for mark in _MARK.finditer(start)} if first else set()
    return USER in roles and not roles <= {USER, SYSTEM}


def marked_turns(text: str) -> Iterator[Turn]:
    """The turns of a text, with a `BREAK` before a system turn that follows others, and between two documents."""
    marks = list(_MARK.finditer(text))
    if marks and (told := _TAG.sub("", text[: marks[0].start()]).strip()):
        yield SYSTEM, told
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    for place, (mark, stop) in enumerate(zip(marks, ends, strict=False)):
        body = text[mark.end() : stop]
        who = speaker_of(mark[mark.lastindex or 0])
        end = _END.search(body)
        if who == SYSTEM and place:
            yield BREAK, ""
        if said := body[: end.start()].strip() if end else body.strip():
            yield who, said
        if end and _BETWEEN.search(body, end.start()):
            yield BREAK, ""
