"""The card in a CHARX archive: one member is read by name into memory, and nothing is ever unpacked."""

import re
import stat
import struct
import zipfile
import zlib
from pathlib import Path

from persona.errors import PersonaError
from persona.formats.json import JSON_BYTES

SIGNATURE = b"PK\x03\x04"
CARD = "card.json"
MAX_MEMBERS = 5_000
MAX_MEMBER_BYTES = 128 * 1024 * 1024
MAX_TOTAL_BYTES = 1024 * 1024 * 1024
MAX_RATIO = 200
"""How many times larger than in the archive a member of more than a megabyte may be; text reaches about 20."""

_END = b"PK\x05\x06"
_LOCATOR_64 = b"PK\x06\x07"
_LOCATOR_64_BYTES = 20
_UNSAFE = re.compile(r"(^|/)(\.\.?|)(/|$)|^[A-Za-z]:|[\\:\x00-\x1f]|[. ](/|$)")


def read_charx(path: Path, notes: list[str]) -> bytes:
    """The bytes of `card.json` at the root of an archive (Character Card V3, CHARX).

    Raises `PersonaError` when the archive is damaged, encrypted or over the limits, or holds a name that could be
    written outside a folder, a link or two members of one name. Pictures and sounds are counted in `notes` and stay out.
    """
    where = str(path)
    claimed = _members_claimed(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) != claimed:
                what = f"The archive claims {claimed:,} members and has {len(members):,}."
                raise PersonaError(what, where=where)
            _check_members(members, where)
            card = next((m for m in members if m.filename == CARD), None)
            if card is None:
                raise PersonaError(
                    f"The archive holds no {CARD}.", where=where, fix="a CHARX file, or its card.json alone"
                )
            with archive.open(card) as file:
                data = file.read(JSON_BYTES + 1)
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
        raise PersonaError(f"The archive is damaged or of an unknown kind: {error}.", where=where) from None
    others = sum(not m.is_dir() for m in members) - 1
    if others:
        notes.append(f"{others} other files in the archive (pictures, sounds) were left out.")
    return data


def _members_claimed(path: Path) -> int:
    """How many members the archive says it has; a table of contents that could hold far more is refused.

    `zipfile` reads the whole table, whatever the number beside it says, and makes an object of about 600 bytes of each.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 65_557 - _LOCATOR_64_BYTES))
        tail = file.read()
    end = len(tail) - 22 if tail[-22:-18] == _END and tail[-2:] == b"\0\0" else tail.rfind(_END)
    if end < 0 or len(tail) < end + 22:
        raise PersonaError("The archive is cut off: it has no table of contents.", where=str(path))
    members: int
    members, table_bytes = struct.unpack_from("<HI", tail, end + 10)
    # A ZIP64 record overrules these figures; what is read here is never so large that it needs one.
    if tail[max(0, end - _LOCATOR_64_BYTES) : end].startswith(_LOCATOR_64):
        raise PersonaError("The archive is a ZIP64, which is for gigabytes.", where=str(path), fix="pack it again")
    if members > MAX_MEMBERS or table_bytes > MAX_MEMBERS * 512:
        raise PersonaError(f"The archive has more than {MAX_MEMBERS:,} members.", where=str(path))
    return members


def _check_members(members: list[zipfile.ZipInfo], where: str) -> None:
    seen: set[str] = set()
    for member in members:
        name = member.orig_filename
        shown = repr(name[:80])
        ratio = member.file_size / max(member.compress_size, 1)
        if _UNSAFE.search(name.removesuffix("/")):
            raise PersonaError(f"The archive holds the unsafe name {shown}.", where=where)
        if name.casefold() in seen:
            raise PersonaError(f"The archive holds two members named {shown}.", where=where)
        if stat.S_ISLNK(member.external_attr >> 16):
            raise PersonaError(f"The archive holds a link: {shown}.", where=where)
        if member.flag_bits & 1:
            raise PersonaError(f"The member {shown} of the archive is encrypted.", where=where)
        if member.file_size > MAX_MEMBER_BYTES or (member.file_size > 1_000_000 and ratio > MAX_RATIO):
            raise PersonaError(
                f"The member {shown} of the archive inflates to {member.file_size:,} bytes.", where=where
            )
        seen.add(name.casefold())
    if sum(m.file_size for m in members) > MAX_TOTAL_BYTES:
        raise PersonaError(f"The archive inflates to more than {MAX_TOTAL_BYTES:,} bytes.", where=where)
