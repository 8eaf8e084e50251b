"""The builder's road, read from top to bottom: sources -> rows -> kept | dropped -> split -> files."""

import hashlib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import persona
from data.answers import answer_rows
from data.balance import Dropped, mostly_real, without_examples
from data.filters import sift
from data.inputs import Input, read_input
from data.lore import lore_rows
from data.report import REPORT_FILE, make_report, read_report
from data.rows import RowMaker
from data.sources import real_rows, script_rows
from data.split import SPLITS, Split, split
from persona.conversation import Conversation
from persona.errors import PersonaError
from persona.files import replace_folder, write_json, write_jsonl

ARROW_FOLDER = "hf"

READING = ("card.py", "conversation.py", "formats/*.py", "lore_*.py", "lorebook.py", "memory.py")
RENDERING = ("base.py", "normalise.py", "prompt.py", "system.py", "template.py")
"""The files of `persona` that a dataset, and a rendered one, depends on."""


def build(
    name: str, *, speaker: str | None = None, seed: int = 0, rendered: bool = False, force: bool = False
) -> tuple[Input, dict[str, Any], bool]:
    """Make the dataset of NAME. Gives its input, its report, and whether it was there already and unchanged.

    Raises `PersonaError` when there is nothing to read, or nothing is left to train on.
    """
    source = read_input(name, speaker)
    inputs = source.digests()
    settings = {
        "seed": seed,
        "as": speaker and source.card.name,
        "rendered": rendered,
        "builder": _builder_digest(rendered),
    }
    earlier = _earlier_report(source)
    if not force and earlier and earlier.get("inputs") == inputs and earlier.get("settings") == settings:
        return source, earlier, True
    rows, left_out = make_rows(source, seed)
    kept, dropped = sift(rows)
    kept, examples = without_examples(kept)
    done = split(kept, seed)
    done.rows["train"], beyond = mostly_real(done.rows["train"])
    if not done.rows["train"]:
        raise PersonaError(
            f"Nothing of {source.card.name} is left to train on.",
            where=", ".join(str(file) for file in source.files),
            fix="write dialogue in lines.md, a greeting in card.toml, facts in lore.md",
        )
    report = make_report(source.card, done, [*left_out, *dropped, *examples, *done.dropped, *beyond])
    report = {"character": source.card.name, "inputs": inputs, "settings": settings, **report}
    _write(source, done, report, rendered)
    return source, report, False


def make_rows(source: Input, seed: int) -> tuple[list[Conversation], Dropped]:
    """Every row that the input gives, real lines first; and those that are left out for where they stand."""
    make = RowMaker(source.card, seed, source.scenes, whole_names=source.is_script)
    dropped: Dropped = []
    if source.is_script:
        real, dropped = script_rows(source.scenes, source.files[0].name, make)
    else:
        real = list(real_rows(source.card, source.scenes, make))
    replies = [reply for row in real for reply in row.replies]
    synthetic = [*lore_rows(source.card, replies, make), *answer_rows(source.card, replies, make)]
    return [*real, *synthetic], dropped


def _write(source: Input, done: Split, report: dict[str, Any], rendered: bool) -> None:
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
        report["digest"] = _digest(temporary)
        report["files"] = sorted(f.relative_to(temporary).as_posix() for f in temporary.rglob("*") if f.is_file())
        write_json(temporary / REPORT_FILE, report)
        if source.is_script:
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
        notes={"entry": text},
    )
    disable_progress_bars()
    # from_list, not from_json: the state file of the latter names a cache folder and differs from run to run.
    filled = {name: [_with_every_field(row) for row in table] for name, table in tables.items() if table}
    DatasetDict({name: Dataset.from_list(rows, features=features) for name, rows in filled.items()}).save_to_disk(
        folder
    )


def _with_every_field(row: Mapping[str, Any]) -> dict[str, Any]:
    messages = [{"role": m["role"], "content": m["content"], "name": m.get("name")} for m in row["messages"]]
    return {**row, "messages": messages, "notes": {"entry": row["notes"].get("entry", "")}}


def _digest(folder: Path) -> str:
    """SHA-256 over the rows of all splits."""
    return hashlib.sha256(b"\0".join((folder / f"{name}.jsonl").read_bytes() for name in SPLITS)).hexdigest()


def _builder_digest(rendered: bool) -> str:
    """SHA-256 of the code that makes a dataset: one of an older builder is not up to date."""
    library = Path(persona.__file__).parent
    patterns = (*READING, *RENDERING) if rendered else READING
    files = [*Path(__file__).parent.glob("*.py"), *(file for pattern in patterns for file in library.glob(pattern))]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in sorted(files))).hexdigest()[:16]


def _earlier_report(source: Input) -> dict[str, Any] | None:
    """The report of a whole dataset that is as it was written; None when there is none."""
    folder, report = source.place.dataset, read_report(source.place.dataset)
    if report is None or not isinstance(report.get("files"), list):
        return None
    files = [folder / str(file) for file in report["files"]]
    if source.is_script:
        files.append(source.place.card)
    whole = all(file.is_file() for file in files) and report.get("digest") == _digest(folder)
    return report if whole else None
