"""What a dataset is made of and what was left out of it and why: report.json, and the same as one table."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data.sources import entry_name
from data.split import SPLITS, Split
from persona.card import CharacterCard
from persona.conversation import Conversation

REPORT_FILE = "report.json"


def read_report(dataset: Path) -> dict[str, Any] | None:
    """The report of a dataset folder; None where there is none that can be read."""
    try:
        report = json.loads((dataset / REPORT_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return report if isinstance(report, dict) else None


def make_report(card: CharacterCard, done: Split, dropped: Sequence[tuple[Conversation, str]]) -> dict[str, Any]:
    """Counts by split, each counted from the rows themselves; a dropped row belongs to the split of its scene."""
    reasons: dict[str, Counter[str]] = {name: Counter() for name in SPLITS}
    for row, reason in dropped:
        reasons[done.home_of(row)][reason] += 1
    return {
        "kept": {name: len(done.rows[name]) for name in SPLITS},
        "replies": {name: sum(len(row.replies) for row in done.rows[name]) for name in SPLITS},
        "dropped": {name: dict(sorted(reasons[name].items())) for name in SPLITS},
        "origins": {name: dict(Counter(row.origin for row in done.rows[name])) for name in SPLITS},
        "entries_without_questions": _silent_entries(card, done),
        "warnings": list(done.warnings),
    }


def _silent_entries(card: CharacterCard, done: Split) -> list[str]:
    """Lore entries that no row was made of: off, empty, or without a sentence that converts safely."""
    asked = {row.scene for rows in done.rows.values() for row in rows if row.source in ("lore", "lorebook")}
    entries = card.character_book.entries if card.character_book else ()
    return [name for index, entry in enumerate(entries) if (name := entry_name(entry, index)) not in asked]


def show_report(report: Mapping[str, Any], where: str) -> None:
    """Print the report as a compact table, with the reasons under it."""
    from rich.console import Console
    from rich.table import Table

    origins = list(dict.fromkeys(origin for name in SPLITS for origin in report["origins"][name]))
    table = Table("", *SPLITS, box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for title, counts in (("rows", report["kept"]), ("replies", report["replies"])):
        table.add_row(title, *(f"{counts[name]:,}" for name in SPLITS))
    for origin in origins:
        table.add_row(f"  {origin}", *(f"{report['origins'][name].get(origin, 0):,}" for name in SPLITS))
    table.add_row("dropped", *(f"{sum(report['dropped'][name].values()):,}" for name in SPLITS))
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{report['character']} -> {where}", markup=False)
    console.print(table)
    reasons = Counter[str]()
    for name in SPLITS:
        reasons.update(report["dropped"][name])
    if reasons:
        console.print("dropped: " + ", ".join(f"{reason} {count}" for reason, count in reasons.most_common()))
    silent = report["entries_without_questions"]
    if silent:
        console.print(f"no question could be made of {len(silent)} lore entries: {', '.join(silent)}", markup=False)
    for warning in report["warnings"]:
        console.print(f"note: {warning}", markup=False)
