"""What a dataset is made of and what was left out of it and why, in numbers: report.json."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from data.authored import entry_name
from data.look import Look
from data.split import SPLITS, Split
from persona.card import CharacterCard

REPORT_FILE = "report.json"


def read_report(dataset: Path) -> dict[str, Any] | None:
    """The report of a dataset folder; None where there is none that can be read."""
    try:
        report = json.loads((dataset / REPORT_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return report if isinstance(report, dict) else None


def make_report(card: CharacterCard, done: Split, look: Look) -> dict[str, Any]:
    """Counts by split, each counted from the rows themselves; a dropped row belongs to the split of its scene."""
    reasons: dict[str, Counter[str]] = {name: Counter() for name in SPLITS}
    for row, reason in look.dropped:
        reasons[done.home_of(row)][reason] += 1
    return {
        "kept": {name: len(done.rows[name]) for name in SPLITS},
        "replies": {name: sum(len(row.replies) for row in done.rows[name]) for name in SPLITS},
        "real_lines": {
            "found": look.real_lines.found,
            "trained": look.real_lines.trained,
            "held_out": look.real_lines.held_out,
            "left_out": look.real_lines.left_out,
        },
        "dropped": {name: dict(sorted(reasons[name].items())) for name in SPLITS},
        "origins": {name: dict(Counter(row.origin for row in done.rows[name])) for name in SPLITS},
        "entries_without_questions": list(look.silent_entries),
        "steps": [[what, count] for what, count in look.steps],
        "personal": dict(sorted(look.personal.items())),
        "leakage": dict(look.leakage),
        "quarantined": [list(each) for each in look.quarantined],
        "warnings": list(done.warnings),
    }


def silent_entries(card: CharacterCard, done: Split) -> list[str]:
    """Lore entries that no row was made of: off, empty, or without a sentence that converts safely."""
    asked = {row.scene for rows in done.rows.values() for row in rows if row.source in ("lore", "lorebook", "telling")}
    entries = card.character_book.entries if card.character_book else ()
    return [name for index, entry in enumerate(entries) if (name := entry_name(entry, index)) not in asked]
