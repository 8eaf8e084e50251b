"""Every quotation of a plain text, whichever marks it uses; offsets are into the text as it is."""

import re
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import islice

from data.novel.paragraphs import Layout, Span, find_layout
from persona.errors import PersonaError

MAX_QUOTATIONS = 300_000
"""A long novel has 13,000."""
_BLOCK_CHARACTERS = 60_000
"""Which marks the text uses for speech is judged anew for so much text: a file may hold several books."""
_CLEARLY, _ENOUGH = 3, 12
"""A block goes its own way where it opens so many more lines with other marks, and so many lines at all."""
_SENTENCE_LINES = 80
"""In text without paragraphs, the number of lines after which an open quotation is taken for a slip."""
_SCARE_CHARACTERS = 60

_ELISION = (
    r"(?:(?:tis|twas|twere|twill|twould|twixt|tisn|twasn|em|un|im|er|ee|ll|ve|re|cause|cos|bout|gainst|mongst|neath|way|"
    r"pon|nother|nuff|ave|ad|as|is|ow|ere|e|orse|ouse|ead|ome|and|art|ope|un|s|t|d|m)\b|\d)"
)
_OPENING = {
    "double": re.compile(r'^[ \t_]*["“„]', re.MULTILINE),
    "single": re.compile(rf"^[ \t_]*['‘`](?!['’]?{_ELISION})(?=[\s_]*[^\W_]|[\"“])", re.MULTILINE),
    "guillemets": re.compile("^[ \t_]*«", re.MULTILINE),
}
_MARK = {
    "double": re.compile('["“”„]'),
    "single": re.compile(r"‘|`|´|(?<![^\W_])['’]|['’](?![^\W_])"),
    "guillemets": re.compile("[«»]"),
}
_ANY = {
    "double": re.compile(r'[“„]|(?<!\S)"(?=\s?\S)'),
    "single": re.compile(r"‘|`|(?<!\S)'(?=\s?[A-Z])"),
    "guillemets": re.compile("«"),
}
_INNER = re.compile(r"‘|(?<!\w)'(?=\w)")
_ELIDED = re.compile(_ELISION, re.IGNORECASE)
_TAGGED = re.compile(r",?\s{1,3}(?:(?:he|she|I)\s{1,3})?(?:said|cried|asked|replied|answered|exclaimed)\b")
_CLOSED = re.compile(r"[,.;:!?—-]'(?!\w)")
_BEFORE_SPEECH = (",", ";", ":", ".", "!", "?", "-", "—")
_LONGEST_SOUGHT = 1_000
_SENTENCE_END, _CLAUSE_END = re.compile(r"[.!?](?=\s)"), re.compile(r"[,;:](?=\s)")
_PUNCTUATION = frozenset(",.;:!?)]}-—–…*")


@dataclass(frozen=True, slots=True)
class Quotation:
    """A quotation with its marks: `text == source[start:end]`."""

    start: int
    end: int
    text: str


def find(text: str) -> list[Quotation]:
    """Every quotation in the text, in order and apart; what is quoted inside a quotation belongs to it.

    Curly and straight marks, double and single, and guillemets; which of them are speech is judged from the text. A
    quotation that opens each paragraph anew and closes only in the last is one. A mark that is never closed reaches to
    the end of its paragraph at most. Titles and words under quotation marks are found too.
    """
    return quotations_in(text, find_layout(text))


def quotations_in(text: str, layout: Layout) -> list[Quotation]:
    """`find` for a text whose paragraphs are known. Raises `PersonaError` for more than `MAX_QUOTATIONS`."""
    quotations: list[Quotation] = []
    for family, block in _blocks(text, layout.spans):
        for start, end in _pairs(text, block, family, layout.sentences):
            quotations.append(Quotation(start, end, text[start:end]))
            if len(quotations) > MAX_QUOTATIONS:
                what = f"The text has more than {MAX_QUOTATIONS:,} quotations."
                raise PersonaError(what, where=f"before character {end:,}", fix="one novel a file")
    return quotations


def _blocks(text: str, spans: tuple[Span, ...]) -> Iterator[tuple[str, tuple[Span, ...]]]:
    """The paragraphs in long blocks, each with the family of marks that it uses for speech."""
    usual = _family(text, 0, len(text))
    first = 0
    for i, (_, end) in enumerate(spans):
        if i + 1 == len(spans) or end - spans[first][0] > _BLOCK_CHARACTERS:
            block = spans[first : i + 1]
            first = i + 1
            yield _family(text, block[0][0], end, usual), block


def _family(text: str, start: int, end: int, usual: str = "") -> str:
    """The marks that open most lines between two offsets, or most quotations in a short text.

    With a `usual` family, that one unless another clearly opens more lines.
    """
    lines = {name: sum(1 for _ in opening.finditer(text, start, end)) for name, opening in _OPENING.items()}
    if usual:
        best = max(lines, key=lambda name: lines[name])
        return best if lines[best] >= _ENOUGH and lines[best] > _CLEARLY * lines[usual] else usual
    return max(lines, key=lambda name: _CLEARLY * lines[name] + sum(1 for _ in _ANY[name].finditer(text, start, end)))


