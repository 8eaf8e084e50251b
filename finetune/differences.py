"""What changed between two records of a run, in words, to be shown before anything is overwritten."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from persona.formats.text import printable

SHOWN = 60
"""Characters of a value; two long ones are only said to differ."""

_DIGEST = re.compile(r"[0-9a-f]{32,128}")
_NAMES = {"rows": "dataset's rows", "model": "base model", "base": "base model", "card": "character's card"}
_GROUP = "settings"


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """One line for each value that is not equal, once both are JSON: `rank: 16 -> 32`, or `the dataset's rows changed`.

    Mappings inside are gone through; lists and digests are compared whole; a missing value equals null. No lines mean
    no difference.
    """
    return list(_compare(json.loads(json.dumps(old)), json.loads(json.dumps(new)), ()))


def _compare(old: Mapping[str, Any], new: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[str]:
    for key in dict.fromkeys((*new, *old)):
        before, after = old.get(key), new.get(key)
        path = above if key == _GROUP else (*above, key)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from _compare(before, after, path)
        elif before != after:
            yield _change(path, _shown(before), _shown(after))


def _change(path: tuple[str, ...], before: str | None, after: str | None) -> str:
    """In words where a value is no reading: a digest, or too long."""
    name = printable(" ".join(path).replace("_", " ").replace("\n", " ").replace("\t", " "))[:SHOWN]
    if before is None or after is None or before == after:
        name = name.removesuffix(" digest")
        return f"the {_NAMES.get(name, name)} changed"
    return f"{name}: {before} -> {after}"


def _shown(value: Any) -> str | None:
    """A short value as it is typed; None where it says nothing to a reader."""
    if value is None:
        return "not set"
    text = printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    readable = len(text) <= SHOWN and "\n" not in text and "\t" not in text and not _DIGEST.fullmatch(text)
    return text if readable else None
