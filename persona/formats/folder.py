"""A character folder as a person writes it: card.toml, lore.md with one heading per fact, lines.md as a script."""

import math
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from persona.errors import PersonaError
from persona.files import write_atomic, write_json
from persona.formats.json import MAX_DEPTH, read_json
from persona.formats.lore import read_lore, without_comments, write_lore
from persona.formats.text import decode_text, read_bytes
from persona.formats.toml import fits, write_toml
from persona.formats.world_info import is_lorebook, read_lorebook
from persona.lorebook import Lorebook

CARD_FILE = "card.toml"
EXTRA_FILE = "card.extra.json"
LORE_FILE = "lore.md"
LOREBOOK_FILE = "lorebook.json"
LINES_FILE = "lines.md"
CARD_FILES = (CARD_FILE, EXTRA_FILE, LORE_FILE, LOREBOOK_FILE)
"""What `write_folder` may write; lines.md is the author's own."""

_RULE = re.compile(r"(?:-\s*+){3,}+|(?:\*\s*+){3,}+|(?:_\s*+){3,}+|<start>", re.IGNORECASE)
_HEADING = re.compile(r"#{1,3}\s+(\S.*)")
_COLON = re.compile("[:：]")
_BULLET = re.compile(r"\A[-*>]\s+")
_NAME_AND_ASIDE = re.compile(r"(\{\{\w{1,20}\}\}|<\w{1,20}>|\w[^\"“”!?;,(*\[]{0,39})[*_\s]{0,5}(\([^()]{1,60}\))?")
_LABEL_CHARACTERS = 120
_NAME_ALONE = re.compile(r"([^\s:#<][^:]{0,39}):")


@dataclass(frozen=True, slots=True)
class Scene:
    """One scene of a script; `turns` are (speaker, text) in order, speakers written as in the script."""

    title: str
    turns: tuple[tuple[str, str], ...]


def read_scenes(path: Path) -> tuple[Scene, ...]:
    """The scenes of a script, or of `lines.md` when `path` is a character folder; none when there is no such file."""
    file = path / LINES_FILE if path.is_dir() else path
    if not file.is_file():
        return ()
    return parse_scenes(decode_text(read_bytes(file), str(file)), str(file))


def parse_scenes(text: str, where: str) -> tuple[Scene, ...]:
    """Scenes of a script: `Name: text`, or `NAME:` alone above its lines, whichever the text uses more.

    A line of `---` or `<START>` or a heading begins a scene. Lines without a speaker belong to the turn before them, or,
    before a scene's first turn, to its title. `<!-- comments -->` are skipped. `where` names the text's source.
    """
    lines = without_comments(text).splitlines()
    alone = _speakers_stand_alone(lines)
    scenes: list[Scene] = []
    title: list[str] = []
    turns: list[tuple[str, list[str]]] = []
    after_blank = True
    for line in lines:
        heading = _HEADING.fullmatch(line.strip())
        label = None if alone and not after_blank else _speaker(line, alone)
        after_blank = not line.strip()
        if _RULE.fullmatch(line.strip()) or heading:
            if turns or not heading:
                scenes.extend(_scene(title, turns))
                title, turns = [], []
            title += [heading[1]] if heading else []
        elif label:
            turns.append((label[0], [label[1]]))
        elif turns:
            turns[-1][1].append(line.strip())
        elif line.strip():
            title.append(line.strip())
    return (*scenes, *_scene(title, turns))


def _scene(title: list[str], turns: list[tuple[str, list[str]]]) -> Iterator[Scene]:
    spoken = tuple((name, text) for name, lines in turns if (text := "\n".join(lines).strip()))
    if spoken:
        yield Scene(" ".join(title), spoken)


def _speaker(line: str, alone: bool) -> tuple[str, str] | None:
    """(name, rest of the line) when a line begins with a speaker's label; a stage direction stays with the text."""
    if alone:
        play = _NAME_ALONE.fullmatch(line.strip())
        return (play[1], "") if play else None
    colon = _COLON.search(line, 0, _LABEL_CHARACTERS)
    if not colon:
        return None
    head = _BULLET.sub("", line[: colon.start()].strip(), count=1)
    text = line[colon.end() :].lstrip("*_") if head.startswith(("*", "_")) else line[colon.end() :]
    label = _NAME_AND_ASIDE.fullmatch(head.strip("*_ "))
    if not label or (colon[0] == ":" and text[:1].strip()):
        return None
    name = label[1].strip("*_ ")
    words = name.split()
    looks_like_a_sentence = len(words) > 5 or name[-1:] == "." or (len(words) > 1 and name[:1].islower())
    if looks_like_a_sentence or not (name[:1] in "{<" or any(c.isalpha() for c in name)):
        return None
    return name, " ".join(part for part in (label[2], text.strip()) if part)


def _speakers_stand_alone(lines: list[str]) -> bool:
    """Whether most labels stand on a line of their own after a blank line, as in printed plays."""
    alone = inline = 0
    after_blank = True
    for line in lines:
        label = _speaker(line, alone=False)
        if label:
            alone += after_blank and not label[1]
            inline += bool(label[1])
        after_blank = not line.strip()
    return alone > inline


