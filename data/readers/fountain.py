"""Screenplays in Fountain (fountain.io, version 1.1) -> scenes: a character cue and what stands under it is a speech."""

import re
from collections.abc import Iterator
from itertools import pairwise

from data.source import Scene, Source, Utterance
from persona.errors import PersonaError

SAMPLE_CHARACTERS = 100_000
_KEYS = re.compile(
    r"(?:title|credits?|authors?|written by|source|draft date|date|contact|copyright|notes|revision|format|"
    r"watermark|episode|series|font|template|language)\s*:",
    re.IGNORECASE,
)
_KEY = re.compile(r"([A-Za-z][\w ]{0,40}):\s*(.*)")
_HEADING = re.compile(r"(?:INT|EXT|EST|INT\./EXT|INT/EXT|I/E)[. ].*|\.(?=[^.\s]).*", re.IGNORECASE)
_NUMBER = re.compile(r"\s*#[\w.-]{1,20}#$")
_CUE = re.compile(r"(@?)([^()]{1,60}?)((?: ?\([^()]{0,60}\))*) ?(\^?)")
_TRANSITION = re.compile(r"[A-Z ]{1,60}TO:|FADE (?:IN|OUT)[.:]?|CUT TO BLACK[.:]?|THE END[.]?|>.*")
_STARS = re.compile(r"(?<![\\*])(\*{1,3})(?=[^\s*])([^*\n]*[^\s*\\])\1(?!\*)")
_UNDERLINES = re.compile(r"(?<![\\\w])(_{1,3})(?=[^\s_])([^_\n]*[^\s_\\])\1(?!\w)")
_ESCAPE = re.compile(r"\\([*_])")


def looks_like_fountain(text: str) -> bool:
    """Whether a text is a screenplay: character cues under scene headings or a title page, or many that return."""
    lines = _lines(text[:SAMPLE_CHARACTERS])
    cues = [cue for place in range(len(lines)) if (cue := _cue(lines, place))]
    first = next((line for line in lines if line.strip()), "")
    if len(cues) < 2 or _KEYS.match(first):
        return len(cues) >= 2
    if any(_is_heading(lines, place) for place in range(len(lines))):
        return True
    paragraphs = sum(bool(line) and not before for before, line in pairwise(["", *lines]))
    bare = [cue for cue in cues if cue[-1] not in ".:"]
    return len(bare) >= max(4, 2 * len(set(bare)), 0.3 * paragraphs)


def read_fountain(text: str, name: str) -> Source:
    """The dialogue of a screenplay, one scene for each scene heading or section; action and transitions are left out.

    Parentheticals stay in the text, in their parentheses; marks of emphasis go. Raises `PersonaError` naming `name` when
    nobody speaks.
    """
    lines = _lines(text)
    about, first = _title_page(lines)
    scenes: list[Scene] = []
    title = ""
    spoken: list[Utterance] = []
    place = first
    while place < len(lines):
        stripped = lines[place].strip()
        section = stripped.startswith("#")
        cue = None if section else _cue(lines, place)
        if section or _is_heading(lines, place):
            scenes += [Scene(tuple(spoken), title)] if spoken else []
            title, spoken = _NUMBER.sub("", stripped.lstrip("#.").strip()), []
        elif cue:
            end = next((i for i in range(place + 1, len(lines)) if not lines[i]), len(lines))
            speech = _speech(lines[place + 1 : end])
            spoken += [Utterance(cue, speech, f"line {place + 1}", rule="cue")] if speech else []
            place = end
        place += 1
    scenes += [Scene(tuple(spoken), title)] if spoken else []
    if not scenes:
        raise PersonaError(
            "Nobody speaks in this screenplay.", where=name, fix="write a name in capitals above each speech"
        )
    notes = [f"The screenplay is called {about['title']!r}."] if about.get("title") else []
    return Source("script", name, scenes=tuple(scenes), licence=about.get("copyright", ""), notes=notes)


def _lines(text: str) -> list[str]:
    """The lines without boneyard, notes and blanks at the end; two blanks alone stay, as they continue a speech."""
    printed = without(without(text.removeprefix("\ufeff"), "/*", "*/"), "[[", "]]")
    return [line.rstrip() or ("  " if line.startswith("  ") else "") for line in printed.splitlines()]


def without(text: str, opening: str, closing: str) -> str:
    """The text without what stands between two marks, its lines still counted as before; a mark that stays open stays."""
    parts: list[str] = []
    place = 0
    while (start := text.find(opening, place)) >= 0 and (end := text.find(closing, start + len(opening))) >= 0:
        parts += [text[place:start], "\n" * text.count("\n", start, end)]
        place = end + len(closing)
    return "".join(parts) + text[place:]


def _title_page(lines: list[str]) -> tuple[dict[str, str], int]:
    """(what the title page says, by key in lower case; the number of lines it takes)."""
    start = next((i for i, line in enumerate(lines) if line.strip()), len(lines))
    if start == len(lines) or not _KEYS.match(lines[start]):
        return {}, 0
    about: dict[str, str] = {}
    key = ""
    for place in range(start, len(lines)):
        line = lines[place]
        if not line.strip():
            return about, place
        found = _KEY.fullmatch(line)
        if found:
            key = found[1].strip().lower()
            about.setdefault(key, plain(found[2].strip())[:200])
        elif key and not about[key]:
            about[key] = plain(line.strip())[:200]
    return about, len(lines)


def _is_heading(lines: list[str], place: int) -> bool:
    line = lines[place].strip()
    return bool(_HEADING.fullmatch(line)) and (place == 0 or not lines[place - 1].strip())


def _cue(lines: list[str], place: int) -> str | None:
    """The name in a character cue: a line of capitals, or after `@`, below a blank line and above a full one."""
    line = lines[place].strip()
    alone = (place and lines[place - 1]) or place + 1 == len(lines) or not lines[place + 1]
    if not line or alone or line[0] in "#=!~>" or _TRANSITION.fullmatch(line) or _is_heading(lines, place):
        return None
    cue = _CUE.fullmatch(line)
    if not cue or not any(c.isalpha() for c in cue[2]) or not (cue[1] or cue[2].isupper()):
        return None
    return " ".join(plain(cue[2]).split()) or None


def _speech(lines: list[str]) -> str:
    """Dialogue as one text: parentheticals within the line, other line ends as they are."""
    pieces: list[str] = []
    for line, after_aside in _with_asides(lines):
        aside = line.startswith("(") and line.endswith(")")
        pieces.append((" " if aside or after_aside else "\n") + line.removeprefix("~").strip())
    text = plain("".join(pieces)).strip()
    return "" if re.fullmatch(r"(?:\([^()]*\)\s*)*", text) else text


def _with_asides(lines: list[str]) -> Iterator[tuple[str, bool]]:
    """(line, whether the one before it is a parenthetical) of the lines that have words."""
    before = False
    for line in lines:
        if stripped := line.strip():
            yield stripped, before
            before = stripped.startswith("(") and stripped.endswith(")")


def plain(text: str) -> str:
    """A text without marks of emphasis, `*` and `_` around words of a line; `\\*` is an asterisk."""
    return _ESCAPE.sub(r"\1", _UNDERLINES.sub(r"\2", _STARS.sub(r"\2", _STARS.sub(r"\2", text))))
