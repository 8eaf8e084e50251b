"""E-books (EPUB 2 and 3) -> the text of their chapters in reading order; nothing is unpacked to disk."""

import io
import posixpath
import re
import stat
import struct
import zipfile
import zlib
from dataclasses import dataclass
from urllib.parse import unquote
from xml.etree.ElementTree import Element

from data.readers.markup import read_html
from data.readers.tei import parse_xml
from persona.errors import PersonaError
from persona.formats.charx import MAX_MEMBERS, MAX_RATIO, SIGNATURE
from persona.formats.text import TEXT_BYTES, decode_text

EPUB_BYTES = 64 * 1024 * 1024
"""The largest book that is read, pictures included."""

_MIMETYPE = b"application/epub+zip"
_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_END = b"PK\x05\x06"
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
    """An e-book: what it says of itself, and (title, text) of its chapters; `notes` say what was left out."""

    title: str
    author: str
    language: str
    chapters: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """All chapters as one plain text, paragraphs apart by blank lines."""
        return "\n\n".join(text for _, text in self.chapters)


def looks_like_epub(data: bytes) -> bool:
    """Whether a file is an EPUB by what it holds: its `mimetype` at the start, or else its container file."""
    named = data[30:38] == b"mimetype" and _MIMETYPE in data[38:200]
    return data.startswith(SIGNATURE) and (named or _CONTAINER.encode() in data)


def read_epub(data: bytes, where: str) -> Book:
    """The chapters of a book in the order of its spine, without cover, title page and table of contents.

    Raises `PersonaError` naming `where` for a damaged or encrypted book, and for one over the limits: `EPUB_BYTES`,
    `MAX_MEMBERS` files, `MAX_RATIO` for one of them, `TEXT_BYTES` of chapters. A chapter that is missing is noted.
    """
    if len(data) > EPUB_BYTES:
        raise PersonaError(f"The book has {len(data):,} bytes.", where=where, fix=f"at most {EPUB_BYTES:,} bytes")
    claimed = _members_claimed(data, where)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if len(archive.infolist()) != claimed:
                raise PersonaError("The archive does not have the files that its table claims.", where=where)
            return _read_book(archive, _members(archive, where), where)
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        OSError,
        ValueError,
        NotImplementedError,
        RuntimeError,
        struct.error,
    ) as error:
        raise PersonaError(f"The book is damaged or of an unknown kind: {error}.", where=where) from None


def _members_claimed(data: bytes, where: str) -> int:
    """How many files the archive says it has: `zipfile` makes an object of each before anybody can count them."""
    end = len(data) - 22 if data[-22:-18] == _END else data.rfind(_END, max(0, len(data) - 65_557))
    if not data.startswith(SIGNATURE) or end < 0 or len(data) < end + 22:
        raise PersonaError("The book is no ZIP archive, or it is cut off.", where=where, fix="download it again")
    members: int
    members, table_bytes = struct.unpack_from("<HI", data, end + 10)
    if members > MAX_MEMBERS or table_bytes > MAX_MEMBERS * 512 or data[max(0, end - 20) : end].startswith(b"PK\6\7"):
        raise PersonaError(f"The archive has more than {MAX_MEMBERS:,} files.", where=where)
    return members


def _members(archive: zipfile.ZipFile, where: str) -> dict[str, zipfile.ZipInfo]:
    """The files of the archive by name. Raises `PersonaError` for two of one name, links, and files that inflate."""
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        shown = repr(member.filename[:80])
        if member.filename in members:
            raise PersonaError(f"The archive holds two files named {shown}.", where=where)
        if stat.S_ISLNK(member.external_attr >> 16):
            raise PersonaError(f"The archive holds a link: {shown}.", where=where)
        if member.file_size > 1_000_000 and member.file_size > MAX_RATIO * max(member.compress_size, 1):
            raise PersonaError(f"{shown} in the archive inflates to {member.file_size:,} bytes.", where=where)
        members[member.filename] = member
    return members


def _read_book(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], where: str) -> Book:
    if _ENCRYPTION in members:
        _refuse_locked(parse_xml(_read(archive, members[_ENCRYPTION], where), f"{where}, {_ENCRYPTION}"), where)
    if _CONTAINER not in members:
        raise PersonaError(f"The archive holds no {_CONTAINER}.", where=where, fix="an EPUB file")
    container = parse_xml(_read(archive, members[_CONTAINER], where), f"{where}, {_CONTAINER}")
    paths = [file.get("full-path", "") for file in container.iter("rootfile")]
    path = next((path for path in paths if path in members), None)
    if path is None:
        raise PersonaError("The book does not say where its contents are listed.", where=f"{where}, {_CONTAINER}")
    package = parse_xml(_read(archive, members[path], where), f"{where}, {path}")
    chapters: list[tuple[str, str]] = []
    notes: list[str] = []
    size = 0
    for page in _spine(package, path):
        if page not in members:
            notes.append(f"The chapter {page!r} is missing in the book.")
            continue
        content = _read(archive, members[page], where)
        size += len(content)
        if size > TEXT_BYTES:
            raise PersonaError(f"The chapters have more than {TEXT_BYTES:,} bytes.", where=where, fix="a shorter book")
        title, text = _chapter(content, f"{where}, {page}", notes)
        if text:
            chapters.append((title, text))
    if not chapters:
        raise PersonaError("The book has no text.", where=where, fix="a book of words: this one may be all pictures")
    about = {tag: _said(package, tag) for tag in ("title", "creator", "language")}
    return Book(about["title"], about["creator"], about["language"], tuple(chapters), tuple(dict.fromkeys(notes)))


def _refuse_locked(encryption: Element, where: str) -> None:
    for item in encryption.iter("EncryptedData"):
        method = item.find("EncryptionMethod")
        if method is None or method.get("Algorithm") not in _FONTS_ONLY:
            raise PersonaError(
                "The book is locked by copy protection (DRM), and its text cannot be read.",
                where=f"{where}, {_ENCRYPTION}",
                fix="a copy without protection, such as one from Project Gutenberg",
            )


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> bytes:
    """The content of a file, at most `TEXT_BYTES`, by the two ways of packing that an EPUB may use."""
    shown = repr(member.filename[:80])
    if member.flag_bits & 1:
        raise PersonaError(f"The file {shown} in the book is encrypted.", where=where)
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise PersonaError(f"The file {shown} is packed in a way that books may not use.", where=where)
    with archive.open(member) as file:
        content = file.read(TEXT_BYTES + 1)
    if len(content) > TEXT_BYTES:
        raise PersonaError(f"The file {shown} has more than {TEXT_BYTES:,} bytes.", where=where)
    return content


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


def _chapter(content: bytes, where: str, notes: list[str]) -> tuple[str, str]:
    """(title, text) of a page; its first heading is its title, and headings lose their marks."""
    declared = _ENCODING.match(content)
    try:
        page = content.decode(declared[1].decode()) if declared else decode_text(content, where, notes)
    except (LookupError, UnicodeError):
        page = decode_text(content, where, notes)
    text = read_html(page.removeprefix("\ufeff").replace("\0", ""))
    heading = _HEADING.search(text)
    return (heading[1] if heading else ""), _HEADING.sub(r"\1", text)


def _said(package: Element, tag: str) -> str:
    """What the book says of itself under `tag`, the first time."""
    element = next(package.iter(tag), None)
    return "" if element is None else " ".join("".join(element.itertext()).split())[:200]
