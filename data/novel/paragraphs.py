"""Where the paragraphs of a plain text stand, whichever way its lines were broken."""

import re
from dataclasses import dataclass

_GAP = re.compile(r"(?:\r\n?|\n)(?:[ \t\f]*+(?:\r\n?|\n))++")
_BREAK = re.compile(r"\r\n?|\n")
_SPACED = re.compile(r"\w [,.;!?] ")
_SET = re.compile(r"\w[,.;!?] ")
_LINES_A_PARAGRAPH = 40
"""More lines than this for every blank one, and blank lines are not what separates the paragraphs."""
_SHORT_LINE = 0.75
"""The share of a full line below which a wrapped line is the last of its paragraph."""

_GUTENBERG_START = re.compile(
    r"^\*\*\* ?START OF TH(?:E|IS) PROJECT GUTENBERG[^\n]{0,300}\n", re.MULTILINE | re.IGNORECASE
)
_GUTENBERG_END = re.compile(
    r"^(?:\*\*\* ?END OF TH(?:E|IS) PROJECT GUTENBERG|End of (?:the )?Project Gutenberg)", re.MULTILINE | re.IGNORECASE
)

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Layout:
    """Paragraphs as (start, end) character offsets, in order, without the white space between them.

    `sentences` is True where the text has one tokenised sentence a line: its paragraphs are lost, and each span is a
    line, so that a quotation may run over several.
    """

    spans: tuple[Span, ...]
    sentences: bool = False


def find_book(text: str) -> Span:
    """Where the book itself begins and ends in a file of Project Gutenberg; the whole text of any other."""
    begins = _GUTENBERG_START.search(text)
    start = begins.end() if begins else 0
    ends = _GUTENBERG_END.search(text, start)
    return start, ends.start() if ends else len(text)


def is_gutenberg(text: str) -> bool:
    """Whether a text has the marks between which Project Gutenberg puts a book."""
    return _GUTENBERG_START.search(text) is not None


def find_layout(text: str) -> Layout:
    """The paragraphs of a text: between blank lines, or judged from the lines where there are hardly any blank ones."""
    paragraphs = _between(text, _GAP)
    breaks = sum(1 for _ in _BREAK.finditer(text))
    if breaks < _LINES_A_PARAGRAPH * max(len(paragraphs), 1) and not (len(paragraphs) == 1 and breaks):
        return Layout(paragraphs)
    lines = _between(text, _BREAK)
    spaced = sum(1 for _ in _SPACED.finditer(text, 0, 1_000_000))
    if spaced > sum(1 for _ in _SET.finditer(text, 0, 1_000_000)):
        return Layout(lines, sentences=True)
    return Layout(_unwrapped(text, lines))


def _between(text: str, separator: re.Pattern[str]) -> tuple[Span, ...]:
    """What stands between the separators, stripped; empty stretches are left out."""
    spans = []
    start = 0
    for gap in separator.finditer(text):
        spans.append(_stripped(text, start, gap.start()))
        start = gap.end()
    spans.append(_stripped(text, start, len(text)))
    return tuple(span for span in spans if span[0] < span[1])


def _stripped(text: str, start: int, end: int) -> Span:
    piece = text[start:end]
    body = piece.strip()
    if not body:
        return start, start
    left = len(piece) - len(piece.lstrip())
    return start + left, start + left + len(body)


def _unwrapped(text: str, lines: tuple[Span, ...]) -> tuple[Span, ...]:
    """Paragraphs out of lines without blank ones: after a short line, and where a quotation opens a line."""
    widths = sorted(end - start for start, end in lines)
    full = widths[len(widths) * 9 // 10] if widths else 0
    if full > 120:  # each line is a paragraph
        return lines
    spans: list[Span] = []
    for start, end in lines:
        if spans:
            before, last = spans[-1][0], spans[-1][1]
            line = last - max(text.rfind("\n", before, last) + 1, before)
            finished = text[last - 1] in ".!?:\"'”’»_-—"
            if not (finished and (line < _SHORT_LINE * full or text[start] in "\"“‘'«`")):
                spans[-1] = (before, end)
                continue
        spans.append((start, end))
    return tuple(spans)
