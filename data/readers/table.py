"""Tables (Parquet, the Arrow files of a `datasets` folder, CSV, TSV) -> records for the readers of dialogue, or documents."""

import csv
import io
from collections.abc import Callable, Collection, Iterator
from datetime import date
from pathlib import Path
from typing import Any

from data.provenance import refuse_discord_record
from data.readers.gathering import headline
from data.readers.jsonlines import MAX_VALUES, Records, fault_of, set_aside
from data.readers.messages import FIELDS, LISTS, has_dialogue, looks_like_marked
from data.source import Quarantined
from persona.errors import PersonaError
from persona.formats.json import read_json
from persona.formats.text import TEXT_BYTES, decode_text, read_bytes, read_start

TABLE_BYTES = 1024 * 1024 * 1024
"""The largest Parquet or Arrow file."""

CSV_BYTES = 64 * 1024 * 1024
TABLE_TEXT_BYTES = 256 * 1024 * 1024
"""The most text that is taken from one table: 187 novels are 113 MB."""

BATCH_ROWS = 64
"""The most rows that are unpacked at once."""

TEXTS = ("text", "content", "story", "body", "document", "article")
TITLES = ("title", "name", "id")
_TOLD_BY = 20  # rows that tell whether a text column holds dialogue with the marks of a template

_START = 64 * 1024
_NAME_CHARACTERS = 40
_MAGIC = (b"PAR1", b"ARROW1", b"\xff\xff\xff\xff")  # the last begins an Arrow stream, which `datasets` writes
_LISTS_OF_FILES = ("dataset_dict.json", "state.json")

Row = tuple[int, dict[str, Any] | str]
"""(number, fields by their names in lower case, or what is wrong with the row)."""

Choice = Callable[[Collection[str]], Collection[str]]
"""The columns to read, of all names in lower case."""


def is_table(path: Path) -> bool:
    """Whether a file or folder is a table, by its content; CSV needs a header with columns that are known."""
    if path.is_dir():
        return any((path / name).is_file() for name in _LISTS_OF_FILES)
    start = read_start(path, _START)
    return start.startswith(_MAGIC) or bool(_delimiter(start))


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
    delimiter = "" if path.is_dir() else _delimiter(read_start(path, _START))
    rows = _csv_rows(path, where, delimiter, choose) if delimiter else _arrow_rows(path, where, choose)
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


def _delimiter(start: bytes) -> str:
    """What separates the columns of a text whose first line names columns that are known, or ""."""
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


