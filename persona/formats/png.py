"""Card texts in a PNG or APNG: chunks are walked, pixels are never decoded."""

import base64
import binascii
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from persona.errors import PersonaError
from persona.formats.json import JSON_BYTES

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_BYTES = 64 * 1024 * 1024
"""The largest picture that is read."""
MAX_CHUNKS = 100_000

_TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")
_KEYWORDS = ("ccv3", "chara")
_BASE64_BYTES = JSON_BYTES * 4 // 3 + 4


@dataclass(frozen=True, slots=True)
class _Chunk:
    kind: bytes
    start: int
    data: memoryview
    crc: int


def read_card_text(png: bytes, where: str, notes: list[str]) -> bytes:
    """The JSON text of the card in a picture: `ccv3` before `chara` (Character Card V3), in tEXt, zTXt or iTXt.

    Only text chunks are read, and their checksums verified. Raises `PersonaError` naming `where` when there is no card,
    or when it is damaged or over the size limit; a choice between several texts is added to `notes`.
    """
    found: dict[str, list[bytes]] = {}
    for chunk in _chunks(png, where):
        if chunk.kind in _TEXT_CHUNKS and (keyword := _keyword(chunk)) in _KEYWORDS:
            if zlib.crc32(chunk.data, zlib.crc32(chunk.kind)) != chunk.crc:
                raise PersonaError(
                    f"The card in the picture is damaged: wrong checksum at byte {chunk.start:,}.", where=where
                )
            text = _text_of(chunk, where)
            if text not in found.setdefault(keyword, []):
                found[keyword].append(text)
            if sum(map(len, found[keyword])) > 2 * _BASE64_BYTES:
                raise PersonaError("The picture holds too many card texts.", where=where)
    if not found:
        raise PersonaError(
            "The picture holds no character card.", where=where, fix="the original file: websites often strip the card"
        )
    keyword = next(k for k in _KEYWORDS if k in found)
    if len(found) > 1:
        notes.append("The picture holds a V3 (ccv3) and a V2 (chara) card: V3 was read.")
    if len(found[keyword]) > 1:
        notes.append(f"The picture holds {len(found[keyword])} different {keyword} cards: the first was read.")
    return _from_base64(found[keyword][0], where)


def embed_card_texts(png: bytes, texts: dict[str, bytes], where: str) -> bytes:
    """The same picture with `texts` (keyword -> JSON) as tEXt chunks before IEND, in the place of any card it held."""
    parts = [SIGNATURE]
    for chunk in _chunks(png, where):
        end = chunk.start + 12 + len(chunk.data)
        if chunk.kind == b"IEND":
            for keyword, text in texts.items():
                parts.append(_chunk_bytes(b"tEXt", keyword.encode("latin-1") + b"\0" + base64.b64encode(text)))
        if not (chunk.kind in _TEXT_CHUNKS and _keyword(chunk) in _KEYWORDS):
            parts.append(png[chunk.start : end])
    return b"".join(parts)


def _chunk_bytes(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _chunks(png: bytes, where: str) -> Iterator[_Chunk]:
    """Every chunk up to and with IEND; a file that ends before it is refused."""
    if not png.startswith(SIGNATURE):
        raise PersonaError("The file is not a PNG picture.", where=where)
    view = memoryview(png)
    start = len(SIGNATURE)
    for _ in range(MAX_CHUNKS):
        if start + 12 > len(png):
            raise PersonaError("The picture is cut off: it has no end.", where=where, fix="download it again")
        length, kind = struct.unpack_from(">I4s", png, start)
        end = start + 12 + length
        if end > len(png):
            raise PersonaError(
                f"The picture is cut off in a chunk at byte {start:,}.", where=where, fix="download it again"
            )
        yield _Chunk(kind, start, view[start + 8 : end - 4], struct.unpack_from(">I", png, end - 4)[0])
        if kind == b"IEND":
            return
        start = end
    raise PersonaError(f"The picture has more than {MAX_CHUNKS:,} chunks.", where=where)


def _keyword(chunk: _Chunk) -> str:
    """The keyword of a text chunk, in lower case: the first card tools wrote `Chara`."""
    return bytes(chunk.data[:80]).partition(b"\0")[0].decode("latin-1").lower()


def _text_of(chunk: _Chunk, where: str) -> bytes:
    """The text after a chunk's keyword, inflated where it is compressed (PNG specification, 11.3.3)."""
    data = bytes(chunk.data[: _BASE64_BYTES + 1024])
    _, _, rest = data.partition(b"\0")
    compressed = chunk.kind == b"zTXt"
    if chunk.kind == b"zTXt":
        method, rest = rest[:1], rest[1:]
    elif chunk.kind == b"iTXt":
        compressed, method, rest = rest[:1] == b"\1", rest[1:2], rest[2:]
        rest = rest.split(b"\0", 2)[-1]
    if compressed and method != b"\0":
        raise PersonaError("The card in the picture is compressed in an unknown way.", where=where)
    text = _inflate(rest, where) if compressed else rest
    if len(text) > _BASE64_BYTES or len(chunk.data) > len(data):
        raise PersonaError(f"The card text is larger than {JSON_BYTES:,} bytes.", where=where)
    return text


def _inflate(data: bytes, where: str) -> bytes:
    """Decompress at most one byte more than is allowed: a small file can hold gigabytes."""
    stream = zlib.decompressobj()
    try:
        text = stream.decompress(data, _BASE64_BYTES + 1)
    except zlib.error as error:
        raise PersonaError(f"The card in the picture is damaged: {error}.", where=where) from None
    if len(text) <= _BASE64_BYTES and not stream.eof:
        raise PersonaError("The card in the picture is cut off.", where=where)
    return text


def _from_base64(text: bytes, where: str) -> bytes:
    text = b"".join(text.split())
    if text.startswith(b"{"):
        return text
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise PersonaError("The card in the picture is damaged: it is not base64.", where=where) from None
