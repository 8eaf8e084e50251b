"""A dataset's files: JSONL and Arrow of every split, the report, the page to look at, the dataset card."""

import hashlib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import persona
from data.dataset_card import dataset_card
from data.inputs import Input
from data.look import Look
from data.page import page
from data.report import REPORT_FILE, read_report
from data.split import HELD_OUT_QUESTION, SPLITS, Split
from persona.files import replace_folder, write_atomic, write_json, write_jsonl

ARROW_FOLDER = "hf"
PAGE_FILE = "report.html"
CARD_FILE = "README.md"
NOTES = ("entry", HELD_OUT_QUESTION, "place", "licence", "rule", "confidence", "teacher", "parent", "change")
"""What is known of a row beside its text; Arrow wants every field in every row."""

READING = ("card.py", "conversation.py", "formats/*.py", "lore_*.py", "lorebook.py", "memory.py")
RENDERING = ("base.py", "normalise.py", "prompt.py", "system.py", "template.py")
"""The files of `persona` that a dataset, and a rendered one, depends on."""


def save(source: Input, done: Split, report: dict[str, Any], look: Look, rendered: bool) -> None:
    """All files into a temporary folder beside the dataset, which then takes its place."""
    source.place.run.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".dataset.", dir=source.place.run))
    try:
        tables = {name: [row.to_row() for row in done.rows[name]] for name in SPLITS}
        for name, table in tables.items():
            write_jsonl(temporary / f"{name}.jsonl", table)
        _write_arrow(temporary / ARROW_FOLDER, tables)
        if rendered:
            from data.rendered import render

            for name in SPLITS:
                write_jsonl(temporary / "rendered" / f"{name}.jsonl", render(done.rows[name], source.card))
        write_atomic(temporary / PAGE_FILE, page(look))
        write_atomic(temporary / CARD_FILE, dataset_card(look))
        report["digest"] = _digest(temporary)
        report["files"] = sorted(f.relative_to(temporary).as_posix() for f in temporary.rglob("*") if f.is_file())
        write_json(temporary / REPORT_FILE, report)
        if source.is_made:
            source.card.save(source.place.card)
        temporary.chmod(0o755)
        replace_folder(temporary, source.place.dataset)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_arrow(folder: Path, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """A `DatasetDict` of the splits that have rows (`save_to_disk` fails on an empty one)."""
    from datasets import Dataset, DatasetDict, Features, List, Value, disable_progress_bars

    text = Value("string")
    features = Features(
        id=text,
        character=text,
        messages=List({"role": text, "content": text, "name": text}),
        lore=text,
        seed=Value("int64"),
        origin=text,
        source=text,
        scene=text,
        notes=dict.fromkeys(NOTES, text),
    )
    disable_progress_bars()
    # from_list, not from_json: the state file of the latter names a cache folder and differs from run to run.
    filled = {name: [_with_every_field(row) for row in table] for name, table in tables.items() if table}
    DatasetDict({name: Dataset.from_list(rows, features=features) for name, rows in filled.items()}).save_to_disk(
        folder
    )


def _with_every_field(row: Mapping[str, Any]) -> dict[str, Any]:
    messages = [{"role": m["role"], "content": m["content"], "name": m.get("name")} for m in row["messages"]]
    return {**row, "messages": messages, "notes": {key: row["notes"].get(key, "") for key in NOTES}}


def _digest(folder: Path) -> str:
    """SHA-256 over the rows of all splits."""
    return hashlib.sha256(b"\0".join((folder / f"{name}.jsonl").read_bytes() for name in SPLITS)).hexdigest()


def builder_digest(rendered: bool) -> str:
    """SHA-256 of the code that makes a dataset: one of an older builder is not up to date."""
    library = Path(persona.__file__).parent
    patterns = (*READING, *RENDERING) if rendered else READING
    files = [*Path(__file__).parent.rglob("*.py"), *(file for pattern in patterns for file in library.glob(pattern))]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in sorted(files))).hexdigest()[:16]


def earlier_report(source: Input) -> dict[str, Any] | None:
    """The report of a whole dataset that is as it was written; None when there is none."""
    folder, report = source.place.dataset, read_report(source.place.dataset)
    if report is None or not isinstance(report.get("files"), list):
        return None
    files = [folder / str(file) for file in report["files"]]
    if source.is_made:
        files.append(source.place.card)
    whole = all(file.is_file() for file in files) and report.get("digest") == _digest(folder)
    return report if whole else None
