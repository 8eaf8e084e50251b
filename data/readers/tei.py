"""Plays in TEI XML -> scenes: every `<sp>` is a speech, its speaker named by `who` and the cast list."""

import re
from collections.abc import Iterator
from itertools import groupby
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from data.source import Quarantined, Scene, Source, Utterance
from persona.errors import PersonaError
from persona.formats.text import TEXT_BYTES

MAX_DEPTH = 100
MAX_ELEMENTS = 500_000
"""A play of Shakespeare's with every word marked has about 60,000."""

_ROOT = re.compile(r"<(?:\w+:)?(?:TEI(?:\.2)?|teiCorpus(?:\.2)?)[\s>]")
_ID = "{http://www.w3.org/XML/1998/namespace}id"
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_LINE = "line"
_DIVISION = re.compile(r"div[0-7]?")
_SILENT = frozenset("speaker note fw figure pb cb gb milestone gap del bibl index".split())
_DIRECTION_ALONE = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_BLOCKS = frozenset("l p ab lg".split())
_REPLACED = frozenset("orig sic abbr".split())
"""What stands in a `<choice>` beside its regularised, corrected or expanded form."""


def looks_like_tei(text: str) -> bool:
    """Whether a text begins as a TEI document, whatever TEI it holds."""
    return bool(_ROOT.search(text[:20_000]))


def read_tei(data: bytes, name: str) -> Source:
    """The play in a TEI document (TEI P5, `sp`; DraCor's corpora), one scene for each division with speeches.

    Stage directions within a speech stay in it, in parentheses. Speeches without words are quarantined. Raises
    `PersonaError` naming `name` for what `parse_xml` refuses and for a text in which nobody speaks.
    """
    root = parse_xml(data, name)
    names = _cast(root)
    quarantined: list[Quarantined] = []
    scenes = []
    for (_, title), speeches in groupby(_speeches(root, (), [0]), key=lambda speech: speech[:2]):
        spoken = []
        for _, _, speech in speeches:
            who, text = _speaker(speech, names), _text(speech)
            if who and text and not _DIRECTION_ALONE.fullmatch(text):
                spoken.append(Utterance(who, text, f"line {speech.get(_LINE)}", rule="sp"))
            else:
                reason = "a speech without words" if who else "a speech without a speaker"
                quarantined.append(Quarantined(f"line {speech.get(_LINE)}", reason))
        if spoken:
            scenes.append(Scene(tuple(spoken), title))
    if not scenes:
        raise PersonaError(
            "Nobody speaks in this TEI document: it has no <sp>.",
            where=name,
            fix="a play, or the text of the novel as a plain text file",
        )
    licence = _first(root, "licence")
    return Source(
        "script",
        name,
        scenes=tuple(scenes),
        language=_language(root),
        licence="" if licence is None else (_flat(licence) or licence.get("target", ""))[:200],
        quarantined=tuple(quarantined),
    )


def parse_xml(data: bytes, where: str) -> Element:
    """The tree of an XML document of a stranger, names without their namespaces, `sp` with its line.

    Raises `PersonaError` for more than `TEXT_BYTES`, `MAX_DEPTH` or `MAX_ELEMENTS`, for a DOCTYPE or an entity of its
    own (which could grow without end, or name other files), and for what is no XML, with line and column.
    """
    if len(data) > TEXT_BYTES:
        raise PersonaError(f"The XML has {len(data):,} bytes.", where=where, fix=f"at most {TEXT_BYTES:,} bytes")
    builder = TreeBuilder()
    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    depth = count = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth, count
        depth, count = depth + 1, count + 1
        if depth > MAX_DEPTH or count > MAX_ELEMENTS:
            what = f"nested more than {MAX_DEPTH} deep" if depth > MAX_DEPTH else f"of over {MAX_ELEMENTS:,} elements"
            raise PersonaError(f"The XML is {what}.", where=f"{where}, line {parser.CurrentLineNumber}")
        own = {"{" + key if "}" in key else key: value for key, value in attributes.items()} if attributes else {}
        local = tag.rpartition("}")[2]
        builder.start(local, own | {_LINE: str(parser.CurrentLineNumber)} if local == "sp" else own)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag.rpartition("}")[2])

    def refuse(*_: object) -> None:
        raise PersonaError(
            "The XML declares a DOCTYPE or entities of its own, which are not read.",
            where=f"{where}, line {parser.CurrentLineNumber}",
            fix="remove the <!DOCTYPE ...> and write the characters themselves",
        )

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    try:
        parser.Parse(data, True)
        return builder.close()
    except expat.ExpatError as error:
        place = f"{where}, line {error.lineno}, column {error.offset + 1}"
        raise PersonaError(f"This is not XML: {expat.ErrorString(error.code)}.", where=place) from None
    except (ValueError, LookupError) as error:
        raise PersonaError(f"The XML cannot be read: {error}.", where=where, fix="save it as UTF-8") from None


