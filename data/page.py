"""The look at a dataset: one static HTML page that needs no script, no network and nothing beside it."""

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path

from data.dataset_card import dataset_card
from data.lengths import marked
from data.look import KINDS, Look, counted, headline, replies_by_split
from data.page_parts import (
    bars,
    dialogue,
    escaped,
    folded,
    histogram,
    listed,
    number,
    paragraph,
    provenance,
    section,
    sequence,
    shown,
    table,
)
from data.split import SPLITS
from persona.base import Base
from persona.conversation import Conversation
from persona.errors import PersonaError

__all__ = ["Look", "page"]

EXAMPLES_PER_REASON = 3
REASONS_LISTED = 100
CARD_CHARACTERS = 40_000

_LEGEND = (
    "This is what the model reads, token for token. Grey is context; "
    "<ins>green is what it learns to say</ins>, and where the pointer is, it shows its tokens."
)


def page(look: Look) -> str:
    """The whole page. The same look gives the same text; whatever strangers wrote is escaped."""
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    parts = [(anchor, title, body) for anchor, title, write in _SECTIONS if (body := write(look))]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{escaped(look.character.name)}: dataset</title>
<style>{style}</style>
</head>
<body>
<header>
<h1>{shown(look.character.name)}</h1>
<p class="lead">{shown(headline(look), 1_000)}</p>
{_figures(look)}
{_notes(look)}
</header>
<nav>{"".join(f"<a href='#{anchor}'>{title}</a>" for anchor, title, _ in parts)}</nav>
<main>
{"".join(section(*part) for part in parts)}</main>
</body>
</html>
"""


def _figures(look: Look) -> str:
    figures = (
        (len(look.train), "dialogues to train on"),
        (replies_by_split(look)[0], "replies that are trained"),
        (len(look.kept) - len(look.train), "dialogues held out"),
        (len(look.dropped), "dialogues left out"),
    )
    return f'<ul class="figures">{"".join(f"<li><b>{count:,}</b>{what}</li>" for count, what in figures)}</ul>'


def _notes(look: Look) -> str:
    notes = listed([shown(note) for note in look.notes], most=12)
    return f'<aside class="notes">{notes}</aside>' if notes else ""


def _kinds(look: Look) -> str:
    rows = [[shown(KINDS.get(kind, kind), 60), *map(number, counts)] for kind, counts in look.kinds.items()]
    dialogues = [len(look.rows.get(split, ())) for split in SPLITS]
    rows += [
        [what, *map(number, counts)]
        for what, counts in (("all dialogues", dialogues), ("replies in them", replies_by_split(look)))
    ]
    return table(["", *SPLITS], rows, numbers=range(1, 4))


def _steps(look: Look) -> str:
    return bars([(shown(what, 120), left) for what, left in look.steps])


def _samples(look: Look) -> str:
    samples = "\n".join(_sample(look, row) for row in look.samples())
    return paragraph(_LEGEND, "legend") + samples if samples else ""


def _sample(look: Look, row: Conversation) -> str:
    try:
        sequences = marked(row, look.character, Base.resolve())
        body = "\n<hr>\n".join(map(sequence, sequences)) or paragraph("No reply fits the context.", "alarm")
    except PersonaError as error:
        body = paragraph(shown(error.what), "alarm")
    kind = shown(KINDS.get(row.origin, row.origin), 60)
    return f'<article class="sample"><h3>{kind}</h3>{provenance(row, "train")}{body}</article>'


def _dropped(look: Look) -> str:
    """Reasons, each with examples from the beginning, the middle and the end of what it left out."""
    rows: dict[str, list[Conversation]] = {}
    for row, reason in look.dropped:
        rows.setdefault(reason, []).append(row)
    parts = []
    for reason, count in look.reasons[:REASONS_LISTED]:
        found = rows[reason]
        places = sorted({len(found) * place // EXAMPLES_PER_REASON for place in range(EXAMPLES_PER_REASON)})
        examples = [found[place] for place in places]
        talk = "\n".join(provenance(row, "left out") + dialogue(row.messages, row.character) for row in examples)
        parts.append(folded(f"<b>{count:,}</b> {shown(reason, 200)}", talk))
    return "\n".join(parts)


def _lengths(look: Look) -> str:
    measured = look.lengths
    if not measured.tokens:
        return ""
    part = f"a sample of {len(measured.tokens):,} of" if len(measured.tokens) < measured.rows else "all"
    said = (
        f"Half of the rows have at most {measured.quantile(0.5):,} tokens, nine of ten at most "
        f"{measured.quantile(0.9):,}, the longest {max(measured.tokens):,}: card, lore and dialogue together, as the "
        f"built-in base reads them, measured on {part} {counted(measured.rows, 'row')}. The dashed line is its context "
        f"of {measured.context:,} tokens; {counted(measured.beyond, 'row')} beyond it."
    )
    altered = paragraph(
        f"{counted(measured.altered, 'prompt')} had to leave something out or to change it; the commonest reasons:"
    )
    notes = listed([f"{shown(note, 200)} ({counted(count, 'row')})" for note, count in measured.notes])
    return paragraph(said) + histogram(measured) + (altered + notes if notes else "")


def _lore(look: Look) -> str:
    if not look.entries:
        return ""
    made = bars([(shown(name, 80), count) for name, count in look.coverage.items() if count], most=200)
    silent = [shown(name, 80) for name in look.silent_entries]
    said = f"No row was made of {counted(len(silent), 'entry', 'entries')}: what they say is not asked about."
    covered = sum(count > 0 for count in look.coverage.values())
    of_all = f"{covered:,} of {counted(len(look.coverage), 'entry', 'entries')} have rows"
    return (paragraph(said, "alarm") + listed(silent) if silent else "") + folded(of_all, made)


def _sources(look: Look) -> str:
    rows = [
        [
            shown(source.get("name", ""), 120),
            shown(source.get("kind", ""), 60),
            shown(source.get("lines", ""), 20),
            shown(source.get("licence") or "not stated", 120),
            f"<code>{shown(source.get('sha256', '')[:12])}</code>",
        ]
        for source in look.sources
    ]
    return table(["source", "kind", "lines", "licence", "SHA-256"], rows, numbers=[2])


def _speakers(look: Look) -> str:
    rows = [[shown(name, 80), number(lines)] for name, lines in look.speakers]
    return table(["speaker", "lines"], rows, numbers=[1])


def _duplicates(look: Look) -> str:
    pairs = (f'<div class="pair"><p>{shown(a)}</p><p>{shown(b)}</p></div>' for a, b in look.near_duplicates)
    said = paragraph("Texts that are nearly the same, a few of them:")
    return said + "\n".join(pairs) if look.near_duplicates else ""


def _personal(look: Look) -> str:
    rows = [[shown(kind, 60), number(count)] for kind, count in look.personal.items()]
    return table(["type", "times"], rows, numbers=[1])


def _quarantined(look: Look) -> str:
    rows = [[shown(name, 120), shown(place, 80), shown(reason, 200)] for name, place, reason in look.quarantined]
    return table(["source", "place", "reason"], rows)


def _leakage(look: Look) -> str:
    rows = [
        [shown(what, 200), f'<span class="alarm">{count:,}</span>' if count else "0"]
        for what, count in look.leakage.items()
    ]
    return table(["measured", "found"], rows, numbers=[1])


def _card(look: Look) -> str:
    return folded("README.md", f"<pre>{shown(dataset_card(look), CARD_CHARACTERS)}</pre>")


_SECTIONS: tuple[tuple[str, str, Callable[[Look], str]], ...] = (
    ("kinds", "What is in it", _kinds),
    ("steps", "Step by step", _steps),
    ("samples", "Samples", _samples),
    ("dropped", "Left out", _dropped),
    ("lengths", "Lengths", _lengths),
    ("lore", "Lore", _lore),
    ("speakers", "Speakers", _speakers),
    ("sources", "Sources", _sources),
    ("duplicates", "Near-duplicates", _duplicates),
    ("personal", "Personal data replaced", _personal),
    ("quarantined", "Unreadable lines", _quarantined),
    ("leakage", "Between the splits", _leakage),
    ("card", "Dataset card", _card),
)
"""Anchor, title and writer of each section; one without content is left out."""