def _arrow_rows(path: Path, where: str, choose: Choice) -> Iterator[Row]:
    """The rows of Parquet or Arrow files. Their numbers go on from file to file of a folder."""
    import pyarrow

    number = texts = values = 0
    try:
        for batch, schema in _batches(path, where, choose):
            leaves = list(_leaves(batch))
            texts, values = texts + sum(map(_text_bytes, leaves)), values + sum(map(len, leaves))
            if texts > TABLE_TEXT_BYTES or values > MAX_VALUES:
                what = f"The table has more than {TABLE_TEXT_BYTES:,} bytes of text, or {MAX_VALUES:,} values."
                raise PersonaError(what, where=where, fix="split it")
            whole = batch.cast(schema)
            doubtful = any(map(_has_nul, _leaves(whole)))
            columns = [(f.name.lower(), whole.column(i), _is_json(f.type)) for i, f in enumerate(schema)]
            for row in range(batch.num_rows):
                number += 1
                try:
                    fields = {name: v if ready else _plain(v) for name, c, ready in columns for v in (c[row].as_py(),)}
                except (ValueError, RecursionError, OverflowError) as error:
                    yield number, f"A value cannot be read: {type(error).__name__}."
                else:
                    yield number, (doubtful and fault_of(fields)) or fields
    except (pyarrow.ArrowException, OSError, ValueError, LookupError, MemoryError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise PersonaError(f"The table is broken: {reason}.", where=where, fix="write it again") from None


def _batches(path: Path, where: str, choose: Choice) -> Iterator[tuple[Any, Any]]:
    """Record batches of the chosen columns, whose texts may be dictionaries, and the schema that the file has for them."""
    import pyarrow

    for file in _files(path):
        start = read_start(file, len(_MAGIC[1]))
        if file.stat().st_size > TABLE_BYTES:
            raise PersonaError(f"The table has more than {TABLE_BYTES:,} bytes.", where=str(file), fix="split it")
        if start.startswith(b"PAR1"):
            yield from _parquet_batches(file, where, choose)
            continue
        opened = pyarrow.ipc.open_file if start.startswith(b"ARROW1") else pyarrow.ipc.open_stream
        with pyarrow.OSFile(str(file)) as stream:
            schema = opened(stream).schema
        chosen = _chosen(schema, choose)
        fields = [place for place, name in enumerate(schema.names) if name in chosen]
        options = pyarrow.ipc.IpcReadOptions(included_fields=fields, use_threads=False)
        if not fields:
            continue  # no fields would mean all of them
        with pyarrow.OSFile(str(file)) as stream:
            reader = opened(stream, options=options)
            count = getattr(reader, "num_record_batches", None)
            for batch in reader if count is None else map(reader.get_batch, range(count)):
                batch.validate(full=True)  # a stranger's offsets may lead anywhere
                for first in range(0, batch.num_rows, BATCH_ROWS):
                    yield batch.slice(first, BATCH_ROWS), batch.schema


def _parquet_batches(file: Path, where: str, choose: Choice) -> Iterator[tuple[Any, Any]]:
    """Few rows at a time, and lists as dictionaries: a text written once and named a million times fills no memory."""
    from pyarrow import parquet, schema

    with parquet.ParquetFile(file) as table:
        chosen = _chosen(table.schema_arrow, choose)
        plain = schema([table.schema_arrow.field(name) for name in chosen])
        groups = [table.metadata.row_group(n) for n in range(table.num_row_groups)]
    columns = [group.column(n) for group in groups for n in range(group.num_columns)]
    read = [column for column in columns if column.path_in_schema.split(".")[0] in chosen]
    size, values = sum(c.total_uncompressed_size for c in read), sum(c.num_values for c in read)
    if size > TABLE_TEXT_BYTES or values > MAX_VALUES:
        limits = f"at most {TABLE_TEXT_BYTES:,} bytes and {MAX_VALUES:,} values: split it"
        raise PersonaError(f"The table has {size:,} bytes and {values:,} values.", where=where, fix=limits)
    nested = sorted({c.path_in_schema for c in read if "." in c.path_in_schema and c.physical_type == "BYTE_ARRAY"})
    rows = max(1, min(BATCH_ROWS, TABLE_TEXT_BYTES // max(size, 1)))
    with parquet.ParquetFile(file, read_dictionary=nested, pre_buffer=False) as table:
        for group in range(len(groups) if chosen else 0):  # a nested dictionary cannot go on in the next group
            for batch in table.iter_batches(rows, row_groups=[group], columns=chosen, use_threads=False):
                yield batch.select(chosen), plain


def _chosen(schema: Any, choose: Choice) -> list[str]:
    """Views are left: many of them may show one text, whose size they do not tell."""
    wanted = set(choose([name.lower() for name in schema.names]))
    return [field.name for field in schema if field.name.lower() in wanted and "view" not in str(field.type)]


def _files(path: Path) -> list[Path]:
    """The Arrow files of a folder that `Dataset.save_to_disk` or `DatasetDict.save_to_disk` wrote, or the file itself."""
    if not path.is_dir():
        return [path]
    splits = path / "dataset_dict.json"
    folders = [path / name for name in _names(splits, "splits")] if splits.is_file() else [path]
    return [folder / name for folder in folders for name in _names(folder / "state.json", "_data_files")]


def _names(file: Path, key: str) -> list[str]:
    """The file or folder names in a list of a JSON file; none leads out of its folder."""
    value = read_json(read_bytes(file), str(file))
    found = value.get(key) if isinstance(value, dict) else None
    listed = found if isinstance(found, list) else []
    names = [item.get("filename") if isinstance(item, dict) else item for item in listed]
    good = [name for name in names if isinstance(name, str) and name == Path(name).name and name not in ("", "..")]
    if not names or len(good) < len(names):
        raise PersonaError(f"`{key}` is no list of files in this folder.", where=str(file))
    return list(dict.fromkeys(good))


def _leaves(batch: Any) -> Iterator[Any]:
    """The columns of a batch, and what is nested in them."""
    from pyarrow import types

    waiting = list(batch.columns)
    while waiting:
        column = waiting.pop()
        yield column
        if types.is_struct(column.type):
            waiting += column.flatten()
        elif types.is_list(column.type) or types.is_large_list(column.type) or types.is_fixed_size_list(column.type):
            waiting.append(column.flatten())


def _text_bytes(column: Any) -> int:
    """The bytes of a column's texts when every row is written out."""
    from pyarrow import compute, types

    if _is_text(column.type):
        return compute.sum(compute.binary_length(column)).as_py() or 0
    if not types.is_dictionary(column.type) or not _is_text(column.dictionary.type):
        return 0
    used = column.indices.value_counts()  # the dictionary grows from batch to batch
    lengths = compute.binary_length(column.dictionary.take(used.field("values")))
    return compute.sum(compute.multiply(compute.cast(lengths, "int64"), used.field("counts"))).as_py() or 0


def _has_nul(column: Any) -> bool:
    from pyarrow import compute

    return _is_text(column.type) and bool(compute.any(compute.match_substring(column, "\0")).as_py())


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    return types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind) or types.is_large_binary(kind)


def _is_json(kind: Any) -> bool:
    """Whether Python's values of an Arrow type are those that JSON has."""
    return not any(word in str(kind) for word in ("binary", "date", "time"))


def _plain(value: Any) -> Any:
    """A value as JSON would have it: bytes are UTF-8, dates ISO 8601. Raises `ValueError` for bytes that are none."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, dict) else value
