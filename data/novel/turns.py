"""The quotations of a paragraph together, each with what the narration beside it says of its speaker."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from data.novel.paragraphs import Layout
from data.novel.quotations import Quotation
from data.novel.tags import Tag, tag_after, tag_before
from data.novel.words import BASE_FORMS, NO_NAMES, SPEECH_VERBS, TITLES

_LAST_WORD = re.compile(r"([^\W_]+)[ _\r\n]*\Z")
_NO_SPEECH_WORDS = 8
"""A quotation of at most so many words in the middle of a clause is a title or somebody else's word."""
_NAMING = frozenset(("called", "calls", "read", "reads", "wrote"))
_TO_CHARACTERS = 70
_TITLE = r"(?:(?:Mrs?|Dr|Miss|Sir|Lady|Lord|Captain|Aunt|Uncle|Master)\.?\s{1,3})?"
_NAME = rf"(?P<name>{_TITLE}[A-Z][^\W\d_]+(?:\s{{1,3}}[A-Z][^\W\d_]+)?)"
_TO = re.compile(rf"\bto {_NAME}")
_VERB = r"(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|shall)"
_ASKED = r"\s+(?:it|he|she|they|you|that|this|these|those|there|the|any|your|my|our|not)\b"
_TOLD_OF = (
    rf"\s{{0,3}},\s+(?:(?:who|whom)(?!\s+{_VERB}{_ASKED})|whose\b|or\b|if\s+I\s|where\s+(?:is|are)\s+(?:he|she)\b"
    rf"|(?:is|was|has|had)(?!{_ASKED})|(?:the|a|an|your|his|her|their|our)\s[^,.!?;:]{{1,40}},"
    r"|[^,.!?;:]{1,60},\s+(?:is|was|has|had|will|would)\s)"
)
"""What follows the name of somebody of whom is spoken: ", who is", ", the doctor, was"."""
_TITLED = re.compile(
    r"\b(?:friend|colleague|companion|brother|sister|son|daughter|uncle|aunt|cousin|nephew|niece|wife|husband|secretary"
    r"|assistant|servant|partner|neighbour|guest|client|inspector|detective|lawyer|naturalist)\Z"
)
_CALLED = re.compile(
    r"(?:(?<=\A.)|(?P<comma>,)|(?<!mr)(?<!mrs)(?<!dr)(?<!st)[;:.!?—]|(?P<dash>(?<!\w)-))[\s_\"“”'‘’—-]{0,4}"
    r"(?:(?:my|dear|old|oh|ah|o|and|but|yes|no|well|now|so|sir|come)\s{1,3}){0,4}(?-i:"
    + _NAME
    + r")(?=\s{0,3}(?:(?(dash)(?!)|,)|[.!;:—…]|(?(comma)\?|!)|--|[\"”’']\Z))(?!"
    + _TOLD_OF
    + ")",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Line:
    """A quotation in its turn: its number in the text, and the tags after and before it."""

    number: int
    after: Tag | None
    before: Tag | None


@dataclass(frozen=True, slots=True)
class Turn:
    """What is said in one paragraph.

    `start` and `end` are the paragraph's; `gap` counts the paragraphs of narration since the turn before, whose end is
    `since`; `lead` is the tag of a paragraph of narration that ends with a colon right before this one. `loose` where
    the text does not show whether a new paragraph begins here. `called` are the names with which it addresses somebody,
    and `told_to` those to whom narration says that it is said.
    """

    lines: tuple[Line, ...]
    start: int
    end: int
    since: int
    gap: int
    lead: Tag | None = None
    loose: bool = False
    called: tuple[tuple[str, ...], ...] = ()
    told_to: tuple[tuple[str, ...], ...] = ()


def is_speech(text: str, quotation: Quotation, start: int) -> bool:
    """False for titles and single words under quotation marks inside the clause of a paragraph that begins at `start`."""
    body = quotation.text[1:-1].strip(" _")
    if not any(c.isalpha() for c in body):
        return False
    if body[0].isupper() and body.endswith(("!", "?", "--", "—")):
        return True
    before = text[max(start, quotation.start - 40) : quotation.start]
    last = _LAST_WORD.search(before)
    if not last:
        return True
    words = before.split()
    while len(words) > 1 and (words[-1][0].isupper() or words[-1] == "the"):  # "thought Ada 'so late?'"
        words.pop()
    if (words and words[-1] in SPEECH_VERBS and words[-1] not in _NAMING) or last[1].lower() in BASE_FORMS:
        return True
    return len(body.split()) > _NO_SPEECH_WORDS


def find_turns(text: str, quotations: Sequence[Quotation], layout: Layout) -> tuple[list[Turn], set[int]]:
    """The turns of a text, and the numbers of the quotations that are no speech."""
    silent: set[int] = set()
    turns: list[Turn] = []
    spans = layout.spans
    groups = list(_paragraphs(text, quotations, layout, silent))
    done, passed = 0, -1  # the end of the turn before, and its last paragraph
    for i, (numbers, first, last) in enumerate(groups):
        opens = quotations[numbers[0]].start
        start, end = (spans[first][0] if first > passed else opens), spans[last][1]
        if i + 1 < len(groups) and groups[i + 1][1] <= last:  # two speak in one paragraph
            end = quotations[groups[i + 1][0][0]].start
        gap = max(first - passed - 1, 0)
        lead, loose = None, False
        if layout.sentences:  # narration may belong to the quotation before it or after it
            start = max(done, spans[max(first - 2, 0)][0])
            following = quotations[groups[i + 1][0][0]].start if i + 1 < len(groups) else len(text)
            end = min(following, spans[min(last + 1, len(spans) - 1)][1])
            loose = any(c.isalnum() for c in text[max(done, opens - 200) : opens])
        elif gap > 0 and opens == start and text[spans[first - 1][1] - 1] in ":,—-":
            lead = tag_before(text, max(spans[first - 1][0], done), spans[first - 1][1])
        lines = tuple(_lines(text, quotations, numbers, start, end))
        called = tuple(name for number in numbers for name in _names(_CALLED, quotations[number].text, 1, None))
        told_to = tuple(
            name
            for number in numbers
            for name in _names(_TO, text, quotations[number].end, min(quotations[number].end + _TO_CHARACTERS, end))
        )
        turns.append(Turn(lines, start, end, done, gap, lead, loose, called, told_to))
        done, passed = (quotations[numbers[-1]].end if layout.sentences else end), last
    return turns, silent


def _names(pattern: re.Pattern[str], text: str, start: int, end: int | None) -> Iterator[tuple[str, ...]]:
    for match in pattern.finditer(text, start, len(text) if end is None else end):
        words = tuple(match["name"].split())
        if pattern is _CALLED and match["comma"] and _TITLED.search(text, max(match.start() - 20, 0), match.start()):
            continue  # "my friend and colleague, Dr. Hill"
        alone = len(words) == 1 and words[0].lower() in NO_NAMES
        if not alone and not all(word.lower().rstrip(".") in TITLES for word in words):
            yield words


def _paragraphs(
    text: str, quotations: Sequence[Quotation], layout: Layout, silent: set[int]
) -> Iterator[tuple[list[int], int, int]]:
    """The numbers of the spoken quotations of each paragraph, with the first and last paragraph that they touch."""
    spans = layout.spans
    paragraph = 0
    numbers: list[int] = []
    first = last = 0
    for number, quotation in enumerate(quotations):
        while paragraph + 1 < len(spans) and spans[paragraph][1] <= quotation.start:
            paragraph += 1
        here = paragraph
        while paragraph + 1 < len(spans) and spans[paragraph][1] < quotation.end:
            paragraph += 1
        if not is_speech(text, quotation, spans[here][0]):
            silent.add(number)
            continue
        same_line = layout.sentences and here == last + 1 and text[spans[here][0]].islower()
        told = any(c.isalnum() for c in text[quotations[number - 1].end : quotation.start]) if number else True
        if numbers and told and (here <= last or same_line):
            numbers.append(number)
            last = max(last, paragraph)
            continue
        if numbers:
            yield numbers, first, last
        numbers, first, last = [number], here, paragraph
    if numbers:
        yield numbers, first, last


def _lines(text: str, quotations: Sequence[Quotation], numbers: list[int], start: int, end: int) -> Iterator[Line]:
    done = start
    for i, number in enumerate(numbers):
        quotation = quotations[number]
        until = quotations[numbers[i + 1]].start if i + 1 < len(numbers) else end
        body = quotation.text.rstrip("”\"’'»_ ")
        after = tag_after(text, quotation.end, until, body[-1:])
        if "(" in text[quotation.end : quotation.end + 3] and text.find(")", quotation.end, until) < 0:
            after = None  # the bracket tells of what is quoted in it
        before = tag_before(text, done, quotation.start) if quotation.start > done else None
        yield Line(number, after, before)
        done = quotation.end
