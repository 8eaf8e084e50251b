"""The look at a dataset on one terminal screen: what is in it, what was left out, and what to do next."""

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

from data.balance import ENOUGH_REAL_REPLIES
from data.look import KINDS, Look, counted, leak_words
from data.split import SPLITS
from persona.formats.text import printable

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

KINDS_SHOWN = 5
REASONS_SHOWN = 3
NAMES_SHOWN = 8
ADVICE_SHOWN = 2


def one_screen(look: Look, name: str) -> "Group":
    """What fits 24 lines of 80 columns, for `rich`; `name` is what one types after `persona train`."""
    from rich.console import Group

    return Group(
        *_real_lines(look),
        _counts(look),
        *_left_out(look),
        *(_line(text) for text in _findings(look)),
        *_note(look),
        *(_line(f"next: {advice}", "green") for advice in _next(look, name)),
    )


def _line(text: str, style: str = "") -> "Text":
    """One line of any text: a terminal obeys nothing in it, and what is too long ends in an ellipsis."""
    from rich.text import Text

    return Text(" ".join(printable(text).split()), style, no_wrap=True, overflow="ellipsis")


def _real_lines(look: Look) -> Iterator["Text"]:
    lines = look.real_lines
    yield _line(
        f"own lines: {lines.found:,} in the sources, {lines.trained:,} trained, {lines.held_out:,} held out, "
        f"{lines.left_out:,} left out"
    )
    leaks = leak_words(look)
    if lines.held_out and leaks:
        alarm = "bold red" if any(is_leak for _, is_leak in leaks) else ""
        yield _line("held out: " + ", ".join(words for words, _ in leaks), alarm)


def _counts(look: Look) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, collapse_padding=True)
    table.add_column(_line(look.character.name), no_wrap=True, max_width=26, vertical="bottom")
    for split in SPLITS:
        table.add_column(f"{split}\ndialogues", justify="right")
        table.add_column("\nreplies", justify="right")
    kinds = list(look.kinds.items())
    if len(kinds) > KINDS_SHOWN:
        others = [counts for _, counts in kinds[KINDS_SHOWN - 1 :]]
        sums = [(sum(d for d, _ in each), sum(r for _, r in each)) for each in zip(*others, strict=True)]
        kinds[KINDS_SHOWN - 1 :] = [(f"{len(others)} other kinds", sums)]
    for kind, counts in [*kinds, ("all", look.totals)]:
        table.add_row(_line(KINDS.get(kind, kind)), *(f"{count:,}" for count in chain.from_iterable(counts)))
    return table


def _left_out(look: Look) -> Iterator["Text"]:
    for reason, count in look.reasons[:REASONS_SHOWN]:
        yield _line(f"left out: {count:,} of {counted(len(look.dropped), 'dialogue')}: {reason}")


def _findings(look: Look) -> Iterator[str]:
    measured = look.lengths
    if not measured.tokens:
        yield "no row to measure"
    else:
        yield (
            f"tokens a dialogue: median {measured.quantile(0.5):,}, 90 % up to {measured.quantile(0.9):,}, "
            f"longest {max(measured.tokens):,}; context {measured.context:,}"
        )
    if measured.altered:
        cut = f"{measured.altered:,} of {len(measured.tokens):,} prompts "
        if measured.cuts_card:
            yield cut + "are cut: the card is too long for its half of the context"
        else:
            yield cut + f"are cut or changed: {measured.notes[0][0]}"
    if look.entries:
        yield "lore: " + _lore_words(look)
    if look.quarantined:
        source, place, reason = look.quarantined[0]
        yield f"unreadable: {counted(len(look.quarantined), 'place')}, first: {reason} ({place} of {source})"
    if look.personal:
        yield "replaced: " + ", ".join(f"{kind} {count:,}" for kind, count in look.personal.items())


def _lore_words(look: Look) -> str:
    covered = look.coverage.values()
    trained = sum(entry.trained > 0 for entry in covered)
    held_out = sum(not entry.trained and entry.held_out > 0 for entry in covered)
    words = f"{trained:,} of {counted(len(covered), 'entry', 'entries')} trained"
    words += f", {held_out:,} held out" if held_out else ""
    names = look.silent_entries
    more = " …" if len(names) > NAMES_SHOWN else ""
    return words + (f", {len(names):,} without rows: {', '.join(names[:NAMES_SHOWN])}{more}" if names else "")


def _note(look: Look) -> Iterator["Text"]:
    if look.notes:
        place = f" 1 of {len(look.notes):,}" if len(look.notes) > 1 else ""
        yield _line(f"note{place}: {look.notes[0]}", "yellow")


def _next(look: Look, name: str) -> Iterator[str]:
    advice = []
    trained, doubtful = look.real_lines.trained, look.real_lines.without_dialogue
    if doubtful:
        lines = counted(doubtful, "doubtful line", "doubtful lines")
        advice.append(f"to keep or drop {lines}: python -m data review {printable(name)}")
    if trained < ENOUGH_REAL_REPLIES:
        advice.append(f"write more dialogue: {counted(trained, 'real reply', 'real replies')} to train on are few")
    if look.lengths.altered:
        advice.append(f"persona show {printable(name)} says what is cut")
    if look.silent_entries:
        advice.append("let somebody ask about the lore without rows, in lines.md")
    yield from advice[:ADVICE_SHOWN]
    yield "open report.html beside the rows: samples, and what was left out"
    yield f"persona train {printable(name)}"
