"""Pages of lore, as Markdown, MediaWiki markup, HTML or plain text -> an entry for each heading, and their dialogue."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath

from data.readers.fountain import plain, without
from data.readers.markup import looks_like_html, read_html
from data.readers.script import read_dialogue
from data.readers.wiki import from_wiki, looks_like_wiki, shown_by_link
from data.source import CHARACTER, USER, Lore, Scene, Source
from persona.errors import PersonaError
from persona.formats.folder import parse_scenes
from persona.formats.lore import without_comments

ENTRY_CHARACTERS = 1_200
"""Paragraphs of a text without headings are gathered to entries of about this length."""

_HEADING = re.compile(r"\s{0,3}(#{1,6})\s+(\S.*)")
_UNDERLINE = re.compile(r"\s{0,3}(?:={3,}|-{3,})")
_FRONT_MATTER_KEY = re.compile(
    r"(?:title|name|tags?|aliases|date|created|updated|modified|layout|type|category|categories|author|description|id|"
    r"cssclass(?:es)?|status|draft|slug|permalink|publish|weight)\s*[:=]",
    re.IGNORECASE,
)
_TITLE = re.compile(r"title\s*[:=]\s*(\S.*)", re.IGNORECASE)
_QUOTE_MARK = re.compile(r"\s{0,3}(?:>\s?)+(?:\[!\w{1,30}\][+-]?)?")
_ITEM = re.compile(r"\s*(?:[-*+•]|\d{1,3}[.)])\s+(?:\[[ xX]\]\s+)?(\S.*)")
_COLON = re.compile("[:：]")
_SEPARATOR = re.compile(r"[\s|:-]+")
_NO_WORDS = re.compile(r"(?:#[\w/-]+\s*)+|\[[^\[\]]+\]:\s*\S.*|\s*(?:```|~~~).*|(?:[^\w|]|_)+")
"""Lines of tags, definitions of links, fences, rules."""

_IMAGE = re.compile(r"!\[\[[^\[\]]*\]\]|!\[[^\[\]]*\]\([^()]*\)")
_WIKI_LINK = re.compile(r"\[\[([^\[\]]*)\]\]")
_LINK = re.compile(r"\[([^\[\]]*)\](?:\([^()]*(?:\([^()]*\)[^()]*)*\)|\[[^\[\]]*\])")
_FOOTNOTE = re.compile(r"\[\^[^\[\]\s]{1,40}\]:?")
_HTML_TAG = re.compile(r"<(?!user>|char>|bot>)/?[a-zA-Z][^<>]*>", re.IGNORECASE)
_STRUCK = re.compile(r"(~~|==)(?=[^\s~=])([^~=\n]*[^\s~=])\1")
_MARKED = re.compile(r"[\[\]<`*_~=\\!]")
_ESCAPE = re.compile(r"\\([\\`*_{}\[\]()#+.!|>~-])")


@dataclass
class _Section:
    """A heading and the lines under it, each with its number, counted from 0."""

    title: str
    lines: list[tuple[int, str]] = field(default_factory=list)


def read_pages(text: str, name: str) -> Source:
    """A page as lore, one entry for each heading of the first three levels, and its `Name: text` dialogue as scenes.

    Marks of markup go, links keep the words that are shown, tables and lists become lines. Text without headings gives
    entries of about `ENTRY_CHARACTERS`, titled after the front matter or the file. `name` is the file's. The place of an
    utterance is its line, or in HTML and MediaWiki the heading. Raises `PersonaError` for a page without words.
    """
    notes: list[str] = []
    if html := looks_like_html(text):
        text = read_html(text)
    title, text = _front_matter(text.removeprefix("\ufeff"), PurePath(name).stem.replace("_", " ").replace("-", " "))
    wiki = not html and looks_like_wiki(text)
    text = from_wiki(text, title, notes) if wiki else without(without_comments(text), "%%", "%%")
    sections = _sections(text.splitlines(), title)
    segments = [(section, list(_segments(section.lines))) for section in sections]
    known = {who for _, parts in segments for turns, _ in parts for who in _talkers(turns)}
    scenes: list[Scene] = []
    lore: list[Lore] = []
    for section, parts in segments:
        prose: list[tuple[int, str]] = []
        for turns, lines in parts:
            if len(turns) > 1 and {who for who, _ in turns} <= known:
                place = f"under {section.title!r}" if html or wiki else ""
                scenes += _scenes(lines, section.title, place)
                prose.append((0, ""))
            else:
                prose += lines
        lore += _entries(section.title, _paragraphs(prose), whole=len(sections) > 1)
    if not lore and not scenes:
        raise PersonaError("The page has no words.", where=name, fix="write what is true under a heading: ## The clock")
    return Source("page", name, scenes=tuple(scenes), lore=tuple(lore), notes=notes)


def _front_matter(text: str, title: str) -> tuple[str, str]:
    """(the title that YAML or TOML above the page gives, else `title`; the page with empty lines in its place)."""
    lines = text.split("\n")
    mark = lines[0].strip()
    end = (
        next((i for i, line in enumerate(lines[1:400], 1) if line.strip() == mark), 0) if mark in ("---", "+++") else 0
    )
    if not any(_FRONT_MATTER_KEY.match(line) for line in lines[1:end]):
        return title, text
    found = next((found[1] for line in lines[1:end] if (found := _TITLE.fullmatch(line.strip()))), "")
    return found.strip().strip("\"'") or title, "\n" * (end + 1) + "\n".join(lines[end + 1 :])


def _sections(lines: Sequence[str], title: str) -> list[_Section]:
    """The page cut at its headings; what stands above the first is titled `title`."""
    sections = [_Section(title)]
    for number, line in enumerate(lines):
        heading = _HEADING.fullmatch(line)
        own = sections[-1].lines
        if heading and len(heading[1]) <= 3:
            sections.append(_Section(_plain(heading[2].rstrip().rstrip("#").rstrip())))
        elif _UNDERLINE.fullmatch(line.rstrip()) and own and _may_be_title(own):
            sections.append(_Section(_plain(own.pop()[1].strip())))
        else:
            own += [(number, ""), (number, heading[2]), (number, "")] if heading else [(number, line)]
    return [section for section in sections if any(line.strip() for _, line in section.lines)]


def _may_be_title(lines: list[tuple[int, str]]) -> bool:
    last = lines[-1][1].strip()
    alone = len(lines) == 1 or not lines[-2][1].strip()
    return alone and 0 < len(last) <= 80 and last[0] not in "-*>|" and not _is_labelled(last)


def _segments(lines: list[tuple[int, str]]) -> Iterator[tuple[list[tuple[str, str]], list[tuple[int, str]]]]:
    """(turns, lines) of each run of `Name: text`, and of the prose between, which has no turns.

    What follows a label without a gap belongs to it.
    """
    part: list[tuple[int, str]] = []
    talking = after_blank = False
    for number, raw in lines:
        line = _QUOTE_MARK.sub("", raw, count=1)
        labelled = _is_labelled(line)
        goes_on = talking and (not line.strip() or not after_blank)
        if labelled != talking and not goes_on:
            if part:
                yield (_turns(part) if talking else []), part
            part, talking = [], labelled
        part.append((number, line))
        after_blank = not line.strip()
    if part:
        yield (_turns(part) if talking else []), part


def _turns(lines: Sequence[tuple[int, str]]) -> list[tuple[str, str]]:
    return [turn for scene in parse_scenes("\n".join(line for _, line in lines), "") for turn in scene.turns]


def _is_labelled(line: str) -> bool:
    return bool(_COLON.search(line, 0, 120)) and bool(_turns([(0, line)]))


def _talkers(turns: list[tuple[str, str]]) -> set[str]:
    """Who speaks in a run that is dialogue for certain: somebody speaks again, or in quotation marks.

    A list of properties ("Age: 30") is none.
    """
    speakers = {who for who, _ in turns}
    quoted = sum(said[0] in '"“„«*' for _, said in turns)
    marked = any(who.casefold() in (CHARACTER, USER) for who in speakers)
    sure = len(turns) > 1 and (len(speakers) < len(turns) or 2 * quoted >= len(turns))
    return speakers if sure or marked else set()


def _scenes(lines: list[tuple[int, str]], title: str, place: str) -> Iterator[Scene]:
    """The scenes of a run, titled after their heading; `place` stands for lines that are not those of the file."""
    for scene in read_dialogue("\n".join(_words(line) for _, line in lines), lines[0][0] + 1):
        spoken = tuple(replace(u, place=place) if place else u for u in scene.utterances)
        yield Scene(spoken, scene.title or title)


def _paragraphs(lines: list[tuple[int, str]]) -> Iterator[str]:
    """The prose of a section: wrapped lines joined, list items and rows of tables each on a line."""
    block: list[str] = []
    for _, line in [*lines, (0, "")]:
        if line.strip() and not _NO_WORDS.fullmatch(line.strip()):
            block.append(line)
        elif block and not line.strip():
            if text := _block(block):
                yield text
            block = []


def _block(lines: list[str]) -> str:
    if all("|" in line for line in lines) and (len(lines) > 1 or lines[0].strip().startswith("|")):
        return "\n".join(filter(None, map(_plain, _table(lines))))
    parts: list[str] = []
    items: set[int] = set()
    for line in lines:
        item = _ITEM.fullmatch(line)
        apart = item or _is_labelled(line)
        if apart or not parts:
            items |= {len(parts)} if apart else set()
            parts.append((item[1] if item else line).strip())
        else:
            parts[-1] += " " + line.strip()
    return "\n".join(
        filter(None, (_sentence(_plain(part)) if i in items else _plain(part) for i, part in enumerate(parts)))
    )


def _table(lines: list[str]) -> Iterator[str]:
    """A sentence for each row: "Key: value.", or the first cell and what the others say under their headings."""
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    header: list[str] = []
    if len(rows) > 1 and _SEPARATOR.fullmatch(lines[1].strip()):
        header, rows = rows[0], rows[2:]
    for first, *others in rows:
        named = [
            f"{header[i]}: {cell}" if i < len(header) and len(others) > 1 else cell
            for i, cell in enumerate(others, 1)
            if cell
        ]
        yield _sentence(f"{first}: {'; '.join(named)}" if named and first else first or "; ".join(named))


def _sentence(text: str) -> str:
    return f"{text}." if text[-1:].isalnum() else text


def _entries(title: str, paragraphs: Iterator[str], whole: bool) -> Iterator[Lore]:
    """One entry, or where the page has no headings, as many as its length asks for, numbered from the second on."""
    entries: list[list[str]] = [[]]
    for paragraph in paragraphs:
        if not whole and sum(map(len, entries[-1])) + len(paragraph) > ENTRY_CHARACTERS and entries[-1]:
            entries.append([])
        entries[-1].append(paragraph)
    for number, entry in enumerate(entries, 1):
        if entry:
            yield Lore(title if number == 1 else f"{title} ({number})", "\n\n".join(entry))


def _words(text: str) -> str:
    """A text without pictures, notes and tags, and with the shown words of its links; marks of emphasis stay."""
    text = _WIKI_LINK.sub(lambda link: shown_by_link(link[1]), _IMAGE.sub("", text))
    return _HTML_TAG.sub("", _FOOTNOTE.sub("", _LINK.sub(r"\1", text)))


def _plain(text: str) -> str:
    """The words of a text on one line."""
    if _MARKED.search(text):
        text = _ESCAPE.sub(r"\1", plain(_STRUCK.sub(r"\2", _words(text).replace("`", ""))))
    return " ".join(text.split())
