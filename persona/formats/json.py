"""A careful JSON reader for files of strangers: whatever Python would accept and choke on later is refused here."""

import json
import math
import re
from collections.abc import Iterable
from typing import Any

from persona.errors import PersonaError
from persona.formats.text import decode_text, position

JSON_BYTES = 8 * 1024 * 1024
"""The largest JSON text that is parsed; large real cards have a few hundred kilobytes."""
MAX_DEPTH = 64
MAX_VALUES = 500_000
MAX_ITEMS = 10_000
"""The longest list or object: each lorebook entry becomes an object of about a kilobyte."""
MAX_DIGITS = 40

# A string without its closing quote matches to the end, and `*+` never goes back: no text takes more than one pass.
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_STRING_OR_BRACKET = re.compile(_STRING.pattern + r"|[\[\]{}]", re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|\\)")


def read_json(data: bytes, where: str, notes: list[str] | None = None) -> Any:
    """Parse the bytes of a JSON file (RFC 8259), in any encoding that `decode_text` knows.

    Refused, with line and column where there is one: more than `JSON_BYTES`, `MAX_DEPTH`, `MAX_VALUES` or, in one
    field, `MAX_ITEMS`, NaN and infinities, numbers over `MAX_DIGITS` digits, duplicate keys, NUL and lone surrogates.
    Every error is a `PersonaError` naming `where`; what was guessed about the encoding is added to `notes`.
    """
    if len(data) > JSON_BYTES:
        raise PersonaError(f"The JSON text has {len(data):,} bytes.", where=where, fix=f"at most {JSON_BYTES:,} bytes")
    if not data.strip():
        raise PersonaError("The file is empty.", where=where)
    text = decode_text(data, where, notes)
    _check_size(text, where)
    _check_escapes(text, where)
    try:
        return json.loads(
            text,
            object_pairs_hook=lambda pairs: _object(pairs, where),
            parse_constant=lambda name: _refuse_number(name, where),
            parse_float=lambda digits: _float(digits, where),
            parse_int=lambda digits: _int(digits, where),
        )
    except json.JSONDecodeError as error:
        what = f"This is not JSON: {error.msg[:1].lower()}{error.msg[1:]}."
        raise PersonaError(what, where=f"{where}, line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise PersonaError("The JSON text is nested too deep.", where=where) from None


def _check_size(text: str, where: str) -> None:
    """Refuse, before parsing, what would fill the stack or the memory."""
    skeleton = _STRING.sub("", text)
    if sum(skeleton.count(mark) for mark in ",[{") > MAX_VALUES:
        raise PersonaError(f"The JSON text has more than {MAX_VALUES:,} values.", where=where)
    if _too_deep(_BRACKET.finditer(skeleton)) is not None:
        place = position(text, _too_deep(_STRING_OR_BRACKET.finditer(text)) or 0, where)
        raise PersonaError(f"The JSON text is nested more than {MAX_DEPTH} deep.", where=place)


def _too_deep(tokens: Iterable[re.Match[str]]) -> int | None:
    """Where the first bracket below `MAX_DEPTH` stands."""
    depth = 0
    for token in tokens:
        mark = token[0]
        depth += 1 if mark in "[{" else -1 if mark in "]}" else 0
        if depth > MAX_DEPTH:
            return token.start()
    return None


def _check_escapes(text: str, where: str) -> None:
    """Refuse escapes that no file can hold as text: NUL, and half of a surrogate pair."""
    high: re.Match[str] | None = None
    for escape in _ESCAPE.finditer(text):
        code = int(escape[1], 16) if escape[1] else -1
        low = 0xDC00 <= code <= 0xDFFF
        if low and high and high.end() == escape.start():
            high = None
            continue
        if high or low:
            raise _lone_surrogate(text, (high or escape).start(), where)
        if code == 0:
            raise PersonaError("A NUL character stands in a text.", where=position(text, escape.start(), where))
        high = escape if 0xD800 <= code <= 0xDBFF else None
    if high:
        raise _lone_surrogate(text, high.start(), where)


def _lone_surrogate(text: str, index: int, where: str) -> PersonaError:
    return PersonaError(
        f"A lone surrogate (half a character) stands in a text: {text[index : index + 6]}.",
        where=position(text, index, where),
        fix="remove it, or write the whole character",
    )


def _object(pairs: Iterable[tuple[str, Any]], where: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise PersonaError(
                f"The key {key[:60]!r} stands twice in one object.", where=where, fix="remove one of them"
            )
        if isinstance(value, list | dict) and len(value) > MAX_ITEMS:
            raise PersonaError(f"{key[:60]!r} has {len(value):,} items.", where=where, fix=f"at most {MAX_ITEMS:,}")
        result[key] = value
    return result


def _refuse_number(digits: str, where: str) -> Any:
    raise PersonaError(f"The number {digits[:40]} is not allowed in JSON.", where=where)


def _float(digits: str, where: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _refuse_number(digits, where)


def _int(digits: str, where: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise PersonaError(f"A number has {len(digits):,} digits.", where=where, fix=f"at most {MAX_DIGITS}")
    return int(digits)
