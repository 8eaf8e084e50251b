"""The card in a CHARX archive: one file is read by name into memory, and the others stay where they are."""

import re
from collections.abc import Iterable
from pathlib import Path

from persona.errors import PersonaError
from persona.formats.archive import SIGNATURE as SIGNATURE
from persona.formats.archive import open_archive, read_member
from persona.formats.json import JSON_BYTES

CARD = "card.json"

_UNSAFE = re.compile(r"(^|/)(\.\.?|)(/|$)|^[A-Za-z]:|[\\:\x00-\x1f]|[. ](/|$)")


def read_charx(path: Path, notes: list[str]) -> bytes:
    """The bytes of `card.json` at the root of an archive (Character Card V3, CHARX).

    Raises `PersonaError` for what `open_archive` refuses, for a card of more than `JSON_BYTES`, and for names that could
    be written outside a folder or over one another. Pictures and sounds are counted in `notes` and stay out.
    """
    where = str(path)
    with path.open("rb") as file, open_archive(file, where) as archive:
        members = archive.infolist()
        _check_names([member.orig_filename for member in members], where)
        if CARD not in archive.namelist():
            fix = f"a CHARX file, or its {CARD} alone"
            raise PersonaError(f"The archive holds no {CARD}.", where=where, fix=fix)
        data = read_member(archive, CARD, JSON_BYTES, where)
    others = sum(not member.is_dir() for member in members) - 1
    if others:
        notes.append(f"{others} other files in the archive (pictures, sounds) were left out.")
    return data


def _check_names(names: Iterable[str], where: str) -> None:
    seen: set[str] = set()
    for name in names:
        if _UNSAFE.search(name.removesuffix("/")):
            raise PersonaError(f"The archive holds the unsafe name {name[:80]!r}.", where=where)
        if name.casefold() in seen:
            raise PersonaError(f"The archive holds two files named {name[:80]!r}.", where=where)
        seen.add(name.casefold())
