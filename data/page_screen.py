"""The look at a dataset on one terminal screen: what is in it, what was left out, and what to do next."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from data.balance import ENOUGH_REAL_REPLIES
from data.look import KINDS, Look, counted, replies_by_split
from data.split import SPLITS
from persona.formats.text import printable

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

KINDS_SHOWN = 6
REASONS_SHOWN = 3
NAMES_SHOWN = 8


def one_screen(look: Look, name: str) -> "Group":
    """What fits 24 lines of 80 columns, for `rich`; `name` is what one types after `persona train`."""
    from rich.console import Group

    return Group(
        _counts(look),
        *_left_out(look),
        _line(_length_words(look)),
        *(_line(text) for text in _findings(look)),
        *(_line(f"note: {note}", "yellow") for note in look.notes[:1]),
        *(_line(f"next: {advice}", "green") for advice in _next(look, name)),
    )


def _line(text: str, style: str = "", *, indent: int = 0) -> "Text":
    """One line of any text: a terminal obeys nothing in it, and what is too long ends in an ellipsis."""
    from rich.text import Text

    return Text(" " * indent + " ".join(printable(text).split()), style, no_wrap=True, overflow="ellipsis")


def _counts(look: Look) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column(_line(look.character.name), no_wrap=True, max_width=40)
    for split in SPLITS:
        table.add_column(split, justify="right")
    table.add_row("dialogues", *(f"{len(look.rows.get(split, ())):,}" for split in SPLITS))
    table.add_row("replies", *(f"{count:,}" for count in replies_by_split(look)))
    kinds = list(look.kinds.items())
    if len(kinds) > KINDS_SHOWN:
        others = [counts for _, counts in kinds[KINDS_SHOWN - 1 :]]
        kinds[KINDS_SHOWN - 1 :] = [("others", [sum(counts) for counts in zip(*others, strict=True)])]
    for kind, counts in kinds:
        table.add_row(_line(KINDS.get(kind, kind), indent=2), *(f"{count:,}" for count in counts))
    return table


def _left_out(look: Look) -> Iterator["Text"]:
    if look.dropped:
        first = ", first of all" if len(look.reasons) > REASONS_SHOWN else ""
        yield _line(f"left out: {counted(len(look.dropped), 'dialogue')}{first}")
    for reason, count in look.reasons[:REASONS_SHOWN]:
        yield _line(f"{count:,} {reason}", indent=2)


def _length_words(look: Look) -> str:
    measured = look.lengths
    if not measured.tokens:
        return "no row to measure"
    return (
        f"tokens a row: {measured.quantile(0.5):,} in the middle, 90 % up to {measured.quantile(0.9):,}, "
        f"longest {max(measured.tokens):,} of {measured.context:,}"
    )


def _findings(look: Look) -> Iterator[str]:
    if look.silent_entries:
        yield f"lore without rows ({len(look.silent_entries):,} of {len(look.entries):,}): " + _names(
            look.silent_entries
        )
    if look.quarantined:
        source, place, reason = look.quarantined[0]
        yield f"unreadable: {counted(len(look.quarantined), 'place')}, first {source}, {place}: {reason}"
    if look.personal:
        yield "replaced: " + ", ".join(f"{kind} {count:,}" for kind, count in look.personal.items())
    if leaks := {what: count for what, count in look.leakage.items() if count}:
        yield "between the splits: " + ", ".join(f"{what} {count:,}" for what, count in leaks.items())


def _names(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMES_SHOWN]) + (" …" if len(names) > NAMES_SHOWN else "")


def _next(look: Look, name: str) -> Iterator[str]:
    real = sum(len(row.replies) for row in look.train if row.is_real)
    if real < ENOUGH_REAL_REPLIES:
        yield f"write more dialogue: {counted(real, 'real reply', 'real replies')} to train on are few"
    if look.silent_entries:
        yield "let somebody ask about the lore without rows, in lines.md"
    yield "open report.html beside the rows: samples, and what was left out"
    yield f"persona train {printable(name)}"
