"""Where an input comes from, as far as it may not be trained on."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from persona.errors import PersonaError

FORGOTTEN_FILE = "forgotten.json"

_START_BYTES = 64 * 1024
_MARKS = re.compile(
    r"DiscordChatExporter"
    r"|\"guild\"\s*:\s*\{[^{}]{0,2000}\}\s*,\s*\"channel\"\s*:\s*\{"
    r"|\A[\ufeff=\s]*Guild: .*\n\s*Channel: "
    r"|\A\ufeff?\"?AuthorID\"?,\"?Author\"?,\"?Date\"?,\"?Content\"?",
    re.DOTALL | re.IGNORECASE,
)
_NAME = re.compile(r"(?<![a-z])discord(?![a-z])|DiscordChatExporter", re.IGNORECASE)
_NAMED_BY = 200
"""Characters: a longer `source` is a text, not the name of one."""


def refuse_discord(file: Path) -> None:
    """Raise `PersonaError` for an export of Discord messages, known by its name or by how exporters begin their files."""
    start = b""
    if file.is_file():  # not a folder that `datasets` saved
        with file.open("rb") as stream:
            start = stream.read(_START_BYTES)
    text = start.replace(b"\0", b"").decode("utf-8", "replace")
    if _NAME.search(file.name) or _MARKS.search(text):
        raise _refusal(str(file))


def refuse_discord_record(row: Any, where: str) -> None:
    """Raise `PersonaError` for a record whose `source` or `provenance`, its metadata's too, is Discord."""
    if not isinstance(row, dict):
        return
    about = row.get("metadata")
    for holder in (row, about) if isinstance(about, dict) else (row,):
        for key in ("source", "provenance"):
            if key in holder and any(_NAME.search(text) for text in texts_of(holder[key]) if len(text) <= _NAMED_BY):
                raise _refusal(f"{where}, {key}")


def texts_of(value: Any) -> Iterator[str]:
    """Every text in a JSON value, keys too, without recursion."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            waiting += value.keys()
            waiting += value.values()
        elif isinstance(value, list | tuple):
            waiting += value


def _refusal(where: str) -> PersonaError:
    return PersonaError(
        "These are Discord messages, and they are not trained on: Discord's Developer Policy (21) forbids it "
        "without express permission.",
        where=where,
        fix="use dialogue that you wrote or may use: a script, a card, lines.md",
    )


def forgotten_in(run: Path) -> frozenset[str]:
    """The names of files that a run's dataset is built without, because somebody asked to forget them."""
    try:
        names = json.loads((run / FORGOTTEN_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return frozenset()
    return frozenset(map(str, names)) if isinstance(names, list) else frozenset()
