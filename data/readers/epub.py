"""E-books (EPUB 2 and 3) -> the text of their chapters in reading order; nothing is unpacked to disk."""

import io
import posixpath
import re
import zipfile
from dataclasses import dataclass
from urllib.parse import unquote
from xml.etree.ElementTree import Element

from data.readers.markup import read_html
from data.readers.tei import parse_xml
from persona.errors import PersonaError
from persona.formats.archive import SIGNATURE, open_archive, read_member
from persona.formats.text import TEXT_BYTES, decode_text

EPUB_BYTES = 64 * 1024 * 1024
"""The largest book that is read, pictures included."""

_MIMETYPE = b"application/epub+zip"
_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_FONTS_ONLY = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
"""The two ways of disguising fonts, which leave the text readable."""
_PAGES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml", "text/x-oeb1-document")
_NO_CHAPTERS = re.compile(r"(?:book-?)?(?:cover|toc|nav|contents|title-?page)(?:-?page)?", re.IGNORECASE)
_PASSED = ("cover", "toc", "title-page", "titlepage")
_HEADING = re.compile(r"^#{1,6} (.*)$", re.MULTILINE)
_ENCODING = re.compile(
    rb"<\?xml[^>]{0,200}encoding=[\"']"
    rb"(utf-?(?:8|16)|us-ascii|iso-8859-\d+|windows-125\d|koi8-\w|gb\w+|big5|shift_jis|euc-\w+)[\"']",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Book:
    """The chapters of an e-book as one plain text, paragraphs apart by blank lines; `notes` say what was left out."""

    text: str
    notes: tuple[str, ...] = ()


def looks_like_epub(data: bytes) -> bool:
    """Whether a file is an EPUB by what it holds: its `mimetype` at the start, or else its container file."""
    named = data[30:38] == b"mimetype" and _MIMETYPE in data[38:200]
    return data.startswith(SIGNATURE) and (named or _CONTAINER.encode() in data)


def read_epub(data: bytes, where: str) -> Book:
    """The chapters of a book in the order of its spine, without cover, title page and table of contents.

    Raises `PersonaError` naming `where` for copy protection, for more than `EPUB_BYTES`, or `TEXT_BYTES` of chapters, and
    for what `open_archive` and `parse_xml` refuse. A chapter that is missing is noted.
    """
    if len(data) > EPUB_BYTES:
        raise PersonaError(f"The book has {len(data):,} bytes.", where=where, fix=f"at most {EPUB_BYTES:,} bytes")
    with open_archive(io.BytesIO(data), where) as archive:
        return _read_book(archive, where)


def _read_book(archive: zipfile.ZipFile, where: str) -> Book:
    names = frozenset(archive.namelist())
    if _ENCRYPTION in names:
        _refuse_locked(_read_xml(archive, _ENCRYPTION, where), where)
    if _CONTAINER not in names:
        raise PersonaError(f"The archive holds no {_CONTAINER}.", where=where, fix="an EPUB file")
    listed = [file.get("full-path", "") for file in _read_xml(archive, _CONTAINER, where).iter("rootfile")]
    path = next((path for path in listed if path in names), None)
    if path is None:
        raise PersonaError("The book does not say where its contents are listed.", where=f"{where}, {_CONTAINER}")
    chapters: list[str] = []
    notes: list[str] = []
    size = 0
    for page in _spine(_read_xml(archive, path, where), path):
        if page not in names:
            notes.append(f"The chapter {page!r} is missing in the book.")
            continue
        content = read_member(archive, page, TEXT_BYTES, where)
        size += len(content)
        if size > TEXT_BYTES:
            raise PersonaError(f"The chapters have more than {TEXT_BYTES:,} bytes.", where=where, fix="a shorter book")
        chapters.append(_chapter(content, f"{where}, {page}", notes))
    text = "\n\n".join(filter(None, chapters))
    if not text:
        raise PersonaError("The book has no text.", where=where, fix="a book of words: this one may be all pictures")
    return Book(text, tuple(dict.fromkeys(notes)))


def _read_xml(archive: zipfile.ZipFile, name: str, where: str) -> Element:
    return parse_xml(read_member(archive, name, TEXT_BYTES, where), f"{where}, {name}")


def _refuse_locked(encryption: Element, where: str) -> None:
    for item in encryption.iter("EncryptedData"):
        method = item.find("EncryptionMethod")
        if method is None or method.get("Algorithm") not in _FONTS_ONLY:
            raise PersonaError(
                "The book is locked by copy protection (DRM), and its text cannot be read.",
                where=f"{where}, {_ENCRYPTION}",
                fix="a copy without protection, such as one from Project Gutenberg",
            )


def _spine(package: Element, path: str) -> list[str]:
    """The names of the pages in reading order, each once; cover, title page and contents are passed."""
    items = {item.get("id"): item for item in package.iter("item")}
    folder = posixpath.dirname(path)
    passed = {_resolve(folder, ref.get("href", "")) for ref in package.iter("reference") if ref.get("type") in _PASSED}
    pages: dict[str, None] = {}
    for reference in package.iter("itemref"):
        item = items.get(reference.get("idref"))
        if item is None or item.get("media-type") not in _PAGES or "nav" in item.get("properties", "").split():
            continue
        page = _resolve(folder, item.get("href", ""))
        stem = posixpath.splitext(posixpath.basename(page))[0]
        if page not in passed and not _NO_CHAPTERS.fullmatch(stem):
            pages[page] = None
    return list(pages)


def _resolve(folder: str, reference: str) -> str:
    return posixpath.normpath(posixpath.join(folder, unquote(reference.partition("#")[0])))


def _chapter(content: bytes, where: str, notes: list[str]) -> str:
    """The text of a page; headings lose their marks."""
    declared = _ENCODING.match(content)
    try:
        page = content.decode(declared[1].decode()) if declared else decode_text(content, where, notes)
    except (LookupError, UnicodeError):
        page = decode_text(content, where, notes)
    return _HEADING.sub(r"\1", read_html(page.removeprefix("\ufeff").replace("\0", "")))