def _pairs(text: str, spans: tuple[Span, ...], family: str, sentences: bool) -> Iterator[Span]:
    """Quotations as (start, end), paragraph by paragraph; an open one goes on where the next paragraph opens one."""
    open_at: int | None = None
    lines = 0
    for number, (start, end) in enumerate(spans):
        if open_at is not None:
            lines += 1
            fresh = _opens(text, start, family)
            if (sentences and (fresh or lines > _SENTENCE_LINES)) or (not sentences and not fresh):
                yield open_at, spans[number - 1][1]
                open_at = None
        if open_at is None:
            lines = 0
        open_at = yield from _in_paragraph(text, start, end, family, open_at)
    if open_at is not None:
        yield open_at, spans[-1][1]


def _opens(text: str, start: int, family: str) -> bool:
    return _OPENING[family].match(text, start) is not None


def _in_paragraph(
    text: str, start: int, end: int, family: str, open_at: int | None
) -> Generator[Span, None, int | None]:
    """The quotations that end in a paragraph; returns where the one stands that is open at its end."""
    kind = _single_kind if family == "single" else _kind
    marks = ((m.start(), kind(text, m.start(), start, end)) for m in _MARK[family].finditer(text, start, end))
    coming = deque(islice(marks, 3))
    doubtful = 0  # the end of the open quotation, or an apostrophe
    while coming:
        at, what = coming.popleft()
        coming.extend(islice(marks, 1))
        if open_at is None:
            if what in "ON" or (what == "e" and _begins_speech(text, at, start, end)):
                open_at, doubtful = at, 0
        elif at == start:
            pass  # the mark with which a quotation goes on in a new paragraph
        elif what in "CN":
            yield open_at, at + 1
            open_at = None
        elif what == "c":
            doubtful = doubtful or at + 1
        elif what == "O" and family == "single":
            if doubtful and text[at + 1 : at + 2].isupper():
                yield open_at, doubtful
                open_at, doubtful = at, 0
        elif what == "O" and len(coming) > 1 and coming[0][1] in "CN" and coming[1][1] in "CN":
            coming.popleft()  # a quotation inside the quotation: its closing mark is passed over, too
            coming.extend(islice(marks, 1))
        elif what == "O":
            cut = _SENTENCE_END.search(text, open_at, at) or _CLAUSE_END.search(text, open_at, at)
            if cut:
                yield open_at, cut.end()
            open_at = at
    if open_at is not None and doubtful and doubtful - open_at < _SCARE_CHARACTERS:
        yield open_at, doubtful
        open_at = None
    elif open_at is not None and family == "double" and _wrongly_closed(text, open_at, end):
        yield open_at, end
        open_at = None
    return open_at


def _wrongly_closed(text: str, open_at: int, end: int) -> bool:
    """Whether a single mark closes the quotation that a double one opened: "Who is there?'."""
    if end - open_at < 3 or text[end - 1] not in "'’" or text[end - 2] not in ".?!":
        return False
    return _INNER.search(text, open_at + 1, end - 1) is None


def _begins_speech(text: str, at: int, start: int, end: int) -> bool:
    """Whether the mark of an elided word outside of a quotation opens one: said he, 'and there he is!'"""
    before = text[max(start, at - 4) : at].rstrip(" \r\n")
    closed = _CLOSED.search(text, at + 1, min(end, at + _LONGEST_SOUGHT))
    return before[-1:] in _BEFORE_SPEECH and not text[at + 1].isdigit() and closed is not None


def _kind(text: str, at: int, start: int, end: int) -> str:
    """What a double mark is by what stands beside it: O opening, C closing, N either."""
    mark = text[at]
    if mark in "“„«":
        return "O"
    if mark in "”»":
        return "C"
    before, after = _beside(text, at, start, end)
    if at == start or before in "([{":
        return "O"
    if before.isspace():
        return "O" if not after.isspace() else "N"
    return "C" if after.isspace() or after in _PUNCTUATION else "N"


def _single_kind(text: str, at: int, start: int, end: int) -> str:
    """What a single mark is: O opening, C closing, N either, c closing or an apostrophe, - an apostrophe.

    e is an apostrophe inside a quotation, and outside of one it may open one.
    """
    mark = text[at]
    before, after = _beside(text, at, start, end)
    if mark in "‘`":
        return "O"
    if mark == "´":
        return "C"
    if before.isalnum():  # the boys', goin', and titles
        ends = after in ")]" or (text[max(start, at - 3) : at].isalpha() and _TAGGED.match(text, at + 1, end))
        return "C" if ends else "c"
    if before.isspace() or before in "([{":
        if mark == "’" or (at > start and _ELIDED.match(text, at + 1)):
            return "C" if mark == "’" and after.isspace() else "-" if mark == "’" else "e"
        return "N" if after.isspace() else "O"
    if after.isalnum():
        return "-" if mark == "’" or _ELIDED.match(text, at + 1) else "N"
    return "C"


def _beside(text: str, at: int, start: int, end: int) -> tuple[str, str]:
    """The characters before and after a mark inside its paragraph, a line break outside; marks of italics are no more."""
    left, right = at - 1, at + 1
    if left > start and text[left] == "_":
        left -= 1
    if right < end - 1 and text[right] == "_":
        right += 1
    return text[left] if left >= start else "\n", text[right] if right < end else "\n"
