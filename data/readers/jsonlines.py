"""JSON of strangers -> records with their places; whatever is broken is set aside with its line."""

import io
import json
import math
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import accumulate, islice
from typing import Any

from data.provenance import refuse_discord_record, texts_of
from data.source import Quarantined
from persona.errors import PersonaError
from persona.formats.envelope import kind_of
from persona.formats.json import JSON_BYTES, MAX_DEPTH, MAX_DIGITS
from persona.formats.text import decode_text, printable

FILE_BYTES = 256 * 1024 * 1024
"""The largest file of records, one a line."""

WHOLE_BYTES = 64 * 1024 * 1024
"""The largest file that is one JSON value; a Telegram export without pictures has some megabytes."""

MAX_VALUES = 5_000_000
"""Values in one file: 100,000 chat messages have about two million."""

FEWEST_BROKEN = 1_000
"""With so many broken lines, and more broken ones than good ones, a file is no file of records."""

# A string without its closing quote matches to the end, and `*+` never goes back: no text takes more than one pass.
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")
_SPACE = re.compile(r"[ \t\r\n]*")
_DOUBTFUL = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_NO_TEXT = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True)
class Records:
    """The records of a file: `rows` are (number of the line or item, value).

    `unit` says what is counted, "" where the file is one object, which then is `whole`, too.
    """

    rows: list[tuple[int, Any]]
    quarantined: list[Quarantined] = field(default_factory=list)
    whole: dict[str, Any] | None = None
    unit: str = "line"
    notes: list[str] = field(default_factory=list)

    def place(self, number: int) -> str:
        """What a person looks for: "line 12"; "" in a file that is one object."""
        return f"{self.unit} {number}" if self.unit else ""


def read_records(data: bytes, where: str) -> Records:
    """The records of JSON Lines, of a JSON array, or the one object of a JSON file (RFC 8259, in any usual encoding).

    A line or item that is broken, too long, too deep, has a key twice, NaN, a number of over `MAX_DIGITS` digits, a NUL
    or half a character is quarantined. Raises `PersonaError` naming `where` for a file that is too large, has too many
    values, holds no record, or says that it comes from Discord.
    """
    if len(data) > FILE_BYTES:
        raise PersonaError(f"The file has {len(data):,} bytes.", where=where, fix=f"at most {FILE_BYTES:,} bytes")
    notes: list[str] = []
    data = _as_utf8(data, where, notes)
    if not data.strip():
        raise PersonaError("The file is empty.", where=where)
    first = list(islice((line for line in io.BytesIO(data) if line.strip()), 2))
    if len(first) == 2 and _is_json(first[0]):
        return _read_lines(data, where, notes)
    try:
        return _read_whole(data, where, notes)
    except PersonaError as error:
        if len(first) < 2 or first[0].strip() in (b"[", b"{"):
            raise
        records = _read_lines(data, where, notes)
        if not any(isinstance(value, dict) for _, value in records.rows):
            raise error from None
        return records


def _as_utf8(data: bytes, where: str, notes: list[str]) -> bytes:
    """The same text in UTF-8, where more lines say that it is not; a few broken lines are left as they are."""
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:2]:
        return decode_text(data, where, notes).encode()
    good = bad = 0
    for line in io.BytesIO(b"" if data.isascii() else data):
        if not line.isascii():
            try:
                line.decode()
                good += 1
            except UnicodeDecodeError:
                bad += 1
    if bad > good:
        with suppress(PersonaError):
            return decode_text(data, where, notes).encode()
    return data


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line[:JSON_BYTES], parse_int=len, parse_float=len)
    except (ValueError, RecursionError):
        return False
    return True


def _read_lines(data: bytes, where: str, notes: list[str]) -> Records:
    records = Records([], notes=notes)
    parser = _Parser(where)
    for number, line in enumerate(io.BytesIO(data), 1):
        if not line.strip():
            continue
        try:
            if len(line) > JSON_BYTES:
                raise PersonaError(f"The line has {len(line):,} bytes; at most {JSON_BYTES:,} are read.")
            value = parser.value(line)
        except PersonaError as error:
            set_aside(records, number, error.what, where)
        else:
            if parser.values > MAX_VALUES:
                raise PersonaError(f"The file has more than {MAX_VALUES:,} values.", where=where, fix="split it")
            refuse_discord_record(value, f"{where}, line {number}")
            records.rows.append((number, value))
    return records


def set_aside(records: Records, number: int, reason: str, where: str) -> None:
    """Quarantine a record. Raises `PersonaError` when more are broken than not: the file is something else."""
    records.quarantined.append(Quarantined(records.place(number), reason))
    broken = len(records.quarantined)
    if broken > max(FEWEST_BROKEN, len(records.rows)):
        what = f"{broken:,} of the first {number:,} {records.unit}s are broken; the last one: {reason}"
        raise PersonaError(what, where=where, fix="a file of JSON objects, one on each line")


def _read_whole(data: bytes, where: str, notes: list[str]) -> Records:
    if len(data) > WHOLE_BYTES:
        what = f"The file is one JSON value of {len(data):,} bytes."
        raise PersonaError(what, where=where, fix=f"at most {WHOLE_BYTES:,} bytes, or one JSON object on each line")
    parser = _Parser(where)
    text = decode_text(data, where, notes)
    start = _after_space(text, 0)
    if text[start : start + 1] != "[":
        value = parser.value(data, text)
        if not isinstance(value, dict):
            raise PersonaError(f"The file holds {kind_of(value)} and no records.", where=where)
        refuse_discord_record(value, where)
        return Records([(1, value)], whole=value, unit="", notes=notes)
    parser.check_size(text)
    return _read_items(text, start, where, notes, parser)