def read_folder(folder: Path, notes: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The card's fields in a character folder, its lore as `character_book`, and what stood around them in its source.

    `lorebook.json` (what an import could not write as lore.md) comes first, then other lorebook files that were put
    into the folder (World Info or V3, known by their content), then the entries of lore.md.
    Raises `PersonaError` naming file and line.
    """
    fields = _read_toml(folder / CARD_FILE, notes)
    around: dict[str, Any] = {}
    if (folder / EXTRA_FILE).exists():
        extra = read_json(read_bytes(folder / EXTRA_FILE), str(folder / EXTRA_FILE), notes)
        if not isinstance(extra, dict) or not all(isinstance(part, dict) for part in extra.values()):
            raise PersonaError(
                "This is not what `persona import` writes.", where=str(folder / EXTRA_FILE), fix="remove it"
            )
        fields |= extra.get("fields", {})
        around = extra.get("around", {})
    book = _read_book(folder, notes)
    return (fields | {"character_book": book} if book is not None else fields), around


def lorebook_files(folder: Path) -> tuple[Path, ...]:
    """The lorebooks of a character folder: lorebook.json first, then every other JSON file that is one."""
    own = folder / LOREBOOK_FILE
    others = sorted(file for file in folder.glob("*.json") if file.name not in (LOREBOOK_FILE, EXTRA_FILE))
    return (*([own] if own.exists() else []), *(file for file in others if _holds_lorebook(file)))


def _holds_lorebook(file: Path) -> bool:
    """Whether a file is a lorebook; what is no JSON at all is something else that the author keeps there."""
    try:
        return is_lorebook(read_json(read_bytes(file), str(file)))
    except PersonaError:
        return False


def _read_book(folder: Path, notes: list[str]) -> dict[str, Any] | None:
    book: dict[str, Any] | None = None
    for file in lorebook_files(folder):
        more = read_lorebook_fields(file, notes)
        book = more | (book or {}) | {"entries": [*(book or {}).get("entries", []), *more.get("entries", [])]}
    if (folder / LORE_FILE).exists():
        where = str(folder / LORE_FILE)
        entries = read_lore(decode_text(read_bytes(folder / LORE_FILE), where, notes), where)
        if entries:
            book = (book or {}) | {"entries": [*(book or {}).get("entries", []), *entries]}
    return book


def read_lorebook_fields(file: Path, notes: list[str] | None = None) -> dict[str, Any]:
    """The fields of a lorebook file, which may be World Info or V3. Raises `PersonaError`."""
    return read_lorebook(file, notes).model_dump(mode="json", exclude_unset=True)


def _read_toml(file: Path, notes: list[str]) -> dict[str, Any]:
    try:
        fields = tomllib.loads(decode_text(read_bytes(file), str(file), notes))
    except (ValueError, RecursionError) as error:
        what = str(error) if isinstance(error, tomllib.TOMLDecodeError) else "a value is too long or nested too deep"
        raise PersonaError(
            f"This is not TOML: {what}.", where=str(file), fix='write texts in quotes: name = "Mira"'
        ) from None
    _check_values(fields, str(file), 0)
    return fields


def _check_values(value: Any, where: str, depth: int) -> None:
    """TOML knows dates, infinities and an escape for NUL, which a card cannot hold."""
    if depth > MAX_DEPTH:
        raise PersonaError(f"A value is nested more than {MAX_DEPTH} deep.", where=where)
    if isinstance(value, dict | list):
        for inner in [*value, *value.values()] if isinstance(value, dict) else value:
            _check_values(inner, where, depth + 1)
    elif isinstance(value, str) and "\0" in value:
        raise PersonaError("A NUL character stands in a text.", where=where, fix="remove it")
    elif not isinstance(value, str | bool | int | float) or (isinstance(value, float) and not math.isfinite(value)):
        raise PersonaError(f"The value {value} cannot stand in a card.", where=where, fix="write it in quotes")


def write_folder(folder: Path, fields: dict[str, Any], around: dict[str, Any]) -> None:
    """Write a card's fields so that `read_folder` gives them back: card.toml and, where it is simple enough, lore.md.

    What TOML cannot hold, and what stood around the fields, goes to card.extra.json; a lorebook with more than names,
    keys, texts and priorities goes to lorebook.json (Character Card V3, standalone lorebook).
    """
    fields = dict(fields)
    book = fields.pop("character_book", None)
    extra = {"around": around, "fields": {key: value for key, value in fields.items() if not fits(value)}}
    write_atomic(folder / CARD_FILE, write_toml({key: value for key, value in fields.items() if fits(value)}))
    if any(extra.values()):
        write_json(folder / EXTRA_FILE, {key: value for key, value in extra.items() if value})
    if book is None:
        return
    lore = write_lore(book.get("entries") or [], str(fields.get("name", "")))
    if _says_all(lore, book):
        write_atomic(folder / LORE_FILE, lore)
    else:
        write_json(folder / LOREBOOK_FILE, {"spec": "lorebook_v3", "data": book})


def _says_all(lore: str, book: dict[str, Any]) -> bool:
    """Whether a lore.md, read back, is the whole book."""
    try:
        entries = read_lore(lore, LORE_FILE)
    except PersonaError:
        return False
    return bool(entries) and Lorebook.model_validate({"entries": entries}) == Lorebook.model_validate(book)
