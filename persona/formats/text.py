"""Files of strangers -> text: a size cap before reading, every encoding named, no guess unsaid."""

import re
import stat
from pathlib import Path

from persona.errors import PersonaError

TEXT_BYTES = 16 * 1024 * 1024
"""The largest text file that is read; a long novel is under 4 MB."""

CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What a terminal obeys instead of showing: C0 without tab and newline, C1, line and bidirectional controls; and
surrogates, which cannot be printed at all."""

_ENCODED_SURROGATE = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


def read_bytes(path: Path, limit: int = TEXT_BYTES) -> bytes:
    """The content of a regular file. Raises `PersonaError` when there is none, or when it has more than `limit` bytes."""
    data = read_start(path, limit + 1)
    if len(data) > limit:
        size = path.stat().st_size
        raise PersonaError(
            f"{path.name} has {size:,} bytes.", where=str(path), fix=f"a file of at most {limit:,} bytes"
        )
    return data


def read_start(path: Path, count: int) -> bytes:
    """The first `count` bytes of a regular file; folders, and pipes and devices, which may not end, are refused."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "no regular file"
            raise PersonaError(f"{path.name or str(path)} is {kind}.", where=str(path), fix="the path of a file")
        with path.open("rb") as file:
            return file.read(count)
    except FileNotFoundError:
        raise PersonaError(
            f"There is no file {path.name!r}.", where=str(path), fix=f"check the name: ls {path.parent}"
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PersonaError(f"The file cannot be read: {reason}.", where=repr(str(path))) from None


def decode_text(data: bytes, where: str, notes: list[str] | None = None) -> str:
    """Text from bytes: UTF-8, or UTF-16 by its mark or its zeros, else the likeliest legacy encoding.

    Anything but plain UTF-8 adds a sentence to `notes`. Raises `PersonaError` naming `where` for bytes that are no text,
    and with line and column for a NUL character.
    """
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    if encoding is None and len(data) >= 2 and (data[0] == 0) != (data[1] == 0):
        encoding = "utf-16-be" if data[0] == 0 else "utf-16-le"
    try:
        text = data.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        if encoding or _ENCODED_SURROGATE.search(data):
            what = (
                "A lone surrogate (half a character) stands in the text"
                if not encoding
                else f"The {_plain(encoding)} text is broken"
            )
            raise PersonaError(
                f"{what}, at byte {error.start:,}.", where=where, fix="save the file again as UTF-8"
            ) from None
        text, encoding = _guess(data, error.start, where)
    if (nul := text.find("\0")) >= 0:
        raise PersonaError("A NUL character stands in the text.", where=position(text, nul, where), fix="remove it")
    if encoding and notes is not None:
        notes.append(f"The text was read as {_plain(encoding)}.")
    return text


def printable(text: str) -> str:
    """A stranger's text for a terminal: control characters are shown as `\\x1b`, so that none is obeyed."""
    return CONTROLS.sub(lambda match: repr(match[0])[1:-1], text)


def position(text: str, index: int, where: str) -> str:
    """`where`, line and column of a place in a text, for messages."""
    line = text.count("\n", 0, index) + 1
    return f"{where}, line {line}, column {index - text.rfind(chr(10), 0, index)}"


def _plain(encoding: str) -> str:
    names = {
        "utf-8-sig": "UTF-8 with a byte-order mark",
        "utf-16-le": "UTF-16",
        "utf-16-be": "UTF-16",
        "utf-16": "UTF-16",
    }
    return names.get(encoding, encoding)


def _guess(data: bytes, first_bad_byte: int, where: str) -> tuple[str, str]:
    """The text and its likeliest encoding, judged from a part of the file around the first byte that is not UTF-8."""
    from charset_normalizer import from_bytes

    sample = data[max(0, first_bad_byte - 4096) : first_bad_byte + 65_536]
    matches = from_bytes(sample)
    best = matches.best() if b"\0" not in sample else None
    western = next((m for m in matches if "cp1252" in m.could_be_from_charset), None)
    if best and western and (western.chaos, -western.coherence) <= (best.chaos, -best.coherence):
        encoding = "cp1252"  # the commonest among those that explain the text equally well
    else:
        encoding = best.encoding if best else ""
    try:
        return data.decode(encoding), f"{encoding} (a guess: save the file as UTF-8 if letters look wrong)"
    except (UnicodeDecodeError, LookupError):
        what = f"The file is not text: byte {first_bad_byte:,} belongs to no known encoding."
        raise PersonaError(what, where=where, fix="save it as UTF-8") from None
