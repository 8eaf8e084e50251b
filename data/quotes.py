"""`python -m data quotes FILE`: every quotation of a novel with its speaker, as JSON lines or as a table."""

import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from data.novel.attribution import Attributed, attribute
from persona.errors import PersonaError
from persona.formats.text import decode_text, printable, read_bytes

NOVEL_BYTES = 32 * 1024 * 1024
"""The largest file that is read; a long novel is under 4 MB."""
_SPEAKERS_SHOWN = 20
_NAME_WIDTH = 24


def print_quotes(file: Path, as_json: bool) -> None:
    """Print every quotation of a novel in plain text with its speaker.

    With `as_json` one object a line: `start` and `end` (character offsets in the decoded file, without a byte-order mark,
    with its line ends as they are), `text`, `speaker`, `confidence`, `rule`, `trained`. Else a table as wide as the
    terminal and a summary by speaker. Raises `PersonaError` for a file that is no text, too large, or, for the table,
    without quotations.
    """
    notes: list[str] = []
    found = attribute(decode_text(read_bytes(file, NOVEL_BYTES), str(file), notes))
    try:
        if as_json:
            _print_lines(found)
        elif found:
            _print_table(found, notes)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of the output, such as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if not found and not as_json:
        raise PersonaError("No quotation was found.", where=str(file), fix="a novel with quotation marks in it")


def _print_lines(found: Sequence[Attributed]) -> None:
    ascii_only = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    for quotation in found:
        print(json.dumps(asdict(quotation), ensure_ascii=ascii_only))


def _print_table(found: Sequence[Attributed], notes: Sequence[str]) -> None:
    """The quotations, one a line and cut to fit, then how many each speaker has."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table(box=box.SIMPLE_HEAD, expand=True)
    table.add_column("character", justify="right", no_wrap=True)
    table.add_column("speaker", max_width=_NAME_WIDTH, no_wrap=True)
    table.add_column("sure", no_wrap=True)
    table.add_column("quotation", ratio=1, no_wrap=True)
    for quotation in found:
        sure = f"{quotation.confidence:.2f}"
        style = "bold" if quotation.trained else "dim"
        said = printable(" ".join(quotation.text.split()))
        table.add_row(
            f"{quotation.start:,}",
            Text(printable(quotation.speaker)),
            Text(sure, style),
            Text(said, overflow="ellipsis"),
        )
    console.print(table)
    spoken = [quotation for quotation in found if quotation.rule != "not speech"]
    said_by = Counter(quotation.speaker for quotation in spoken)
    trained = Counter(quotation.speaker for quotation in spoken if quotation.trained)
    summary = Table(box=box.SIMPLE_HEAD)
    summary.add_column("speaker", max_width=_NAME_WIDTH, no_wrap=True)
    summary.add_column("quotations", justify="right")
    summary.add_column("trained", justify="right")
    for speaker, count in said_by.most_common(_SPEAKERS_SHOWN):
        summary.add_row(Text(printable(speaker) or "(nobody found)"), f"{count:,}", f"{trained[speaker]:,}")
    console.print(summary)
    share = trained.total() / max(len(spoken), 1)
    console.print(f"{len(spoken):,} quotations of {len(said_by):,} speakers; {share:.0%} are trained by default.")
    for note in notes:
        console.print(Text(note))