def _speeches(element: Element, title: tuple[str, ...], division: list[int]) -> Iterator[tuple[int, str, Element]]:
    """(number of the division, its title, speech) in order; `division` counts them."""
    here = division[0]
    for child in element:
        if child.tag == "sp":
            yield here, " ".join(title), child
        elif _DIVISION.fullmatch(child.tag):
            division[0] += 1
            head = child.find("head")
            inner = title if head is None else (*title, _flat(head))
            yield from _speeches(child, inner, division)
            division[0] += 1
            here = division[0]
        elif child.tag != "teiHeader":
            yield from _speeches(child, title, division)
            here = division[0]


def _cast(root: Element) -> dict[str, str]:
    """The names of the people by their ids; a group's name ("Soldiers, Servants") says nobody's."""
    names: dict[str, str] = {}
    for element in root.iter():
        if element.tag not in ("person", "castItem", "role"):
            continue
        named = element if element.tag == "role" else next(_within(element, ("persName", "role", "name")), None)
        own = element.get(_ID, "")
        called = "" if named is None else _flat(named).rstrip(" .,;:")
        if own and called and called != own and len(called) <= 80:
            names.setdefault(own, called)
    return names


def _within(element: Element, tags: tuple[str, ...]) -> Iterator[Element]:
    return (inner for tag in tags for inner in element.iter(tag))


def _speaker(speech: Element, names: dict[str, str]) -> str:
    """Who speaks: the first of `who` by the cast list, or else by the first label that this id stood beside."""
    label = speech.find("speaker")
    written = "" if label is None else _flat(label).strip("[]()").rstrip(" .,;:")
    ids = speech.get("who", "").split()
    if not ids:
        return written
    first = ids[0].rpartition("#")[2]
    if first not in names and (written or first):
        names[first] = written or first
    return names.get(first, "")


def _text(speech: Element) -> str:
    """The words of a speech, a line for each line of verse and each paragraph."""
    pieces: list[str] = []
    _collect(speech, pieces)
    lines = (" ".join(line.split()) for line in "".join(pieces).split("\n"))
    return "\n".join(line for line in lines if line)


def _collect(element: Element, pieces: list[str]) -> None:
    pieces.append((element.text or "").replace("\n", " "))
    for child in element:
        if child.tag == "stage":
            direction = _flat(child)
            bare = direction and direction[0] not in "([" and direction[-1] not in ")]"
            pieces.append(f" ({direction}) " if bare else f" {direction} ")
        elif child.tag == "lb":
            pieces.append(" ")
        elif child.tag in _BLOCKS:
            pieces.append("\n")
            _collect(child, pieces)
            pieces.append("\n")
        elif child.tag not in _SILENT and not (element.tag == "choice" and child.tag in _REPLACED):
            _collect(child, pieces)
        pieces.append((child.tail or "").replace("\n", " "))


def _flat(element: Element) -> str:
    """The words of an element on one line."""
    pieces: list[str] = []
    _collect(element, pieces)
    return " ".join("".join(pieces).split())


def _first(root: Element, tag: str) -> Element | None:
    return next(root.iter(tag), None)


def _language(root: Element) -> str:
    listed = _first(root, "language")
    return root.get(_LANGUAGE, "") or ("" if listed is None else listed.get("ident", ""))
