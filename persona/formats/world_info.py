"""Lorebook files: SillyTavern's World Info, in which entries are an object, and the `lorebook_v3` of Card V3."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from persona.errors import PersonaError
from persona.formats.json import read_json
from persona.formats.text import read_bytes
from persona.lore_entry import camel
from persona.lorebook import Lorebook

_FIELDS = {
    "uid": "id",
    "key": "keys",
    "keysecondary": "secondary_keys",
    "comment": "comment",
    "content": "content",
    "constant": "constant",
    "selective": "selective",
    "order": "insertion_order",
}
"""World Info's names for fields of V3; `disable` and `position` are translated, all else goes to `extensions`."""

_FLAGS = (
    "exclude_recursion prevent_recursion delay_until_recursion match_whole_words case_sensitive scan_depth "
    "use_group_scoring group_override group_weight automation_id ignore_budget outlet_name match_persona_description "
    "match_character_description match_character_personality match_character_depth_prompt match_scenario "
    "match_creator_notes character_filter display_index"
)
_SNAKE = {camel(name): name for name in _FLAGS.split()}
"""Flags that SillyTavern spells with underscores in a card; `selectiveLogic` and `useProbability` stay as they are."""

_BOOK_FIELDS = ("name", "description", "scan_depth", "token_budget", "recursive_scanning")


def read_lorebook(path: Path, notes: list[str] | None = None) -> Lorebook:
    """Read a World Info or `lorebook_v3` file, whichever it is by its content.

    Raises `PersonaError` when it is neither; `notes` collects what a person should know about how it was read.
    """
    return lorebook_of(read_json(read_bytes(path), str(path), notes), str(path))


def is_lorebook(value: Any) -> bool:
    """Whether parsed JSON is a lorebook file and no card."""
    if not isinstance(value, Mapping):
        return False
    return value.get("spec") == "lorebook_v3" or (
        "data" not in value and isinstance(value.get("entries"), Mapping | list)
    )


def lorebook_of(value: Any, where: str) -> Lorebook:
    """The lorebook in parsed JSON. Raises `PersonaError` naming `where` and the field that is wrong."""
    if not is_lorebook(value):
        raise PersonaError(
            "This JSON is no lorebook.", where=where, fix="a World Info or lorebook_v3 file: it has entries"
        )
    fields = value["data"] if value.get("spec") == "lorebook_v3" and "data" in value else value
    if not isinstance(fields, Mapping):
        raise PersonaError(f"The lorebook's data is {type(fields).__name__}, not an object.", where=where)
    if _is_world_info(fields):
        fields = _book_fields(fields, where)
    try:
        return Lorebook.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise PersonaError(f"The lorebook's field {place[:80]} is wrong: {first['msg']}.", where=where) from None


def _is_world_info(fields: Mapping[str, Any]) -> bool:
    """Whether a lorebook's entries are written as World Info has them."""
    entries = fields.get("entries")
    if isinstance(entries, list):
        return bool(entries) and isinstance(entries[0], Mapping) and "key" in entries[0] and "keys" not in entries[0]
    return isinstance(entries, Mapping)


def _book_fields(world: Mapping[str, Any], where: str) -> dict[str, Any]:
    entries = world["entries"]
    rows = entries.values() if isinstance(entries, Mapping) else entries
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise PersonaError(f"Entry {number} is {type(row).__name__}, not an object.", where=where)
    book = {name: world[name] for name in _BOOK_FIELDS if name in world}
    others = {k: v for k, v in world.items() if k not in (*_BOOK_FIELDS, "entries", "extensions")}
    extensions = world.get("extensions")
    others |= extensions if isinstance(extensions, Mapping) else {}
    return book | {"extensions": others, "entries": [_entry_fields(row) for row in rows]}


def _entry_fields(row: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {_FIELDS[name]: value for name, value in row.items() if name in _FIELDS}
    fields["use_regex"] = False
    fields["enabled"] = not row.get("disable")
    if row.get("position") in (0, 1):
        fields["position"] = "after_char" if row["position"] else "before_char"
    nested = row.get("extensions")
    flags = dict(nested) if isinstance(nested, Mapping) else {}
    flags |= {_SNAKE.get(k, k): v for k, v in row.items() if k not in (*_FIELDS, "disable", "extensions")}
    return fields | {"extensions": flags}
