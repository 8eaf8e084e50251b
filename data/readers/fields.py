"""Which fields of training files hold dialogue, by the names that they usually have."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

LISTS = ("messages", "conversations", "conversation", "dialogue", "dialogues", "dialog", "turns", "utterances")
"""Fields that hold a dialogue as a list."""

QUESTIONS = ("prompt", "instruction", "question", "query", "user", "human", "input")
ANSWERS = ("chosen", "completion", "response", "output", "answer", "assistant", "reply")
"""Fields that together hold one exchange."""

SPEAKERS = ("speaker", "character", "character_name")
LINES = ("line", "dialogue", "utterance", "sentence", "message")
"""Fields of records that are the lines of a script."""

SCENES = ("scene", "scene_id", "dialogue_id", "conversation_id", "chapter", "episode")
TITLES = ("title", "scene", "topic", "id")
CALLED = ("character", "char_name", "bot_name")
SYSTEMS = ("system", "system_prompt")
FIELDS = frozenset(
    (*LISTS, *QUESTIONS, *ANSWERS, *SPEAKERS, *LINES, *SCENES, *TITLES, *CALLED, *SYSTEMS)
    + ("rejected", "label", "history", "text", "content", "name", "source", "provenance", "metadata")
)
"""Every field of a record that is looked at."""


def has_dialogue(columns: Collection[str]) -> bool:
    """Whether a table with these columns, in lower case, holds dialogue, as far as names tell."""
    exchange = any(q in columns for q in QUESTIONS) and any(a in columns for a in ANSWERS)
    return exchange or any(key in columns for key in (*LISTS, "chosen")) or line_fields(columns) is not None


def line_fields(row: Collection[str]) -> tuple[str, str] | None:
    """The fields of a script's line: who speaks, and what. A `name` beside a `text` may be a document's."""
    said = next((key for key in LINES if key in row), None)
    speaker = next((key for key in SPEAKERS if key in row), None)
    if said is None and speaker is not None:
        said = next((key for key in ("text", "content") if key in row), None)
    elif speaker is None and "name" in row:
        speaker = "name"
    return (speaker, said) if speaker and said else None


def first_text(row: Mapping[str, Any], keys: Iterable[str]) -> str:
    """The first of the fields that is a text and not blank, or ""."""
    return next((value for key in keys if isinstance(value := row.get(key), str) and value.strip()), "")


def first_key(row: Mapping[str, Any], keys: Iterable[str]) -> str:
    """The first of the keys under which something stands, or ""."""
    return next((key for key in keys if isinstance(row.get(key), str | list | dict) and row[key]), "")


def list_in(row: Mapping[str, Any]) -> list[Any]:
    """The first dialogue that is a list and not empty, or an empty one."""
    return next((value for key in LISTS if isinstance(value := row.get(key), list) and value), [])
