"""Text with the names of its speakers, `NAME: text` or in the form of a printed play or a chat log -> scenes."""

import re
from collections.abc import Sequence

from data.readers.chat_log import chat_form, read_chat
from data.readers.play import blocks_in, find_labels, is_direction, is_heading, read_play
from data.source import Scene, Source, Utterance
from persona.errors import PersonaError
from persona.formats.folder import parse_scenes
from persona.formats.lore import without_comments

SAMPLE_CHARACTERS = 200_000
"""How much of a text is looked at to tell what it is."""

_COLON = re.compile("[:：]")
_ODD_LINE_ENDS = str.maketrans(dict.fromkeys("\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029", " "))


def looks_like_script(text: str) -> bool:
    """Whether most of a text's beginning is speech under the names of its speakers, some of whom speak again."""
    lines = _lines(text[:SAMPLE_CHARACTERS])
    if chat_form(lines):
        return True
    labels = find_labels(lines)
    colon = [who for scene in parse_scenes("\n".join(lines), "") for who, _ in scene.turns]
    speakers = max(colon, [who for who, _ in labels.values()], key=len)
    full = sum(bool(line.strip()) for line in lines)
    blocks = sum(1 for _ in blocks_in(lines))
    marked = any(who.casefold() in ("{{char}}", "{{user}}") for who in speakers)
    again = len(speakers) >= 3 and len(set(speakers)) < len(speakers)
    return (again or marked) and len(speakers) >= max(0.3 * blocks, 0.05 * full)


def read_script(text: str, name: str) -> Source:
    """The scenes of a play, a script or a chat log, by whichever form names the most speakers.

    Known are `NAME: text` and `NAME:` above its lines (`parse_scenes`), printed plays (`NAME. text`, `Name (aside).
    text`, `NAME [aside] text`, `_Name._ text`), and chats with names in angle brackets, before a dash or after a time.
    Directions within a speech stay in it; those that fill a paragraph are no speech. The place of an utterance is its
    first line. Raises `PersonaError` naming `name` when no line has a speaker.
    """
    lines = _lines(text)
    notes: list[str] = []
    start = lines[: text.count("\n", 0, SAMPLE_CHARACTERS) + 1]
    form = chat_form(start)
    if form:
        scenes = read_chat(lines, form, notes)
    elif len(find_labels(start)) > sum(len(scene.turns) for scene in parse_scenes("\n".join(start), name)):
        scenes = read_play(lines, notes)
    else:
        scenes = read_dialogue("\n".join(_prepared(lines)))
    if not scenes:
        raise PersonaError("No line of the script has a speaker.", where=name, fix='write them as "Name: text"')
    return Source("script", name, scenes=tuple(scenes), notes=notes)


def read_dialogue(text: str, first_line: int = 1) -> list[Scene]:
    """The scenes of `Name: text` lines, as `parse_scenes` reads them, each utterance with the line it begins on."""
    lines = without_comments(text).splitlines()
    scenes: list[Scene] = []
    place = 0
    for scene in parse_scenes(text, ""):
        utterances: list[Utterance] = []
        for who, said in scene.turns:
            start = said.partition("\n")[0]
            while place < len(lines) and not _begins(lines[place], who, start):
                place += 1
            utterances.append(Utterance(who, said, f"line {place + first_line}", rule="label"))
            place += 1
        scenes.append(Scene(tuple(utterances), scene.title))
    return scenes


def _begins(line: str, who: str, start: str) -> bool:
    """Whether a line is the label of a turn by `who` that starts with the line `start`."""
    found = line.find(who)
    colon = _COLON.search(line, found + len(who)) if found >= 0 else None
    return colon is not None and start.endswith(line[colon.end() :].lstrip("*_").strip())


def _lines(text: str) -> list[str]:
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").translate(_ODD_LINE_ENDS).split("\n")


def _prepared(lines: Sequence[str]) -> list[str]:
    """Lines for `parse_scenes`: act and scene headings with a `##`, paragraphs that are directions made empty."""
    prepared = list(lines)
    for start, end in blocks_in(lines):
        block = [line.strip() for line in lines[start:end]]
        if is_heading(block[0]):
            prepared[start] = f"## {block[0]}"
            start += 1
        elif is_direction(block):
            prepared[start:end] = [""] * (end - start)
    return prepared
