"""Which version of the Character Card format a JSON object is, and where its fields stand."""

from typing import Any

from persona.errors import PersonaError

V1_FIELDS = ("name", "description", "personality", "scenario", "first_mes", "mes_example")
V2_FIELDS = (
    *V1_FIELDS,
    "creator_notes",
    "system_prompt",
    "post_history_instructions",
    "alternate_greetings",
    "tags",
    "creator",
    "character_version",
    "extensions",
    "character_book",
)
V3_FIELDS = (*V2_FIELDS, "nickname", "group_only_greetings")

_LEGACY = {
    "char_name": "name",
    "char_persona": "description",
    "world_scenario": "scenario",
    "char_greeting": "first_mes",
    "example_dialogue": "mes_example",
}
_SPECS = {"chara_card_v2": 2.0, "chara_card_v3": 3.0}


def unwrap(card: Any, where: str, notes: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The card's fields, and what stands around them, without `spec`, `spec_version` and flat copies of the fields.

    Reads V2 and V3 (`data` wins over flat copies beside it), flat V1 with later fields, and the older `char_name` keys.
    Raises `PersonaError` naming `where` when the object is no card.
    """
    if not isinstance(card, dict):
        raise PersonaError(f"A card is a JSON object; this is {kind_of(card)}.", where=where)
    if isinstance(card.get("data"), dict):
        _note_version(card, notes)
        data = dict(card["data"])
        own = {key: value for key, value in card.items() if key not in ("spec", "spec_version", "data")}
        return data, {key: value for key, value in own.items() if key not in V1_FIELDS or value != data.get(key, "")}
    if "char_name" in card and "name" not in card:
        notes.append("The card has the older char_name fields: they were read under today's names.")
        card = {_LEGACY.get(key, key) if _LEGACY.get(key) not in card else key: value for key, value in card.items()}
    if "name" not in card or not any(field in card for field in V1_FIELDS[1:]):
        raise PersonaError(
            "The JSON object is no character card: it has neither `data` nor `name` and `description`.",
            where=where,
            fix="a Character Card (V1, V2 or V3) or a lorebook",
        )
    known = {key: value for key, value in card.items() if key in V3_FIELDS}
    around = {key: value for key, value in card.items() if key not in V3_FIELDS and key not in ("spec", "spec_version")}
    if isinstance(around.get("creatorcomment"), str):
        known.setdefault("creator_notes", around["creatorcomment"])
    return known, around


def _note_version(card: dict[str, Any], notes: list[str]) -> None:
    spec, version = card.get("spec"), card.get("spec_version")
    try:
        newer = float(version or 0) > _SPECS[spec] if isinstance(spec, str) else False
    except (KeyError, ValueError, TypeError):
        notes.append(f"The card's version is {str(spec)[:40]!r} {str(version)[:40]!r}, which is unknown: read as V3.")
    else:
        if newer:
            notes.append(
                f"The card is version {str(version)[:40]} of {spec}: fields newer than 3.0 are kept, but not used."
            )


def wrap(data: dict[str, Any], envelope: dict[str, Any], version: int) -> dict[str, Any]:
    """A V2 or V3 card as JSON: every field that the version demands, and everything else that was there.

    The V1 fields are repeated at the top, as SillyTavern does, for readers of V1.
    """
    required: dict[str, Any] = {field: "" for field in V2_FIELDS}
    required |= {"alternate_greetings": [], "tags": [], "extensions": {}}
    del required["character_book"]
    if version == 3:
        required["group_only_greetings"] = []
    whole = required | data
    flat = {field: whole[field] for field in V1_FIELDS}
    return {**flat, **envelope, "spec": f"chara_card_v{version}", "spec_version": f"{version}.0", "data": whole}


def kind_of(value: Any) -> str:
    """A JSON value's type in plain words, for messages."""
    kinds = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "a text",
        list: "a list",
        dict: "an object",
    }
    return kinds.get(type(value), "nothing" if value is None else type(value).__name__)
