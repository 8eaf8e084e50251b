"""ZIP archives of strangers: what could fill the memory is refused before it is read, and nothing is ever unpacked."""

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from persona.errors import PersonaError

SIGNATURE = b"PK\x03\x04"
MAX_MEMBERS = 5_000
MAX_MEMBER_BYTES = 128 * 1024 * 1024
MAX_TOTAL_BYTES = 1024 * 1024 * 1024
MAX_RATIO = 200
"""How many times larger than in the archive a file of more than a megabyte may be; text reaches about 20."""

_END = b"PK\x05\x06"
_LOCATOR_64 = b"PK\x06\x07"
_LOCATOR_64_BYTES = 20


@contextmanager
def open_archive(file: BinaryIO, where: str) -> Iterator[zipfile.ZipFile]:
    """An archive whose table of contents is within the limits above.

    Raises `PersonaError` naming `where` for one that is over them, encrypted, of gigabytes (ZIP64) or holds a link or two
    files of one name, and for one that proves damaged, here or while it is read.
    """
    claimed = _members_claimed(file, where)
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            if len(members) != claimed:
                raise PersonaError(f"The archive claims {claimed:,} files and has {len(members):,}.", where=where)
            _check_members(members, where)
            yield archive
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


def read_member(archive: zipfile.ZipFile, name: str, limit: int, where: str) -> bytes:
    """The content of a file that the archive has. Raises `PersonaError` for more than `limit` bytes.

    It must be stored or deflated: `zipfile` unpacks other methods whole, whatever size is asked for.
    """
    shown = repr(name[:80])
    member = archive.getinfo(name)
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        fix = "pack it again as an ordinary ZIP"
        raise PersonaError(f"The file {shown} in the archive is packed in an unusual way.", where=where, fix=fix)
    with archive.open(member) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise PersonaError(f"The file {shown} in the archive has more than {limit:,} bytes.", where=where)
    return content


def _members_claimed(file: BinaryIO, where: str) -> int:
    """How many files the archive says it has; a table of contents that could hold far more is refused.

    `zipfile` reads the whole table, whatever the number beside it says, and makes an object of about 600 bytes of each.
    """
    size = file.seek(0, 2)
    file.seek(max(0, size - 65_557 - _LOCATOR_64_BYTES))
    tail = file.read()
    end = len(tail) - 22 if tail[-22:-18] == _END and tail[-2:] == b"\0\0" else tail.rfind(_END)
    if end < 0 or len(tail) < end + 22:
        raise PersonaError("This is no ZIP archive, or it is cut off.", where=where, fix="download it again")
    members: int
    members, table_bytes = struct.unpack_from("<HI", tail, end + 10)
    # A ZIP64 record overrules these figures; what is read here is never so large that it needs one.
    if tail[max(0, end - _LOCATOR_64_BYTES) : end].startswith(_LOCATOR_64):
        raise PersonaError("The archive is a ZIP64, which is for gigabytes.", where=where, fix="pack it again")
    if members > MAX_MEMBERS or table_bytes > MAX_MEMBERS * 512:
        raise PersonaError(f"The archive has more than {MAX_MEMBERS:,} files.", where=where)
    return members


def _check_members(members: list[zipfile.ZipInfo], where: str) -> None:
    seen: set[str] = set()
    for member in members:
        shown = repr(member.filename[:80])
        size = member.file_size
        if member.filename in seen:
            raise PersonaError(f"The archive holds two files named {shown}.", where=where)
        if stat.S_ISLNK(member.external_attr >> 16):
            raise PersonaError(f"The archive holds a link: {shown}.", where=where)
        if member.flag_bits & 1:
            raise PersonaError(f"The file {shown} in the archive is encrypted.", where=where)
        if size > MAX_MEMBER_BYTES or (size > 1_000_000 and size > MAX_RATIO * max(member.compress_size, 1)):
            raise PersonaError(f"The file {shown} in the archive inflates to {size:,} bytes.", where=where)
        seen.add(member.filename)
    if sum(member.file_size for member in members) > MAX_TOTAL_BYTES:
        raise PersonaError(f"The archive inflates to more than {MAX_TOTAL_BYTES:,} bytes.", where=where)