def _read_items(text: str, start: int, where: str, notes: list[str], parser: "_Parser") -> Records:
    """The items of an array; behind the place where it stops being JSON nothing can be read."""
    records = Records([], unit="item", notes=notes)
    doubtful = bool(_DOUBTFUL.search(text))
    end = _after_space(text, start + 1)
    number = 0
    try:
        more = not text.startswith("]", end)
        while more:
            number += 1
            value, fault, end = parser.item(text, end, doubtful)
            if fault:
                set_aside(records, number, fault, where)
            else:
                refuse_discord_record(value, f"{where}, item {number}")
                records.rows.append((number, value))
            end = _after_space(text, end)
            more = text.startswith(",", end)
            if not more and not text.startswith("]", end):
                raise json.JSONDecodeError("Expecting ',' delimiter", text, end)
            end = _after_space(text, end + 1)
        if end < len(text) and number:
            raise json.JSONDecodeError("Extra data", text, end)
    except (json.JSONDecodeError, RecursionError) as error:
        place = f", line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        if not records.rows:
            raise PersonaError(f"This is not JSON: {_said(error)}.", where=where + place) from None
        reason = f"From here on, the file is not JSON: {_said(error)}."
        records.quarantined.append(Quarantined(f"{records.place(number)}{place}", reason))
    return records


def _after_space(text: str, start: int) -> int:
    found = _SPACE.match(text, start)
    return found.end() if found else start


def _said(error: Exception) -> str:
    message = error.msg if isinstance(error, json.JSONDecodeError) else "it is nested too deep"
    return message[:1].lower() + message[1:]


class _Parser:
    """A JSON decoder that remembers what is wrong with a value instead of stopping, and counts values."""

    def __init__(self, where: str) -> None:
        self.values = 0
        self.where = where
        self.faults: list[str] = []
        self.decoder = json.JSONDecoder(
            object_pairs_hook=self._object,
            parse_float=self._float,
            parse_int=self._int,
            parse_constant=self._refused,
        )

    def value(self, line: bytes, text: str | None = None) -> Any:
        """The value of one line or file. Raises `PersonaError` with what is wrong with it."""
        if text is None:
            try:
                text = line.decode()
            except UnicodeDecodeError as error:
                raise PersonaError(f"Byte {error.start + 1:,} of the line is not UTF-8.") from None
        self.check_size(text)
        try:
            start = _after_space(text, 0)
            value, fault, end = self.item(text, start, bool(_DOUBTFUL.search(text)))
            if _after_space(text, end) < len(text):
                raise json.JSONDecodeError("Extra data", text, _after_space(text, end))
        except (json.JSONDecodeError, RecursionError) as error:
            place = f", line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
            raise PersonaError(f"This is not JSON: {_said(error)}.", where=self.where + place) from None
        if fault:
            raise PersonaError(fault, where=self.where)
        return value

    def item(self, text: str, start: int, doubtful: bool) -> tuple[Any, str, int]:
        """(value, what is wrong with it or "", where it ends); `doubtful` texts may hold what is no character."""
        self.faults.clear()
        value, end = self.decoder.raw_decode(text, start)
        if doubtful and not self.faults:
            self.faults += [fault_of(value)]
        return value, self.faults[0] if self.faults else "", end

    def check_size(self, text: str) -> None:
        """Refuse, before parsing, what would fill the stack or the memory, and count the values."""
        skeleton = _STRING.sub("", text)
        opened = skeleton.count("[") + skeleton.count("{")
        if opened > MAX_DEPTH:
            steps = (1 if mark[0] in "[{" else -1 for mark in _BRACKET.finditer(skeleton))
            if any(depth > MAX_DEPTH for depth in accumulate(steps)):
                raise PersonaError(f"The JSON text is nested more than {MAX_DEPTH} deep.", where=self.where)
        values = 1 + opened + skeleton.count(",")
        if values > MAX_VALUES:
            raise PersonaError(f"The JSON text has more than {MAX_VALUES:,} values.", where=self.where, fix="split it")
        self.values += values

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = Counter(name for name, _ in pairs)
            self.faults.append(f"The key {printable(names.most_common(1)[0][0][:60])!r} stands twice in one object.")
        return found

    def _float(self, digits: str) -> float:
        number = float(digits)
        return number if math.isfinite(number) else self._refused(digits)

    def _int(self, digits: str) -> float:
        return int(digits) if len(digits) <= MAX_DIGITS else self._refused(digits)

    def _refused(self, digits: str) -> float:
        self.faults.append(f"The number {digits[:MAX_DIGITS]} is not allowed.")
        return 0.0


def fault_of(value: Any) -> str:
    """What no file can hold as text and this value has, or ""."""
    found = next((match[0] for text in texts_of(value) if (match := _NO_TEXT.search(text))), None)
    if found is None:
        return ""
    return f"{'A NUL character' if found == chr(0) else 'Half a character (a lone surrogate)'} stands in a text."
