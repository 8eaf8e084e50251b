"""MediaWiki markup -> Markdown, as far as pages of lore need it."""

import re
from collections.abc import Callable

from data.readers.fountain import without
from persona.formats.lore import without_comments

_HEADING = re.compile(r"^(={1,6})([^=\n]+)={1,6}[ \t]*$", re.MULTILINE)
_BRACES = re.compile(r"(\{\{|\}\})")
_BRACKETS = re.compile(r"(\[\[|\]\])")
_NO_LINK = re.compile(r"\s*:?(?:file|image|category|datei|bild|kategorie|fichier|catégorie)\s*:", re.IGNORECASE)
_EXTERNAL = re.compile(r"\[(?:https?:)?//[^\s\[\]]+ ?([^\[\]]*)\]")
_LIST = re.compile(r"^[*#:;]+[ \t]*", re.MULTILINE)
_MARKS = re.compile(r"'{2,}|__[A-Z]{3,20}__|<ref\b[^<>]*/>")
_FIELD = re.compile(r"\s*([A-Za-z][A-Za-z ]{1,24}?)[\d_]*\s*=\s*([^={}\[\]<>\n]{1,60})\s*")
_LOOKS = frozenset("image caption name title width size color colour style alt bgcolor imagecaption box class".split())
"""Fields of an infobox that say how it looks."""


def looks_like_wiki(text: str) -> bool:
    """Whether a text has headings, or bold words and links, as MediaWiki writes them."""
    return bool(_HEADING.search(text) or ("'''" in text and "[[" in text))


def from_wiki(text: str, subject: str, notes: list[str]) -> str:
    """MediaWiki markup as Markdown; an infobox becomes sentences about `subject`, as far as its fields are simple.

    Other templates, tables, references, files and categories go; `notes` say what that cost.
    """
    text = without(_MARKS.sub("", without_comments(text)), "<ref", "</ref>")
    bare = without(text, "\n{|", "\n|}")
    if bare != text:
        notes.append("Tables in MediaWiki markup were left out.")
    dropped: list[str] = []
    text = _nested(bare, _BRACES, lambda content: _template(content, subject, dropped))
    text = _nested(text, _BRACKETS, lambda content: "" if _NO_LINK.match(content) else shown_by_link(content))
    if dropped:
        notes.append(f"{len(dropped):,} fields of infoboxes were left out, as they make no simple sentence.")
    text = _LIST.sub(lambda mark: "- " if mark[0][0] in "*#" else "", _EXTERNAL.sub(r"\1", text))
    return _HEADING.sub(lambda found: f"\n{'#' * len(found[1])} {found[2].strip()}\n", text)


def shown_by_link(link: str) -> str:
    """What a link in double brackets shows: the words after the bar, else the page without the place in it."""
    page, _, words = link.rpartition("|")
    return words if page else words.partition("#")[0] or words.lstrip("#^")


def _nested(text: str, marks: re.Pattern[str], change: Callable[[str], str]) -> str:
    """The text with what stands between each pair of marks changed, inner pairs first; a mark without a partner goes."""
    stack: list[list[str]] = [[]]
    for token in marks.split(text):
        if token in ("{{", "[["):
            stack.append([])
        elif token in ("}}", "]]"):
            closed = stack.pop() if len(stack) > 1 else []
            stack[-1].append(change("".join(closed)) if closed else "")
        else:
            stack[-1].append(token)
    return "".join(part for parts in stack for part in parts)


def _template(content: str, subject: str, dropped: list[str]) -> str:
    """What stays of a template: the macros of cards, and an infobox's simple fields as sentences about `subject`."""
    name, *fields = content.split("|")
    if name.strip().casefold() in ("char", "user"):
        return "{{" + name.strip().casefold() + "}}"
    if not name.strip().casefold().startswith(("infobox", "character")):
        return ""
    sentences: list[str] = []
    for part in fields:
        found = _FIELD.fullmatch(part)
        key = found[1].strip().lower() if found else ""
        if found and key not in _LOOKS and len(key.split()) <= 2 and found[2].strip():
            verb = "are" if key.endswith("s") and not key.endswith("ss") else "is"
            sentences.append(f"{subject}'s {key} {verb} {found[2].strip()}.")
        elif not found and part.partition("=")[2].strip():
            dropped.append(part)
    return "\n" + " ".join(sentences) + "\n"
