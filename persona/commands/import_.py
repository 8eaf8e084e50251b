"""`persona import`: a card or lorebook from anywhere becomes a character folder to write in."""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from persona.card import CharacterCard, read_json_in
from persona.errors import PersonaError
from persona.files import replace_folder, write_atomic, write_json
from persona.formats import envelope, folder
from persona.formats.json import MAX_ITEMS
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
    parser.add_argument("file", metavar="FILE", type=Path, help="a card (PNG, APNG, CHARX, JSON) or a lorebook (JSON)")
    parser.add_argument("--to", metavar="DIR", type=Path, help="the character folder (default: characters/NAME)")
    parser.add_argument("--force", action="store_true", help="replace card and lore in DIR; its lines.md is kept")
    options = parser.parse_args(argv)
    notes: list[str] = []
    source: Path = options.file.expanduser()
    value = read_json_in(source, notes)
    if is_lorebook(value):
        said, target = _add_lore(value, source, options.to)
    else:
        said, target = _write_card(value, source, options.to, options.force, notes)
    print(said)
    for note in notes:
        print(f"  note: {note}")
    print(f"{target}: {', '.join(sorted(file.name for file in target.iterdir()))}")
    own = target.resolve() == (Path.cwd() / "characters" / target.name).resolve()
    print(f"next: write lines in {target / folder.LINES_FILE}, then: persona build {target.name if own else target}")
    return 0


def _write_card(value: Any, source: Path, to: Path | None, force: bool, notes: list[str]) -> tuple[str, Path]:
    fields, around = envelope.unwrap(value, str(source), notes)
    card = CharacterCard.from_fields(fields, around, where=str(source), fallback_name=source.stem, notes=notes)
    target = to.expanduser() if to else Path("characters") / slugify(card.name)
    _check_target(target, force)
    place = target.resolve()
    temporary = place.with_name(f".{place.name}.import")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        if place.is_dir():
            shutil.copytree(place, temporary, symlinks=True, ignore=shutil.ignore_patterns(*folder.CARD_FILES))
        temporary.mkdir(parents=True, exist_ok=True)
        folder.write_folder(temporary, card.to_fields(), card.around)
        if not (temporary / folder.LINES_FILE).exists():
            write_atomic(temporary / folder.LINES_FILE, EMPTY_LINES.format(name=card.spoken_name.replace("--", "")))
        if CharacterCard.load(temporary) != card:
            raise PersonaError(
                "The card would change on the way into a folder.", where=str(source), fix="please report this file"
            )
        replace_folder(temporary, place)
    except OSError as error:
        raise PersonaError(f"The folder cannot be written: {error.strerror}.", where=str(target)) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    entries = len(card.character_book.entries) if card.character_book else 0
    greetings = bool(card.first_mes) + len(card.alternate_greetings) + len(card.group_only_greetings)
    return f"{card.name}, from {source.name}: greetings: {greetings}, lore entries: {entries}.", target


def _check_target(target: Path, force: bool) -> None:
    if target.exists() and not target.is_dir():
        raise PersonaError(f"{target.name} is a file.", where=str(target), fix="--to a folder")
    if not target.is_dir() or not any(target.iterdir()):
        return
    if not (target / folder.CARD_FILE).is_file():
        raise PersonaError(
            f"The folder {target.name} is not empty, and no character folder.",
            where=str(target),
            fix="--to a new folder",
        )
    if not force:
        raise PersonaError(
            f"The character {target.name} exists.",
            where=str(target),
            fix="--force to replace its card, or --to a new folder",
        )


def _add_lore(value: Any, source: Path, to: Path | None) -> tuple[str, Path]:
    """Add a lorebook to a character folder's lorebook.json; entries that are there already are not doubled."""
    if to is None or not (to.expanduser() / folder.CARD_FILE).is_file():
        what = f"{source.name} is a lorebook, which is added to a character folder."
        raise PersonaError(what, where=str(to or source), fix=f"persona import {source} --to characters/NAME")
    target = to.expanduser()
    new: dict[str, Any] = lorebook_of(value, str(source)).model_dump(mode="json", exclude_unset=True)
    file = target / folder.LOREBOOK_FILE
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
    CharacterCard.load(target)
    write_json(file, {"spec": "lorebook_v3", "data": new | old | {"entries": [*entries, *added]}})
    doubled = len(new.get("entries", [])) - len(added)
    rest = f" ({doubled} were there already)" if doubled else ""
    return f"{source.name}: {len(added)} lore entries added{rest}.", target
