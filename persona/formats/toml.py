"""Values -> TOML, for card.toml: the standard library reads TOML and does not write it."""

import re
from typing import Any

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPED = re.compile(r'[\\"\x00-\x1f\x7f]')
_ESCAPED_IN_LINES = re.compile(r'\\|"""|"(?=\Z)|[\x00-\x08\x0b-\x1f\x7f]')
_SHORT = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r", '"""': '""\\"'}
_LINE_LENGTH = 100


def fits(value: Any) -> bool:
    """Whether TOML can hold a JSON value: it has no null, and whole numbers of 64 bits."""
    if isinstance(value, dict):
        return all(fits(inner) for inner in value.values())
    if isinstance(value, list):
        return all(fits(inner) for inner in value)
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return value is not None


def write_toml(table: dict[str, Any]) -> str:
    """A TOML 1.0 document of JSON values for which `fits` holds; texts of several lines stay readable."""
    return "\n".join(_table(table, ())) + "\n"


def write_value(value: Any) -> str:
    """One value as it stands to the right of `=`, on one line but for texts and lists of several."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _lines(value) if "\n" in value else _text(value)
    if isinstance(value, list):
        items = [write_value(item) for item in value]
        if sum(map(len, items)) < _LINE_LENGTH and not any("\n" in item for item in items):
            return f"[{', '.join(items)}]"
        return "[\n" + "".join(f"  {item},\n" for item in items) + "]"
    return _inline(value)


def _table(table: dict[str, Any], path: tuple[str, ...]) -> list[str]:
    """Plain values first: what follows a header belongs to it."""
    lines = [f"\n[{'.'.join(map(_key, path))}]"] if path else []
    lines += [f"{_key(key)} = {write_value(value)}" for key, value in table.items() if not isinstance(value, dict)]
    for key, value in table.items():
        if isinstance(value, dict):
            lines += _table(value, (*path, key))
    return lines


def _inline(value: Any) -> str:
    """A value inside an inline table, where TOML allows no line break."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} = {_inline(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    if isinstance(value, str):
        return _text(value)
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _text(key)


def _escape(match: re.Match[str]) -> str:
    return _SHORT.get(match[0]) or f"\\u{ord(match[0]):04x}"


def _text(value: str) -> str:
    return '"' + _ESCAPED.sub(_escape, value) + '"'


def _lines(value: str) -> str:
    return '"""\n' + _ESCAPED_IN_LINES.sub(_escape, value) + '"""'
