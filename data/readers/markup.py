"""HTML and XHTML -> text with Markdown headings, lists and tables, in one pass and in time linear in the page."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape

from persona.formats.lore import without_comments

# The standard library's parser takes quadratic time on tags that never close (25 s for 40 kB), so tags are found here.
_TAG = re.compile(r"<(?:(!--)|(!\[CDATA\[)|([!?])|(/?)([A-Za-z][^\s/>]*))")
_ATTRIBUTES = re.compile(r"(?:[^>\"']++|\"[^\"]*+\"|'[^']*+')*+>")
_TOKENS = re.compile(r"\b(?:class|epub:type|role)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", re.IGNORECASE)
_LONG_NUMBER = re.compile(r"&#[xX]?[0-9a-fA-F]{9,};?")
_START = re.compile(r"(?:<\?xml[^>]*>\s*)?<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_FRAGMENT = re.compile(r"<(?:p|div|h[1-6]|article|section|main|table|ul|ol)[\s>]", re.IGNORECASE)
_MARKDOWN = re.compile(r"^#{1,6} ", re.MULTILINE)
_PREFIX_ALONE = re.compile(r"-|#{1,6}")

_RAW = frozenset("script style".split())
_VOID = frozenset("area base br col embed hr img input link meta param source track wbr".split())
_SKIPPED = frozenset(
    "head nav template svg math form button select textarea iframe noscript object audio video rt rp".split()
)
_CONTAINERS = frozenset("a aside div ol section span sup table ul".split())
_DROPPED = frozenset(
    """
    mw-editsection mw-jump-link navbox navigation reference reflist references infobox toc landmarks noteref pagebreak
    page-list pagenum pg-boilerplate footnote footnotes endnotes doc-noteref doc-pagebreak doc-toc doc-endnotes
    """.split()
)
_BLOCKS = frozenset(
    """
    address article aside blockquote body caption center dd details div dl dt fieldset figcaption figure footer header
    hr main ol p pre section summary table tbody thead ul
    """.split()
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_SPEAKER = "z3998:persona"
"""How e-books mark the cell of a play that names the speaker (Z39.98-2012 Structural Semantics Vocabulary)."""


@dataclass
class _Writer:
    """The text so far, and which element of it is open as far as that changes the text."""

    pieces: list[str] = field(default_factory=list)
    heading: bool = False
    pre: int = 0
    cells: int = 0
    speaker: bool = False

    def start(self, tag: str, attributes: str) -> None:
        if tag in _HEADINGS:
            self.pieces.append("\n\n" + "#" * _HEADINGS[tag] + " ")
            self.heading = True
        elif tag == "br":
            self.pieces.append(" " if self.heading else "\n")
        elif tag == "li":
            self.pieces.append("\n- ")
        elif tag == "tr":
            self.pieces.append("\n")
            self.cells, self.speaker = 0, False
        elif tag in ("td", "th"):
            self._cell(attributes)
        elif tag == "q":
            self.pieces.append("“")
        elif tag in _BLOCKS and not self.heading:
            self.pieces.append("\n\n")
        self.pre += tag == "pre"

    def end(self, tag: str) -> None:
        if tag in _HEADINGS:
            self.pieces.append("\n\n")
            self.heading = False
        elif tag == "tr" and self.cells:
            self.pieces.append("\n\n" if self.speaker else " |")
        elif tag == "q":
            self.pieces.append("”")
        elif tag in _BLOCKS and not self.heading:
            self.pieces.append("\n\n")
        self.pre = max(0, self.pre - (tag == "pre"))

    def _cell(self, attributes: str) -> None:
        if not self.cells:
            self.speaker = _SPEAKER in attributes
            self.pieces.append("" if self.speaker else "| ")
        else:
            self.pieces.append(": " if self.speaker and self.cells == 1 else " | ")
        self.cells += 1

    def text(self, text: str) -> None:
        self.pieces.append(text if self.pre else text.replace("\n", " ").replace("\r", " "))


def looks_like_html(text: str) -> bool:
    """Whether a text is a page of HTML, or a fragment of one that is not Markdown with tags in it."""
    start = without_comments(text[:20_000]).lstrip("\ufeff \t\r\n")
    return bool(_START.match(start) or (_FRAGMENT.match(start) and not _MARKDOWN.search(start)))


def read_html(text: str) -> str:
    """The words of a page: paragraphs apart by blank lines, `##` headings by level, `- ` lists, `| a | b |` tables.

    Scripts, styles, navigation, forms, page numbers and note marks are left out. Any text is accepted; a tag that never
    closes ends the page.
    """
    writer = _Writer()
    skipped, depth = "", 0
    for kind, value, attributes in _events(text):
        if skipped:
            depth += {"start": 1, "end": -1}.get(kind, 0) if value == skipped else 0
            skipped = skipped if depth else ""
        elif kind == "text":
            writer.text(value)
        elif kind == "end":
            writer.end(value)
        elif value in _SKIPPED or (value in _CONTAINERS and _tokens(attributes) & _DROPPED):
            skipped, depth = value, 1
        else:
            writer.start(value, attributes)
    return _tidy("".join(writer.pieces))


def _events(text: str) -> Iterator[tuple[str, str, str]]:
    """("text", words, ""), ("start", tag, attributes) and ("end", tag, "") in order; comments and scripts are passed."""
    place, quotes_close = 0, True
    while tag := _TAG.search(text, place):
        if tag.start() > place:
            yield "text", _unescape(text[place : tag.start()]), ""
        comment, cdata, other, closing, name = tag.groups()
        if comment or cdata or other:
            mark = "-->" if comment else "]]>" if cdata else ">"
            end = text.find(mark, tag.end())
            if end < 0:
                return
            if cdata:
                yield "text", text[tag.end() : end], ""
            place = end + len(mark)
            continue
        # Once a quotation mark was found that never closes, none is looked for again: the search runs to the end.
        inside = _ATTRIBUTES.match(text, tag.end()) if quotes_close else None
        quotes_close = inside is not None
        place = inside.end() if inside else text.find(">", tag.end()) + 1
        if not place:
            return
        name, attributes = name.lower(), inside[0][:-1] if inside else ""
        yield ("end" if closing else "start"), name, attributes
        if closing:
            continue
        if attributes.endswith("/") or name in _VOID:
            yield "end", name, ""
        elif name in _RAW:
            end_tag = re.compile(f"</{name}", re.IGNORECASE).search(text, place)
            if not end_tag:
                return
            place = end_tag.start()
    if text[place:]:
        yield "text", _unescape(text[place:]), ""


def _unescape(text: str) -> str:
    return unescape(_LONG_NUMBER.sub("\ufffd", text)) if "&" in text else text


def _tokens(attributes: str) -> set[str]:
    return {token for found in _TOKENS.findall(attributes) for value in found for token in value.lower().split()}


def _tidy(text: str) -> str:
    """Single spaces, at most one blank line in a row, and no mark of a list or heading without its words."""
    lines: list[str] = []
    prefix = ""
    for raw in text.split("\n"):
        line = " ".join(raw.split())
        if _PREFIX_ALONE.fullmatch(line):
            prefix = line + " "
        elif line.strip("| "):
            lines.append(prefix + line)
            prefix = ""
        elif lines and lines[-1] and not prefix:
            lines.append("")
    return "\n".join(lines).strip()
