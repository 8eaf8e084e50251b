"""Tables (Parquet, the Arrow files of a `datasets` folder, CSV, TSV) -> records for the readers of dialogue, or documents."""

import csv
import io
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from data.provenance import refuse_discord_record
from data.readers.columnar import Choice, Row, columnar_rows, is_columnar
from data.readers.fields import FIELDS, LISTS, has_dialogue
from data.readers.gathering import headline
from data.readers.jsonlines import MAX_VALUES, Records, set_aside
from data.readers.marks import looks_like_marked
from data.source import Quarantined
from persona.errors import PersonaError
from persona.formats.json import read_json
from persona.formats.text import TEXT_BYTES, decode_text, read_bytes, read_start

CSV_BYTES = 64 * 1024 * 1024

TEXTS = ("text", "content", "story", "body", "document", "article")
TITLES = ("title", "name", "id")
_TOLD_BY = 20  # rows that tell whether a text column holds dialogue with the marks of a template

_START = 64 * 1024
_NAME_CHARACTERS = 40


def is_table(path: Path) -> bool:
    """Whether a file or folder is a table, by its content; CSV needs a header with columns that are known."""
    return is_columnar(path) or bool(_delimiter(path))


def read_records(path: Path, where: str) -> Records:
    """The rows of a table that holds dialogue, for the readers of chats and training files; no rows where it holds none.

    Raises `PersonaError` naming `where` for a table that is broken, too large, or says that it comes from Discord.
    """
    return _collect(path, where, FIELDS.intersection) if _has_dialogue(path, where) else Records([], unit="row")


def read_documents(path: Path, where: str) -> tuple[list[tuple[str, str]], list[Quarantined]]:
    """The (title, text) of each row of a table with a column of texts, and the rows that have none.

    Raises `PersonaError` naming `where` as `read_records` does, and when there is no column of texts.
    """
    return documents_of(_collect(path, where, _document_columns), where)


def documents_of(records: Records, where: str) -> tuple[list[tuple[str, str]], list[Quarantined]]:
    """The (title, text) of each record with a text, and what could not be read. Raises `PersonaError` if none has one."""
    documents: list[tuple[str, str]] = []
    broken = list(records.quarantined)
    for number, row in records.rows:
        text, *titles = (_text_and_titles(row) if isinstance(row, dict) else []) or [""]
        if text and isinstance(row[text], str) and row[text].strip():
            title = next((headline(str(row[key])) for key in titles if isinstance(row[key], str | int)), "")
            documents.append((title or records.place(number), row[text]))
        else:
            broken.append(Quarantined(records.place(number), "It has no text."))
    if not documents:
        fix = f"name a column: {', '.join(TEXTS)}"
        raise PersonaError("Nothing in it is dialogue or has a text.", where=where, fix=fix)
    return documents, broken


def _collect(path: Path, where: str, choose: Choice) -> Records:
    records = Records([], unit="row")
    for number, row in _rows(path, where, choose):
        if isinstance(row, str):
            set_aside(records, number, row, where)
        else:
            records.rows.append((number, row))
    return records


def _text_and_titles(names: Collection[str]) -> list[str]:
    """The column of texts and those of titles, or nothing."""
    text = [key for key in TEXTS if key in names][:1]
    return text + [key for key in TITLES if key in names] if text else []


def _document_columns(names: Collection[str]) -> set[str]:
    found = _text_and_titles(names)
    return {"source", "provenance", "metadata", *found} & set(names) if found else set()


def _has_dialogue(path: Path, where: str) -> bool:
    seen: list[Collection[str]] = []

    def choose(names: Collection[str]) -> Collection[str]:
        seen.append(names)
        return {"text"} & set(names)

    sample = [row for (_, row), _ in zip(_rows(path, where, choose), range(_TOLD_BY), strict=False)]
    texts = [row["text"] for row in sample if isinstance(row, dict) and isinstance(row.get("text"), str)]
    marked = sum(map(looks_like_marked, texts))
    return any(map(has_dialogue, seen)) or 2 * marked > len(sample)


def _rows(path: Path, where: str, choose: Choice) -> Iterator[Row]:
    """The chosen columns of every row. Raises `PersonaError` for a broken table, or one that comes from Discord."""
    delimiter = _delimiter(path)
    rows = _csv_rows(path, where, delimiter, choose) if delimiter else columnar_rows(path, where, choose)
    for number, row in rows:
        if isinstance(row, dict):
            refuse_discord_record(row, f"{where}, row {number}")
            try:
                row = _unfolded(row)
            except PersonaError as error:
                row = error.what
        yield number, row


def _unfolded(row: dict[str, Any]) -> dict[str, Any]:
    """The row with lists of messages as lists: they may be written as JSON, or as an object of columns."""
    for key in LISTS:
        value = row.get(key)
        if isinstance(value, str) and value.lstrip().startswith("[{"):
            row[key] = read_json(value.encode(errors="replace"), key)
        elif isinstance(value, dict) and value and all(isinstance(column, list) for column in value.values()):
            row[key] = [dict(zip(value, cells, strict=False)) for cells in zip(*value.values(), strict=False)]
    return row


def _delimiter(path: Path) -> str:
    """What separates the columns of a text whose first line names columns that are known, or ""."""
    start = b"" if path.is_dir() else read_start(path, _START)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = start[: len(start) // 2 * 2].decode("utf-16", "replace")
    else:
        text = start.partition(b"\n")[0].decode("utf-8-sig", "replace")
    header = text.partition("\n")[0].strip("\r")
    for delimiter in ",\t;":
        names = _header(header, delimiter)
        if len(names) > 1 and (has_dialogue(names) or _text_and_titles(names)):
            return delimiter
    return ""


def _header(line: str, delimiter: str) -> list[str]:
    names = [name.strip('"').lower() for name in line.split(delimiter)]
    return names if all(len(name) <= _NAME_CHARACTERS and name == name.strip() for name in names) else []


def _csv_rows(path: Path, where: str, delimiter: str, choose: Choice) -> list[Row]:
    text = decode_text(read_bytes(path, CSV_BYTES), where)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows: list[Row] = []
    values, line = 0, 1
    usual = csv.field_size_limit(TEXT_BYTES)
    try:
        names = [name.strip().lower() for name in next(reader)]
        chosen = set(choose(names))
        for cells in reader:
            number, line = line + 1, reader.line_num
            values += len(cells) + 1
            if values > MAX_VALUES:
                raise PersonaError(f"The table has more than {MAX_VALUES:,} values.", where=where, fix="split it")
            if len(cells) == len(names):
                rows.append((number, {key: cell for key, cell in zip(names, cells, strict=True) if key in chosen}))
            elif cells:
                rows.append((number, f"It has {len(cells)} cells, and the header has {len(names)}."))
    except csv.Error as error:
        raise PersonaError(f"This is no table: {error}.", where=f"{where}, line {reader.line_num}") from None
    finally:
        csv.field_size_limit(usual)
    return rows
