"""Novels in plain text -> who says what, scene by scene: whole speeches, each with the confidence of its speaker."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from data.novel.attribution import THOUGHT, TRAINED_CONFIDENCE, Attributed, attribute
from data.novel.paragraphs import find_book, find_layout, is_gutenberg
from data.novel.quotations import quotations_in
from data.novel.turns import find_turns
from data.novel.words import word_set
from data.source import Scene, Source, Utterance
from persona.errors import PersonaError

QUIET_CHARACTERS = 1_500
"""Narration after which a new scene begins."""
ALONE_CHARACTERS = 250
"""A paragraph of narration after which the speaker before it does not go on, but begins anew."""
HALF_A_SENTENCE = "half a sentence"
"""The rule of a speech whose beginning is missing, for it begins with a small letter; it is not trained."""
_HALF_CONFIDENCE = 0.5
_SAMPLE_CHARACTERS = 200_000
_FEWEST_QUOTATIONS, _MANY_QUOTATIONS = 4, 40
_QUOTED_SHARE = 0.05
_TAGGED_SHARE = 0.04
_SCRIPT_SHARE = 0.2

_HEADING = re.compile(
    r"^[ \t]*(?:((?:CHAPTER|Chapter|BOOK|Book|PART|Part|VOLUME|Volume|LETTER|Letter|STAVE|Stave|ADVENTURE|Adventure|PROLOGUE|Prologue|EPILOGUE"
    r"|Epilogue)\b(?:[ .:]{1,3}(?:[IVXLC\d]+|[A-Z][a-zA-Z-]*)\b[^\n\"“”]{0,80})?"
    r"|(?:(?<=\n\n)|(?<=\n\r\n))[IVXLC]{1,8}\.[ \t]{1,4}[A-Z](?:(?<=Mr)\.|(?<=Mrs)\.|[^\n\"“”.!?]){2,70}\.?(?=[ \t]*\r?\n[ \t]*\r?\n))"
    r"|[IVXLC]{1,8}\.?|(?:\*[ \t]*){3,9})[ \t]*\r?$",
    re.MULTILINE,
)
_SCRIPT_LINE = re.compile(r"^[A-Z][\w .'’-]{0,30}:\s", re.MULTILINE)
_BLANK = re.compile(r"(?:\r\n?|\n)[ \t]*(?:\r\n?|\n)\s*")
_CONTINUED = re.compile(r"\A[ _]*[\"“'‘`«„]")
_LETTERS = re.compile(r"[^\W\d_]+")
_ITALICS = re.compile(r"(?<!_)_(?!_)")
_GOES_ON = word_set("that to for of in on at by from with into upon than as how what whether")
_VERBS = word_set("is are am was were has had will would shall should may might can could must did")
"""Words before which the comma of "Ada," said he, "is late" belonged to "said he" alone, verbs unless they ask."""
_ADDRESS_CHARACTERS = 25
"""A comma so near before belongs to a name that stands between two: "I fear, sir," said he, "that she is late"."""
_DASHES = ("-", "—", "–")
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
    comma before "he said." becomes the full stop that it stands for. Thoughts are no speech: they end the one before
    them. Where one speaker's speeches have a paragraph of `ALONE_CHARACTERS` between them, the second begins a scene.
    Speeches without a known speaker stay as context, with the speaker "". Places are characters of `text`, of which, in
    a file of Project Gutenberg, only the book is read. `name` is the file's. Raises `PersonaError` for a text without
    quotations.
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
    if thoughts := sum(piece.rule == THOUGHT for piece in spoken):
        notes.append(f"{thoughts:,} are thoughts, which nobody hears: they stand in no scene.")
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
        new = speech.start - end > QUIET_CHARACTERS or _begins_anew(text, utterances, speech, end)
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


def _begins_anew(text: str, before: Sequence[Utterance], speech: _Speech, end: int) -> bool:
    """Whether the one who spoke last, up to `end`, speaks again only after a whole paragraph of narration."""
    speaker = speech.pieces[0].speaker
    if not (before and speaker) or before[-1].speaker != speaker or speech.start - end < ALONE_CHARACTERS:
        return False
    paragraphs = _BLANK.split(text[end : speech.start])
    return any(len(paragraph) >= ALONE_CHARACTERS for paragraph in paragraphs[1:-1])


def _speeches(text: str, spoken: Sequence[Attributed]) -> Iterator[_Speech]:
    """Quotations of one speaker in one paragraph together; two without words between them are two people's.

    A thought ends the speech before it and is none itself.
    """
    pieces: list[Attributed] = []
    for piece in spoken:
        if pieces:
            between = text[pieces[-1].end : piece.start]
            words = any(c.isalnum() for c in between)
            apart = piece.speaker != pieces[-1].speaker or not words or _BLANK.search(between)
            if apart or piece.rule == THOUGHT:
                yield _Speech(tuple(pieces))
                pieces = []
        if piece.rule != THOUGHT:
            pieces.append(piece)
    if pieces:
        yield _Speech(tuple(pieces))


def _utterance(text: str, speech: _Speech) -> Utterance:
    said = ""
    for i, piece in enumerate(speech.pieces):
        plain = _plain(piece.text)
        if i:
            stop = text[speech.pieces[i - 1].end : piece.start].rstrip()[-1:]
            said = _joined(said, plain, stop)
        else:
            said = plain
    least = min(speech.pieces, key=lambda piece: piece.confidence)
    confidence, rule = least.confidence, least.rule
    if said[:1].islower():
        confidence, rule = min(confidence, _HALF_CONFIDENCE), HALF_A_SENTENCE
    place = f"characters {speech.start:,}-{speech.end:,}"
    return Utterance(least.speaker, _full_stop(said), place, confidence, rule)


def _joined(said: str, rest: str, stop: str) -> str:
    """The two halves of what "he said" interrupts; `stop` is the mark after "he said", which is the speech's own."""
    first = _LETTERS.match(rest)
    if stop in (".", "!", "?"):
        return f"{_full_stop(said)} {rest}"
    if rest.startswith(_DASHES):
        return said.rstrip(",-—– ") + rest
    if said.endswith(",") and stop in (";", ":"):
        said = said[:-1] + stop
    elif said.endswith(",") and first and first[0] in (_GOES_ON if "?" in rest else _GOES_ON | _VERBS):
        said = said if "," in said[-_ADDRESS_CHARACTERS:-1] else said[:-1]
    return f"{said} {rest}"


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
