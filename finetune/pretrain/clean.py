"""What is wrong with the text of the corpora, and how it is put right: novels into paragraphs, paragraphs into speech.

Pure functions over strings; which file a text comes from is known in `corpora.py` alone.
"""

import re
import unicodedata
from collections.abc import Iterator

_START = re.compile(r"\*\*\* ?START OF TH[^\n]*\n")
_END = re.compile(r"\*\*\* ?END OF TH|\n\s*THE END\.?\s*\n\s*(?=.{0,2000}$)", re.DOTALL)
_FRONT_MATTER = re.compile(
    r"gutenberg|transcri(?:ber|bed)|\be-?text|\be-?book|copyright|\bISBN\b|www\.|all rights reserved|printed (?:by|in)"
    r"|illustrat(?:ion|ed)|footnote|table of contents",
    re.IGNORECASE,
)
_ITALICS = re.compile(r"(?<!\w)_([^_\n]+)_(?!\w)")
_DOUBLE = re.compile(r'"([^"]+)"')
_SINGLE = re.compile(r"(?:(?<=\s)|^)'(.+?)(?<=[,.!?;—-])'(?=[\s—]|$)")
_PLAIN = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "\u2013": "—", "…": "...", "\u00a0": " "})
_SHORT_LINE = 50
_LONGEST_SPEECH = 400


def tidy(text: str) -> str:
    """NFC, one kind of quotation mark and dash, single spaces, and nothing that looks like a marker."""
    plain = unicodedata.normalize("NFC", text).translate(_PLAIN).replace("--", "—").replace("<|", "< |")
    return " ".join(re.sub("—+", "—", plain).split())


def body_of(novel: str) -> str:
    """The novel without what a digital edition puts before and behind it."""
    start = _START.search(novel)
    if start:
        novel = novel[start.end() :]
    end = _END.search(novel, len(novel) // 2)
    return novel[: end.start()] if end else novel


def paragraphs_of(novel: str) -> Iterator[str]:
    """Paragraphs in one line each, without italics marks; headings, verse, tables and editors' notes are left out."""
    for block in re.split(r"\n\s*\n", body_of(novel)):
        lines = [line.strip() for line in block.split("\n") if line.strip()]
        short = sum(len(line) < _SHORT_LINE for line in lines)
        paragraph = _ITALICS.sub(r"\1", tidy(" ".join(lines))).replace("_", "")
        verse = short > max(1, len(lines) // 3)
        heading = paragraph.isupper() or len(paragraph) <= 15
        if not (verse or heading or _FRONT_MATTER.search(paragraph)):
            yield paragraph


def speech_in(paragraph: str) -> str:
    """What is said in a paragraph that begins with a quotation; empty where none does, or a whole tale is told."""
    pattern = {'"': _DOUBLE, "'": _SINGLE}.get(paragraph[:1])
    if pattern is None:
        return ""
    said = " ".join(part.strip() for part in pattern.findall(paragraph))
    if not said or len(said) > _LONGEST_SPEECH:
        return ""
    return said[:-1] + "." if said[-1] in ",;—" else said
