"""Printed plays, which name a speaker as `NAME.`, `Name (aside).` or `_Name_.` -> scenes."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from data.source import Scene, Utterance

_LABEL_CHARACTERS = 320
_VERSE_CHARACTERS = 60
"""Verse has shorter lines than prose that was wrapped."""

_TITLE = r"(?i:mrs?|ms|mme|mlle|dr|st|prof|rev|capt|col|lieut|lt|sergt|sgt|gen|hon|m)\."
_WORD = rf"(?:{_TITLE} ?)?[^\W_](?:[^\W_]|['’-](?=[^\W_]))*"
_NAME = rf"(?:\d{{1,2}}\.? )?{_WORD}(?:(?:, | & |,? and | ){_WORD}){{0,4}}"
_ASIDE = r"[_*]?(?:\[[^\[\]]{0,200}\]|\([^()]{0,200}\))[_*]?"
_LABEL = re.compile(
    rf"[_*]{{0,3}}(?P<name>{_NAME})[_*]{{0,2}}(?P<aside> ?{_ASIDE})?"
    r"(?P<stop>[_*]{0,2}\.[_*]{0,2}(?:\s*(?:—|–|--)|(?=\s|$)))?"
)
"""As in "NAME. text", "Name (aside). text", "_Name_. text", "NAME [aside] text", and "NAME." above its lines."""
_STOP_BEHIND_ASIDE = re.compile(r"\A(\[[^\[\]]{0,400}\]|\([^()]{0,400}\))\.(?= )")
_UNCLOSED = re.compile(r"\s*[_*]?[\[(]")
_SMALL_WORDS = re.compile(r" (?:and|of|the|de|la|von|van|to|du|di|da) ")
_ROMAN = re.compile(r"[IVXLC]+")
_NOBODY = frozenset(
    """
    act aside aloud amen ah and book but chapter come curtain end enter exeunt exit finis flourish good here how indeed
    manent manet never no nonsense nothing now o oh part pause please reenter right scene scena silence so stop thanks
    then there true volume wait well what why yes
    """.split()
)
_MOVES = re.compile(
    r"[_*\[(]{0,3}(?:R[Ee]-?)?(?:Enter|Exit|Exeunt|Manet|Manent|Flourish|Alarums?|Sennet|Curtain"
    r"|ENTER|EXIT|EXEUNT|CURTAIN)\b(?=[\s.,:_]|$)"
)
_BRACKETED = re.compile(r"\[[^\[\]]*\]|\([^()]*\)|_[^_]*_")
_ORDINAL = r"(?:[ivxlc]+|\d{1,2}|first|second|third|fourth|fifth|last|one|two|three|four|five|the \w+)"
_HEADING = re.compile(
    rf"(?:act|actus|acte|akt|aufzug|scene|scena|scaena|scène|szene|auftritt)\s+{_ORDINAL}\b.{{0,120}}"
    rf"|{_ORDINAL}\s+(?:act|scene|akt|aufzug|szene|auftritt)\b.{{0,120}}"
    r"|(?:scene|szene|scène)\s*[.:—-].{0,120}|the scene\b.{0,120}|(?:the )?(?:prologue|epilogue|induction)|scene",
    re.IGNORECASE,
)
_GUTENBERG = re.compile(r"\*{3} ?(START|END) OF (?:THE|THIS) PROJECT GUTENBERG")
_FIRST_PERSON = re.compile(
    r"\b(?:i|me|my|mine|we|us|our|ours|you|your|yours|thou|thee|thy|thine|ye|let's)\b", re.IGNORECASE
)
_ITALICS = re.compile(r"_([^_\n]*)_")

Label = tuple[str, str]
"""(name, what stands behind it on its line)."""


@dataclass(slots=True)
class _Speech:
    """What somebody says, from line `line` (counted from 0) on, a list of lines for each paragraph."""

    speaker: str
    line: int
    paragraphs: list[list[str]]

    def utterance(self) -> Utterance:
        text = _STOP_BEHIND_ASIDE.sub(r"\1", "\n".join(filter(None, map(_flow, self.paragraphs))))
        return Utterance(self.speaker, text, f"line {self.line + 1}", rule="label")


def read_play(lines: list[str], notes: list[str]) -> list[Scene]:
    """The scenes of a printed play, without what the publisher put around it; `notes` count what nobody says."""
    marks = {found[1]: number for number, line in enumerate(lines) if (found := _GUTENBERG.search(line[:200]))}
    lines = [*[""] * (marks.get("START", -1) + 1), *lines[marks.get("START", -1) + 1 : marks.get("END")]]
    labels = find_labels(lines)
    scenes: list[tuple[str, list[_Speech]]] = [("", [])]
    act = ""
    unsaid = 0
    for start, end in blocks_in(lines):
        if start not in labels and is_heading(heading := lines[start].strip()[:200]):
            act = heading if "act" in heading.casefold() else act
            scenes.append((heading if heading == act else f"{act} {heading}".strip(), []))
            start += 1
        for piece in _pieces(range(start, end), labels):
            unsaid += not _hear(lines, piece, labels.get(piece[0]), scenes[-1][1])
    if unsaid:
        notes.append(f"{unsaid:,} paragraphs that nobody is named to say were taken for stage directions.")
    people = [speech.speaker for speech in scenes[0][1]]
    if len(scenes) > 1 and len(set(people)) == len(people):
        scenes[0][1].clear()  # the list of the people of the play, each of whom it names once
    heard = ((title, [u for speech in speeches if (u := speech.utterance()).text]) for title, speeches in scenes)
    return [Scene(tuple(spoken), title) for title, spoken in heard if spoken]


def find_labels(lines: Sequence[str]) -> dict[int, Label]:
    """The label by line number, where a printed play names a speaker; empty where nothing is consistent.

    Capitals and italics mark a label wherever they stand. Plain names do where they return, and where they stand:
    below a blank line, or indented alike.
    """
    strict: dict[int, Label] = {}
    plain: dict[int, Label] = {}
    for number, line in enumerate(lines):
        found = _label(line.strip())
        if found:
            (strict if found[0] else plain)[number] = found[1:]
    counts = Counter(name for name, _ in plain.values())
    again = {number: label for number, label in plain.items() if counts[label[0]] > 1}
    if len(again) < max(3, len(strict)):
        return strict
    if sum(number == 0 or not lines[number - 1].strip() for number in again) >= 0.7 * len(again):
        plain = {number: label for number, label in plain.items() if number == 0 or not lines[number - 1].strip()}
    else:
        indent = Counter(_indent(lines[number]) for number in again).most_common(1)[0][0]
        plain = {
            number: label for number, label in (plain if indent else again).items() if _indent(lines[number]) == indent
        }
    return _abbreviated(plain) | strict


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _abbreviated(labels: dict[int, Label]) -> dict[int, Label]:
    """The labels, with the full stop kept in those that shorten another one: "Ham." beside "Hamlet"."""
    names = sorted({name for name, _ in labels.values()})
    short = {name for name, longer in pairwise(names) if longer.startswith(name)}
    return {number: (f"{name}." if name in short else name, rest) for number, (name, rest) in labels.items()}


def _label(line: str) -> tuple[bool, str, str] | None:
    """(whether capitals or italics mark it, name, rest of the line) for a line that may begin with a label."""
    found = _LABEL.match(line[:_LABEL_CHARACTERS])
    if not found or is_heading(line):
        return None
    name = " ".join(found["name"].split())
    words = _SMALL_WORDS.sub(" ", re.sub(rf"\A{_TITLE} ?", "", name)).split()
    first, last = (word.casefold().replace("-", "").strip(".,") for word in (words[0], words[-1]))
    letters = sum(c.isalpha() for c in name)
    if letters < 2 or first in _NOBODY or last in ("end", "ends", "curtain") or _ROMAN.fullmatch(words[0]):
        return None
    rest = line[found.end() :].strip()
    capitals = all(word.isupper() or word.isdigit() for word in words)
    if not (found["stop"] or (capitals and found["aside"]) or _UNCLOSED.match(rest)):
        return None
    rest = f"{(found['aside'] or '').strip()} {rest}".strip()
    if capitals or (line[0] in "_*" and rest):
        return True, name, rest
    return (False, name, rest) if len(words) <= 3 and all(word[0].isupper() for word in words) else None


def blocks_in(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """(first line, line after the last) of every run of lines between blank ones."""
    start = 0
    for number in range(len(lines) + 1):
        if number == len(lines) or not lines[number].strip():
            if number > start:
                yield start, number
            start = number + 1


def is_heading(line: str) -> bool:
    """Whether a line is the heading of an act or a scene."""
    return bool(_HEADING.fullmatch(line[:200]))


def is_direction(block: Sequence[str]) -> bool:
    """Whether a paragraph is nothing but stage directions."""
    text = " ".join(block)
    unclosed = text[0] == "[" and "]" not in text
    return unclosed or bool(_MOVES.match(text)) or not any(c.isalnum() for c in _BRACKETED.sub("", text))


def _pieces(block: range, labels: dict[int, Label]) -> Iterator[list[int]]:
    """The line numbers of a paragraph, cut before each label."""
    piece: list[int] = []
    for number in block:
        if number in labels and piece:
            yield piece
            piece = []
        piece.append(number)
    if piece:
        yield piece


def _hear(lines: list[str], piece: list[int], label: Label | None, speeches: list[_Speech]) -> bool:
    """Give the lines of a piece to who says them; False for a paragraph within a scene that nobody seems to say."""
    said = [lines[number].strip() for number in piece]
    if label:
        kept = [line for line in said[1:] if len(line) > 100 or not _MOVES.match(line)]
        speeches.append(_Speech(label[0], piece[0], [[line for line in (label[1], *kept) if line]]))
        return True
    if not speeches or is_direction(said):
        return True
    if not any(speeches[-1].paragraphs) or _is_speech(" ".join(said)):
        speeches[-1].paragraphs.append(said)
        return True
    return False


def _is_speech(paragraph: str) -> bool:
    """Whether a paragraph without a label goes on with a speech: directions are in the third person."""
    quoted = paragraph[0] in "\"“‘'—" or paragraph[0].islower()
    return quoted or paragraph.rstrip(' "”’)]_')[-1:] in ("?", "!") or bool(_FIRST_PERSON.search(paragraph))


def _flow(lines: list[str]) -> str:
    """A paragraph as one line where it was wrapped, line by line where it is verse; italics lose their marks."""
    capitals = sum(not line[:1].islower() for line in lines[1:])
    verse = all(len(line) <= _VERSE_CHARACTERS for line in lines) and capitals >= 0.7 * (len(lines) - 1)
    return _ITALICS.sub(r"\1", ("\n" if verse else " ").join(lines)).strip()
