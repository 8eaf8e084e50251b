"""lore.md, a lorebook as a person writes it: one `##` heading for each entry, its keys, then what is true."""

import re
from collections.abc import Sequence
from typing import Any

from persona.errors import PersonaError

_ENTRY = re.compile(r"##\s+(\S.*)")
_SETTING = re.compile(r"\s*(keys|secondary[_ ]keys|constant|priority)\s*:(.*)", re.IGNORECASE)
_SWITCH = {"true": True, "yes": True, "false": False, "no": False}


def read_lore(text: str, where: str) -> list[dict[str, Any]]:
    """The entries of a lore.md, with the field names of Character Card V3.

    Directly under an entry's heading may stand `keys: a, b`, `secondary_keys: c`, `constant: true` and `priority: 5`;
    without keys, or with an empty `keys:`, the heading itself is the key. A `# title` and `<!-- comments -->` are
    skipped. Raises `PersonaError` naming `where` and the line for a setting that cannot be read and for text above the
    first heading.
    """
    entries: list[dict[str, Any]] = []
    in_settings = False
    content: list[str] = []
    for number, line in enumerate(without_comments(text).splitlines(), 1):
        heading = _ENTRY.fullmatch(line.rstrip())
        if heading:
            _close(entries, content)
            name = heading[1]
            entries.append(
                {"name": name, "keys": [name], "content": "", "insertion_order": len(entries) + 1, "use_regex": False}
            )
            content, in_settings = [], True
        elif not entries:
            if line.strip() and not line.startswith("# "):
                raise PersonaError(
                    "A line stands above the first heading.",
                    where=f"{where}, line {number}",
                    fix="## Name of the entry",
                )
        elif in_settings and (setting := _SETTING.fullmatch(line)):
            _set(entries[-1], setting[1].lower().replace(" ", "_"), setting[2].strip(), f"{where}, line {number}")
        else:
            in_settings = in_settings and not line.strip()
            content.append(line.rstrip())
    _close(entries, content)
    return entries


def write_lore(entries: Sequence[dict[str, Any]], title: str) -> str:
    """The entries as lore.md; whether nothing is lost shows when it is read back."""
    parts = [f"# {title}\n"]
    for entry in entries:
        lines = [f"## {entry.get('name') or ''}", f"keys: {', '.join(entry.get('keys') or [])}"]
        if entry.get("secondary_keys"):
            lines.append(f"secondary_keys: {', '.join(entry['secondary_keys'])}")
        lines += [
            f"{field}: {str(entry[field]).lower()}"
            for field in ("constant", "priority")
            if entry.get(field) is not None
        ]
        parts.append("\n".join([*lines, entry.get("content", ""), ""]))
    return "\n".join(parts)


def without_comments(text: str) -> str:
    """The text without `<!-- comments -->`, its lines still counted as before."""
    parts: list[str] = []
    position = 0
    while (start := text.find("<!--", position)) >= 0 and (end := text.find("-->", start)) >= 0:
        parts += [text[position:start], "\n" * text.count("\n", start, end)]
        position = end + 3
    return "".join(parts) + text[position:]


def _close(entries: list[dict[str, Any]], content: list[str]) -> None:
    if entries:
        entries[-1]["content"] = "\n".join(content).strip()


def _set(entry: dict[str, Any], name: str, value: str, where: str) -> None:
    if name in ("keys", "secondary_keys"):
        words = [key.strip() for key in value.split(",") if key.strip()]
        if name == "secondary_keys":
            entry |= {name: words, "selective": True}
        elif words:
            entry[name] = words
    elif name == "constant":
        if value.lower() not in _SWITCH:
            raise PersonaError(f"constant is {value[:40]!r}.", where=where, fix="constant: true")
        entry[name] = _SWITCH[value.lower()]
    else:
        if not re.fullmatch(r"-?\d{1,9}", value):
            raise PersonaError(f"priority is {value[:40]!r}.", where=where, fix="a whole number, such as priority: 10")
        entry[name] = int(value)
