"""Novels in plain text -> who says what, scene by scene: whole speeches, each with the confidence of its speaker."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from data.novel.attribution import TRAINED_CONFIDENCE, Attributed, attribute
from data.novel.paragraphs import find_book, find_layout, is_gutenberg
from data.novel.quotations import quotations_in
from data.novel.turns import find_turns
from data.source import Scene, Source, Utterance
from persona.errors import PersonaError

QUIET_CHARACTERS = 1_500
"""Narration after which a new scene begins."""
_SAMPLE_CHARACTERS = 200_000
_FEWEST_QUOTATIONS, _MANY_QUOTATIONS = 4, 40
_QUOTED_SHARE = 0.05
_TAGGED_SHARE = 0.04
_SCRIPT_SHARE = 0.2

_HEADING = re.compile(
    r"^[ \t]*(?:((?:CHAPTER|Chapter|BOOK|Book|PART|Part|VOLUME|Volume|LETTER|Letter|STAVE|Stave|ADVENTURE|Adventure|PROLOGUE|Prologue|EPILOGUE"
    r"|Epilogue)\b(?:[ .:]{1,3}(?:[IVXLC\d]+|[A-Z][a-zA-Z-]*)\b[^\n\"“”]{0,80})?)|[IVXLC]{1,8}\.?|(?:\*[ \t]*){3,9})[ \t]*\r?$",
    re.MULTILINE,
)
_SCRIPT_LINE = re.compile(r"^[A-Z][\w .'’-]{0,30}:\s", re.MULTILINE)
_BLANK = re.compile(r"(?:\r\n?|\n)[ \t]*(?:\r\n?|\n)\s*")
_CONTINUED = re.compile(r"\A[ _]*[\"“'‘`«„]")
_ITALICS = re.compile(r"(?<!_)_(?!_)")
_MARKS = "\"“”„'‘’`´«»"


@dataclass(frozen=True, slots=True)
class _Speech:
    """The pieces of one speech of a paragraph."""

    pieces: tuple[Attributed, ...]

    @property
    def start(self) -> int:
        return self.pieces[0].start

    @property
    def end(self) -> int:
        return self.pieces[-1].end


def looks_like_novel(text: str) -> bool:
    """Whether a text is prose in which people speak between quotation marks, and which says who does; no script."""
    start, end = find_book(text)
    sample = text[start : min(end, start + _SAMPLE_CHARACTERS)]
    lines = sum(1 for line in sample.splitlines() if line.strip())
    if sum(1 for _ in _SCRIPT_LINE.finditer(sample)) > _SCRIPT_SHARE * lines:
        return False
    layout = find_layout(sample)
    quotations = quotations_in(sample, layout)
    turns, silent = find_turns(sample, quotations, layout)
    spoken = [quotation for number, quotation in enumerate(quotations) if number not in silent]
    quoted = sum(len(quotation.text) for quotation in spoken)
    if len(spoken) < _FEWEST_QUOTATIONS or (quoted < _QUOTED_SHARE * len(sample) and len(spoken) < _MANY_QUOTATIONS):
        return False
    tags = (
        tag for turn in turns for tag in (turn.lead, *(t for line in turn.lines for t in (line.after, line.before)))
    )
    tagged = sum(tag is not None and tag.form == "direct" for tag in tags)
    return tagged >= max(2, _TAGGED_SHARE * len(spoken))


def read_novel(text: str, name: str) -> Source:
    """The speeches of a novel; scenes begin at chapters and after `QUIET_CHARACTERS` in which nobody speaks.

    A speech is what one speaker says in a paragraph, without the quotation marks around it and without line breaks; a
    comma before "he said." becomes the full stop that it stands for. Speeches without a known speaker stay as context,
    with the speaker "". Places are characters of `text`, of which, in a file of Project Gutenberg, only the book is read.
    `name` is the file's. Raises `PersonaError` for a text without quotations.
    """
    found = attribute(text)
    spoken = [piece for piece in found if piece.rule != "not speech"]
    if not spoken:
        raise PersonaError(
            "No quotation was found.", where=name, fix="a novel with quotation marks around its speeches"
        )
    sure = sum(piece.trained for piece in spoken)
    notes = [
        f"{len(spoken):,} quotations; for {sure:,} of them the speaker is sure ({TRAINED_CONFIDENCE} or more).",
    ]
    if others := len(found) - len(spoken):
        notes.append(f"{others:,} titles and words under quotation marks are no speech.")
    licence = "Project Gutenberg License" if is_gutenberg(text) else ""
    return Source("novel", name, tuple(_scenes(text, spoken)), language="en", licence=licence, notes=notes)


def _scenes(text: str, spoken: Sequence[Attributed]) -> Iterator[Scene]:
    """Speeches cut into scenes, each with the heading of its chapter."""
    headings = [(match.start(), " ".join((match[1] or "").split())) for match in _HEADING.finditer(text)]
    title, passed, end = "", 0, 0
    utterances: list[Utterance] = []
    for speech in _speeches(text, spoken):
        new = speech.start - end > QUIET_CHARACTERS
        while passed < len(headings) and headings[passed][0] < speech.start:
            heading = headings[passed][1]
            if headings[passed][0] >= end:
                if utterances:
                    yield Scene(tuple(utterances), title)
                    utterances = []
                title = heading or title
            passed += 1
        if new and utterances:
            yield Scene(tuple(utterances), title)
            utterances = []
        utterances.append(_utterance(text, speech))
        end = speech.end
    if utterances:
        yield Scene(tuple(utterances), title)


def _speeches(text: str, spoken: Sequence[Attributed]) -> Iterator[_Speech]:
    """Quotations of one speaker in one paragraph together; two without words between them are two people's."""
    pieces: list[Attributed] = []
    for piece in spoken:
        if pieces:
            between = text[pieces[-1].end : piece.start]
            words = any(c.isalnum() for c in between)
            if piece.speaker != pieces[-1].speaker or not words or _BLANK.search(between):
                yield _Speech(tuple(pieces))
                pieces = []
        pieces.append(piece)
    if pieces:
        yield _Speech(tuple(pieces))


def _utterance(text: str, speech: _Speech) -> Utterance:
    said = ""
    for i, piece in enumerate(speech.pieces):
        if i:
            stopped = text[speech.pieces[i - 1].end : piece.start].rstrip()[-1:] in (".", "!", "?")
            said = (_full_stop(said) if stopped else said) + " "
        said += _plain(piece.text)
    least = min(speech.pieces, key=lambda piece: piece.confidence)
    place = f"characters {speech.start:,}-{speech.end:,}"
    return Utterance(least.speaker, _full_stop(said), place, least.confidence, least.rule)


def _full_stop(said: str) -> str:
    """A speech whose comma belonged to "he said"."""
    return said[:-1] + "." if said.endswith(",") else said


def _plain(quoted: str) -> str:
    """The words of a quotation without its marks, each paragraph on one line."""
    start = 1 if quoted[0] in _MARKS else 0
    end = len(quoted) - 1 if len(quoted) > 1 and quoted[-1] in _MARKS else len(quoted)
    paragraphs = _BLANK.split(quoted[start:end])
    opened = [paragraphs[0], *(_CONTINUED.sub("", paragraph, count=1) for paragraph in paragraphs[1:])]
    return "\n".join(" ".join(_ITALICS.sub("", paragraph).split()) for paragraph in opened)
