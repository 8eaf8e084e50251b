"""Who a character is: one card, read from every format that cards come in and written back with nothing lost."""

import json
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError

from persona.errors import PersonaError
from persona.files import write_atomic, write_json
from persona.formats import charx, envelope, folder, png
from persona.formats.json import JSON_BYTES, read_json
from persona.formats.text import CONTROLS, read_bytes, read_start
from persona.formats.world_info import is_lorebook, lorebook_of
from persona.lorebook import Lorebook

NAME_CHARACTERS = 200
"""The longest name: it stands in every prompt, in file names and on Discord."""

_PRONOUNS = ("she", "he", "they")


class CharacterCard(BaseModel):
    """The `data` of a Character Card V3; fields that it does not name are kept as they are.

    What stood around `data` in the file (flat copies, SillyTavern's own fields) is kept too, and written back.
    """

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())

    name: str
    nickname: str = ""
    description: str = ""
    personality: str = ""
    scenario: str = ""
    first_mes: str = ""
    mes_example: str = ""
    creator_notes: str = ""
    system_prompt: str = ""
    post_history_instructions: str = ""
    alternate_greetings: tuple[str, ...] = ()
    group_only_greetings: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    creator: str = ""
    character_version: str = ""
    character_book: Lorebook | None = None
    extensions: dict[str, Any] = Field(default_factory=dict)

    _around: dict[str, Any] = PrivateAttr(default_factory=dict)

    @property
    def spoken_name(self) -> str:
        """What `{{char}}` stands for: the nickname where there is one (Character Card V3)."""
        return self.nickname or self.name

    @property
    def pronouns(self) -> str:
        """`she`, `he` or `they` when the card says so under `[extensions.persona]`, else an empty text."""
        own = self.extensions.get("persona")
        given = str(own.get("pronouns", "")) if isinstance(own, dict) else ""
        first = given.strip().lower().partition("/")[0]
        return first if first in _PRONOUNS else ""

    @classmethod
    def load(cls, path: str | Path, notes: list[str] | None = None) -> "CharacterCard":
        """Read a character folder, or a PNG, APNG, CHARX or JSON file (V1, V2, V3), told apart by content.

        What had to be guessed, repaired or left out is added to `notes` as sentences. Raises `PersonaError`.
        """
        path = Path(path).expanduser()
        said: list[str] = [] if notes is None else notes
        if path.is_dir() and (path / folder.CARD_FILE).exists():
            data, around = folder.read_folder(path, said)
            return cls.from_fields(
                data, around, where=str(path / folder.CARD_FILE), fallback_name=path.name, notes=said
            )
        file = path / "card.json" if path.is_dir() else path
        if path.is_dir() and not file.exists():
            raise PersonaError(f"The folder holds no {folder.CARD_FILE}.", where=str(path), fix="persona new NAME")
        data, around = envelope.unwrap(read_json_in(file, said), str(file), said)
        return cls.from_fields(data, around, where=str(file), fallback_name=file.stem, notes=said)

    @classmethod
    def from_fields(
        cls,
        data: dict[str, Any],
        around: dict[str, Any] | None = None,
        *,
        where: str = "card",
        fallback_name: str = "",
        notes: list[str] | None = None,
    ) -> "CharacterCard":
        """A card from the fields of its `data` and what stands `around` it in the file.

        A field of a wrong type is read in the obvious way where there is one. Raises `PersonaError` naming `where`.
        """
        said: list[str] = [] if notes is None else notes
        fields = _mended(data, said)
        if not str(fields.get("name", "")).strip() and fallback_name.strip():
            fields["name"] = fallback_name
            said.append(f"The card has no name: it is called {fallback_name!r}, after its file.")
        for field in ("name", "nickname"):
            if isinstance(fields.get(field), str):
                fields[field] = _clean_name(fields[field], where, said)
        if is_lorebook(fields.get("character_book")):
            fields["character_book"] = lorebook_of(fields["character_book"], f"{where}, character_book")
        if not fields.get("name"):
            raise PersonaError("The card has no name.", where=where, fix='give it one: name = "..."')
        try:
            card = cls.model_validate(fields)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(str(part) for part in first["loc"])
            raise PersonaError(
                f"The card's {field[:80]} is {envelope.kind_of(first['input'])}.", where=where, fix=first["msg"]
            ) from None
        card._around.update(around or {})
        return card

    @property
    def around(self) -> dict[str, Any]:
        """What stood around `data` in the card's file; a copy."""
        return dict(self._around)

    def to_fields(self) -> dict[str, Any]:
        """The fields that the card's source had, ready for JSON: `from_fields(card.to_fields())` is the same card."""
        return self.model_dump(mode="json", exclude_unset=True)

    def save(self, path: str | Path, *, v2: bool = False, picture: str | Path | None = None) -> None:
        """Write a V3 JSON file (V2 with `v2`), or for `.png` both versions into `picture` (by default, into `path`).

        Raises `PersonaError` when there is no picture to write into.
        """
        path = Path(path).expanduser()
        fields = self.to_fields()
        if path.suffix.lower() != ".png":
            write_json(path, envelope.wrap(fields, self._around, 2 if v2 else 3))
            return
        source = Path(picture or path).expanduser()
        texts = {
            keyword: json.dumps(
                envelope.wrap(fields, self._around, version), ensure_ascii=False, allow_nan=False
            ).encode()
            for keyword, version in (("chara", 2), ("ccv3", 3))
        }
        write_atomic(path, png.embed_card_texts(read_bytes(source, png.PNG_BYTES), texts, str(source)))


def read_json_in(path: Path, notes: list[str]) -> Any:
    """The JSON in a PNG, CHARX or JSON file, told apart by its first bytes. Raises `PersonaError`."""
    start = read_start(path, 64)
    if start.startswith(png.SIGNATURE):
        return read_json(png.read_card_text(read_bytes(path, png.PNG_BYTES), str(path), notes), str(path), notes)
    if start.startswith(charx.SIGNATURE):
        return read_json(charx.read_charx(path, notes), str(path), notes)
    letters = start.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    if letters and letters[:1] not in b"{[":
        raise PersonaError(
            f"{path.name} is neither a PNG, a CHARX nor a JSON file.",
            where=str(path),
            fix="a character card or a lorebook",
        )
    return read_json(read_bytes(path, JSON_BYTES), str(path), notes)


def _mended(data: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    """The fields with the harmless mistakes of real cards put right: null, a number for a text, one text for a list."""
    fields: dict[str, Any] = {}
    for key, value in data.items():
        info = CharacterCard.model_fields.get(key)
        if info is None:
            fields[key] = value
        elif value is None or (value == [] and key in ("extensions", "character_book")):
            continue
        elif info.annotation is str and type(value) in (int, float):
            notes.append(f"The card's {key} is the number {value}: read as text.")
            fields[key] = str(value)
        elif info.annotation == tuple[str, ...] and isinstance(value, str):
            notes.append(f"The card's {key} is one text: read as a list.")
            fields[key] = [part.strip() for part in value.split(",")] if key == "tags" else [value]
        else:
            fields[key] = value
    return fields


def _clean_name(name: str, where: str, notes: list[str]) -> str:
    """A name on one line, without the characters that reorder or hide what is printed beside it."""
    clean = CONTROLS.sub("", re.sub(r"[\t\r\n]", " ", name))
    if len(clean) > NAME_CHARACTERS:
        raise PersonaError(f"The name has {len(clean):,} characters.", where=where, fix=f"at most {NAME_CHARACTERS}")
    if clean != name:
        notes.append(f"Control characters were removed from the name: it is {clean!r} now.")
    return clean if clean.strip() else ""
