"""`persona import`: a card or lorebook from anywhere becomes a character folder to write in."""

import argparse
import json
import os
import shutil
from pathlib import Path
from typing import Any

from persona.card import CharacterCard, read_json_in
from persona.commands.new import sample_behind
from persona.errors import PersonaError
from persona.files import replace_folder, write_atomic, write_json
from persona.formats import envelope, folder
from persona.formats.json import MAX_ITEMS
from persona.formats.text import printable
from persona.formats.world_info import is_lorebook, lorebook_of
from persona.paths import slugify

EMPTY_LINES = """\
<!--
Real lines of {name}: the best training data there is. Write scenes like this one, separated by a line of three dashes:

## First visit
Tom: Hello? Is anybody there?
{name}: Come in.
-->
"""


def main(argv: list[str]) -> int:
    """Import one file. Raises `PersonaError`, and then writes nothing."""
    parser = argparse.ArgumentParser(prog="persona import", description=__doc__)
    parser.add_argument("file", metavar="FILE", type=_path, help="a card (PNG, APNG, CHARX, JSON) or a lorebook (JSON)")
    parser.add_argument("--to", metavar="DIR", type=_path, help="the character folder (default: characters/NAME)")
    parser.add_argument("--force", action="store_true", help="replace card and lore in DIR; its lines.md is kept")
    options = parser.parse_args(argv)
    notes: list[str] = []
    source: Path = options.file
    value = read_json_in(source, notes)
    try:
        if is_lorebook(value):
            said, target = _add_lore(value, source, options.to)
        else:
            said, target = _write_card(value, source, options.to, options.force, notes)
    except OSError as error:
        where = str(options.to or "characters")
        raise PersonaError(f"The folder cannot be written: {error.strerror}.", where=where) from None
    files = ", ".join(sorted(file.name for file in target.iterdir()))
    own = target.resolve() == (Path.cwd() / "characters" / target.name).resolve()
    build = f"persona build {target.name if own else target}"
    lines = [said, *(f"  note: {note}" for note in notes), f"{target}: {files}"]
    print(printable("\n".join([*lines, f"next: write lines in {target / folder.LINES_FILE}, then: {build}"])))
    return 0


def _path(typed: str) -> Path:
    # Path.expanduser would raise for "~somebody" without a home.
    return Path(os.path.expanduser(typed))


def _write_card(value: Any, source: Path, to: Path | None, force: bool, notes: list[str]) -> tuple[str, Path]:
    fields, around = envelope.unwrap(value, str(source), notes)
    card = CharacterCard.from_fields(fields, around, where=str(source), fallback_name=source.stem, notes=notes)
    target = to or Path("characters") / slugify(card.name)
    # Resolved once: what a link or the working folder means must not change between check and replacement.
    place = Path(os.path.realpath(target))
    _check_target(place, target, force)
    _write_whole(card, place)
    notes += sample_behind(target)
    entries = len(card.character_book.entries) if card.character_book else 0
    greetings = bool(card.first_mes) + len(card.alternate_greetings) + len(card.group_only_greetings)
    return f"{card.name}, from {source.name}: greetings: {greetings}, lore entries: {entries}.", target


def _write_whole(card: CharacterCard, place: Path) -> None:
    """Write the card's folder beside `place` and put it there; or inside a `place` that is empty, which stays the folder
    that it is: it may be the working folder, or a mount."""
    inside = place.is_dir() and not any(place.iterdir())
    temporary = (place if inside else place.parent) / f".{place.name}.import"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        if place.is_dir() and not inside:
            shutil.copytree(place, temporary, symlinks=True, ignore=shutil.ignore_patterns(*folder.CARD_FILES))
        temporary.mkdir(parents=True, exist_ok=True)
        folder.write_folder(temporary, card.to_fields(), card.around)
        if not (temporary / folder.LINES_FILE).exists():
            write_atomic(temporary / folder.LINES_FILE, EMPTY_LINES.format(name=card.spoken_name.replace("--", "")))
        if CharacterCard.load(temporary) != card:
            what = "The card would change on the way into a folder."
            raise PersonaError(what, where=str(place), fix="please report this file")
        if inside:
            _fill(place, temporary)
        else:
            replace_folder(temporary, place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _fill(place: Path, temporary: Path) -> None:
    """Move every file into an empty folder, or none; the card last, because it makes the folder a character's."""
    moved: list[Path] = []
    try:
        for file in sorted(temporary.iterdir(), key=lambda file: file.name == folder.CARD_FILE):
            os.replace(file, place / file.name)
            moved.append(place / file.name)
    except BaseException:
        for file in moved:
            file.unlink(missing_ok=True)
        raise


def _check_target(place: Path, target: Path, force: bool) -> None:
    if place.exists() and not place.is_dir():
        raise PersonaError(f"{place.name} is a file.", where=str(target), fix="--to a folder")
    if not place.is_dir() or not any(place.iterdir()):
        return
    if not (place / folder.CARD_FILE).is_file():
        what = f"The folder {place.name} is not empty, and no character folder."
        raise PersonaError(what, where=str(target), fix="--to a new folder")
    if not force:
        what, fix = f"The character {place.name} exists.", "--force to replace its card, or --to a new folder"
        raise PersonaError(what, where=str(target), fix=fix)
    if Path.cwd().is_relative_to(place):
        what = "The working folder stands in the folder that would be replaced."
        raise PersonaError(what, where=str(target), fix=f"cd {place.parent}, then the same with --to {place.name}")


def _add_lore(value: Any, source: Path, to: Path | None) -> tuple[str, Path]:
    """Add a lorebook to a character folder's lorebook.json; entries that are there already are not doubled."""
    if to is None or not (to / folder.CARD_FILE).is_file():
        what = f"{source.name} is a lorebook, which is added to a character folder."
        raise PersonaError(what, where=str(to or source), fix=f"persona import {source} --to characters/NAME")
    new: dict[str, Any] = lorebook_of(value, str(source)).model_dump(mode="json", exclude_unset=True)
    file = to / folder.LOREBOOK_FILE
    old = folder.read_lorebook_fields(file) if file.exists() else {}
    entries = old.get("entries", [])
    known = {json.dumps(entry, sort_keys=True) for entry in entries}
    added = [entry for entry in new.get("entries", []) if json.dumps(entry, sort_keys=True) not in known]
    if len(entries) + len(added) > MAX_ITEMS:
        raise PersonaError(
            f"The lorebook would have {len(entries) + len(added):,} entries.",
            where=str(file),
            fix=f"at most {MAX_ITEMS:,}",
        )
    CharacterCard.load(to)
    write_json(file, {"spec": "lorebook_v3", "data": new | old | {"entries": [*entries, *added]}})
    doubled = len(new.get("entries", [])) - len(added)
    rest = f" ({doubled} were there already)" if doubled else ""
    return f"{source.name}: {len(added)} lore entries added{rest}.", to
