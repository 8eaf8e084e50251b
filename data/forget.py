"""Forgetting a source: every dataset that was built from it is built again without it."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data.build import build
from data.provenance import FORGOTTEN_FILE, forgotten_in
from data.report import read_report
from persona.errors import PersonaError
from persona.files import write_json


def forget(source: str, runs: Path) -> Iterator[str]:
    """Rebuild every dataset under `runs` without the file called `source`; gives a sentence for each.

    A dataset that had no other source is deleted. Raises `PersonaError` when no dataset was built from it.
    """
    name = Path(source).name
    found = [(run, report) for run in sorted(runs.glob("*")) if name in _files_of(report := _report_of(run))]
    if not found:
        known = sorted({file for run in runs.glob("*") for file in _files_of(_report_of(run))})
        raise PersonaError(
            f"No dataset was built from {name!r}.", where=str(runs), fix=f"one of: {', '.join(known) or 'none yet'}"
        )
    for run, report in found:
        before = forgotten_in(run)
        write_json(run / FORGOTTEN_FILE, sorted(before | {name}))
        if _files_of(report) <= forgotten_in(run):
            shutil.rmtree(run / "dataset")
            yield f"{run.name}: the dataset had no other source and is deleted."
        else:
            settings = report.get("settings", {})
            built = build(
                settings.get("name") or run.name,
                speaker=settings.get("as") or None,
                seed=settings.get("seed", 0),
                rendered=bool(settings.get("rendered")),
                teacher=settings.get("teacher") or None,
                blocked=frozenset(settings.get("blocked") or ()),
            )
            if name in {file.name for file in built.input.files}:
                write_json(run / FORGOTTEN_FILE, sorted(before))
                raise PersonaError(
                    f"{name} is the character itself, which no dataset can do without.",
                    where=str(run),
                    fix="edit or delete it in the character's folder, then build again",
                )
            yield f"{run.name}: built again without {name}."
        if (run / "adapter").exists():
            yield f"{run.name}: its adapter still remembers; make a new one with: persona train {run.name}"


def _report_of(run: Path) -> dict[str, Any]:
    return read_report(run / "dataset") or {}


def _files_of(report: dict[str, Any]) -> set[str]:
    inputs = report.get("inputs")
    return {Path(name).name for name in inputs} if isinstance(inputs, dict) else set()
