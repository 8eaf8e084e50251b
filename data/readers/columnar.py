"""Parquet files, Arrow files and the folders that `datasets` saves -> rows of Python values, few at a time."""

from collections.abc import Callable, Collection, Iterator
from datetime import date
from pathlib import Path
from typing import Any

from data.readers.jsonlines import MAX_VALUES, fault_of
from persona.errors import PersonaError
from persona.formats.json import read_json
from persona.formats.text import read_bytes, read_start

TABLE_BYTES = 1024 * 1024 * 1024
"""The largest Parquet or Arrow file."""

TABLE_TEXT_BYTES = 256 * 1024 * 1024
"""The most text that is taken from one table: 187 novels are 113 MB."""

BATCH_ROWS = 64
"""The most rows that are unpacked at once."""

_PARQUET, _ARROW_FILE = b"PAR1", b"ARROW1"
_ARROW_STREAM = b"\xff\xff\xff\xff"  # which `datasets` writes
_LIST_OF_SPLITS, _LIST_OF_FILES = "dataset_dict.json", "state.json"

Row = tuple[int, dict[str, Any] | str]
"""(number, fields by their names in lower case, or what is wrong with the row)."""

Choice = Callable[[Collection[str]], Collection[str]]
"""The columns to read, of all names in lower case."""


def is_columnar(path: Path) -> bool:
    """Whether a file, or a folder that `datasets` saved, holds columns in Parquet or Arrow."""
    if path.is_dir():
        return any((path / name).is_file() for name in (_LIST_OF_SPLITS, _LIST_OF_FILES))
    return read_start(path, len(_ARROW_FILE)).startswith((_PARQUET, _ARROW_FILE, _ARROW_STREAM))


def columnar_rows(path: Path, where: str, choose: Choice) -> Iterator[Row]:
    """The rows of Parquet or Arrow files. Their numbers go on from file to file of a folder.

    Raises `PersonaError` naming `where` for a table that is broken, or over the limits above.
    """
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
        start = read_start(file, len(_ARROW_FILE))
        if file.stat().st_size > TABLE_BYTES:
            raise PersonaError(f"The table has more than {TABLE_BYTES:,} bytes.", where=str(file), fix="split it")
        if start.startswith(_PARQUET):
            yield from _parquet_batches(file, where, choose)
            continue
        opened = pyarrow.ipc.open_file if start.startswith(_ARROW_FILE) else pyarrow.ipc.open_stream
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
    splits = path / _LIST_OF_SPLITS
    folders = [path / name for name in _names(splits, "splits")] if splits.is_file() else [path]
    return [folder / name for folder in folders for name in _names(folder / _LIST_OF_FILES, "_data_files")]


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
