"""The look at a dataset: one static HTML page that needs no script, no network and nothing beside it."""

from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path

from data.dataset_card import dataset_card
from data.filters import Filter, empty, foreign, normalised, placeholder, reply_fault, turn_fault
from data.lengths import marked
from data.look import KINDS, Look, counted, headline, kind_of, leak_words
from data.page_parts import dialogue, histogram, provenance, sequence
from data.split import SPLITS, passages
from persona.base import Base
from persona.conversation import Conversation
from persona.errors import PersonaError
from persona.pages import bars, document, folded, listed, more, number, paragraph, shown, table

__all__ = ["Look", "page"]

EXAMPLES_PER_REASON = 3
REASONS_LISTED = 100
CARD_CHARACTERS = 40_000

_LEGEND = (
    "This is what the model reads, token for token. Grey is context; "
    "<ins>green is what it learns to say</ins>, and where the pointer is, it shows its tokens."
)
_ANEW = (
    "The next reply is learnt in a text of its own. Its prompt does not go on from the one above, as when somebody else "
    "joins, so that turns get names, or when the oldest turns no longer fit."
)


def page(look: Look) -> str:
    """The whole page. The same look gives the same text; whatever strangers wrote is escaped."""
    parts = [(anchor, title, body) for anchor, title, write in _SECTIONS if (body := write(look))]
    name = look.character.name
    header = [f"<h1>{shown(name)}</h1>", paragraph(shown(headline(look), 1_000), "lead"), _figures(look), _notes(look)]
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    return document(f"{name}: dataset", "\n".join(header), parts, style)


def _figures(look: Look) -> str:
    lines = look.real_lines
    different = f", {lines.different:,} different" if lines.different < lines.trained else ""
    doubtful = f", {lines.without_dialogue:,} of them as doubtful" if lines.without_dialogue else ""
    figures = (
        (lines.found, f"lines of {shown(look.character.name, 60)} in the sources"),
        (lines.trained, f"of them trained{different}"),
        (lines.held_out, "held out to test with"),
        (lines.left_out, f"left out{doubtful}"),
    )
    return f'<ul class="figures">{"".join(f"<li><b>{count:,}</b>{what}</li>" for count, what in figures)}</ul>'


def _notes(look: Look) -> str:
    notes = listed([shown(note) for note in look.notes], most=12)
    return f'<aside class="notes">{notes}</aside>' if notes else ""


def _kinds(look: Look) -> str:
    kinds = [(shown(KINDS.get(kind, kind), 60), counts) for kind, counts in look.kinds.items()]
    rows = [[what, *map(number, chain.from_iterable(counts))] for what, counts in [*kinds, ("all", look.totals)]]
    head = chain.from_iterable((f"{split}:<br>dialogues", "replies") for split in SPLITS)
    return table(["", *head], rows, numbers=range(1, 1 + 2 * len(SPLITS)))


def _leakage(look: Look) -> str:
    if not look.real_lines.held_out:
        return paragraph("No real reply is held out, so that nothing tells how well new lines are met.")
    leaks = ", ".join(
        f'<span class="alarm">{shown(what)}</span>' if bad else shown(what) for what, bad in leak_words(look)
    )
    return paragraph(
        f"{counted(look.real_lines.held_out, 'real reply', 'real replies')} held out: {leaks or 'not compared'}."
    )


def _steps(look: Look) -> str:
    unit = paragraph("Dialogues that are left after each step:")
    return unit + bars([(shown(what, 120), left) for what, left in look.whole_road]) if look.steps else ""


def _samples(look: Look) -> str:
    samples = "\n".join(_sample(look, row) for row in look.samples())
    return paragraph(_LEGEND, "legend") + samples if samples else ""


def _sample(look: Look, row: Conversation) -> str:
    try:
        sequences = marked(row, look.character, Base.resolve())
        anew = f"\n{paragraph(_ANEW, 'anew')}\n"
        body = anew.join(map(sequence, sequences)) or paragraph("No reply fits the context.", "alarm")
    except PersonaError as error:
        body = paragraph(shown(error.what), "alarm")
    kind = shown(KINDS.get(kind_of(row), row.origin), 60)
    return f'<article class="sample"><h3>{kind}</h3>{provenance(row, _use(look, row))}{body}</article>'


def _use(look: Look, row: Conversation) -> str:
    """What a trained row is for; whether its lore is looked up, where there is any."""
    return f"train, lore {'is' if row.lore else 'is not'} looked up" if look.entries else "train"


def _dropped(look: Look) -> str:
    """Reasons, each with examples from the beginning, the middle and the end of what it left out."""
    rows: dict[str, list[Conversation]] = {}
    for row, reason in look.dropped:
        rows.setdefault(reason, []).append(row)
    judges = (empty, placeholder, foreign(look.kept), _held_out(look))
    parts = []
    for reason, count in look.reasons[:REASONS_LISTED]:
        found = rows[reason]
        places = sorted({len(found) * place // EXAMPLES_PER_REASON for place in range(EXAMPLES_PER_REASON)})
        talk = [
            provenance(row, "left out") + dialogue(row.messages, row.character, _blamed(row, reason, judges))
            for row in (found[place] for place in places)
        ]
        parts.append(folded(f"<b>{count:,}</b> {shown(reason, 200)}", "\n".join([*talk, *more(count - len(places))])))
    said = "Dialogues by reason. Where one turn is the reason, it is marked in red."
    return paragraph(said) + "\n".join([*parts, *more(len(look.reasons) - REASONS_LISTED)]) if parts else ""


def _blamed(row: Conversation, reason: str, judges: tuple[Filter, ...]) -> list[int]:
    """Places of the turns for which alone a row would be left out; none where the whole of it is the reason."""
    others = {message.name for message in row.messages if message.name and message.role != "assistant"}
    blamed = []
    for place, message in enumerate(row.messages):
        own, said = message.role == "assistant", message.content
        alone = replace(row, messages=(message,))
        fault = reply_fault(said, row.character, others) if own else turn_fault(said)
        if reason in (fault, *(judge(alone) for judge in judges)):
            blamed.append(place)
    return blamed


def _held_out(look: Look) -> Filter:
    """What the split says of a reply that is held out, or shares a passage with one that is."""
    replies = {normalised(reply) for row in look.held_out for reply in row.replies}
    known = {passage for row in look.held_out if row.is_real for reply in row.replies for passage in passages(reply)}

    def held_out(row: Conversation) -> str | None:
        if any(normalised(reply) in replies for reply in row.replies):
            return "reply is held out"
        shared = any(known & passages(reply) for reply in row.replies)
        return "shares a passage with a held-out reply" if shared else None

    return held_out


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
    covered = look.coverage
    trained = [name for name, entry in covered.items() if entry.trained]
    held_out = [name for name, entry in covered.items() if entry.held_out and not entry.trained]
    silent = [shown(name, 80) for name in look.silent_entries]
    told, written = (sum(counts) for counts in zip(*((e.told, e.sentences) for e in covered.values()), strict=True))
    summary = f"{len(trained):,} of {counted(len(covered), 'entry', 'entries')} have trained rows"
    said = f"{summary}; by their words, these tell {told:,} of the {counted(written, 'sentence')} of the lore."
    parts = [paragraph(said)]
    if silent:
        none = f"No row was made of {counted(len(silent), 'entry', 'entries')}: what they say is not asked about."
        parts += [paragraph(none, "alarm"), listed(silent)]
    if held_out:
        parts.append(paragraph(f"{counted(len(held_out), 'entry', 'entries')} only held out, to test with:"))
        parts.append(listed([shown(name, 80) for name in held_out]))
    labels = [
        (f"{shown(name, 80)}<br>{covered[name].told:,} of {counted(covered[name].sentences, 'sentence')}", name)
        for name in trained
    ]
    made = bars([(label, covered[name].trained) for label, name in labels], most=200)
    return "".join([*parts, folded("Trained dialogues of each entry", made) if made else ""])


def _sources(look: Look) -> str:
    rows = [
        [
            shown(source.get("name", ""), 120),
            shown(source.get("kind", ""), 60),
            shown(look.lines_of(source), 20) or "–",
            shown(source.get("licence") or "not stated", 120),
            f"<code>{shown(source.get('sha256', '')[:12])}</code>",
        ]
        for source in look.sources
    ]
    return table(["source", "kind", "lines", "licence", "SHA-256"], rows, numbers=[2])


def _speakers(look: Look) -> str:
    own_first = sorted(look.speakers, key=lambda speaker: not look.is_own(speaker[0]))
    rows = [
        [f"<b>{shown(name, 80)}</b>, the character" if look.is_own(name) else shown(name, 80), number(lines)]
        for name, lines in own_first
    ]
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


def _card(look: Look) -> str:
    return folded("README.md", f"<pre>{shown(dataset_card(look), CARD_CHARACTERS)}</pre>")


_SECTIONS: tuple[tuple[str, str, Callable[[Look], str]], ...] = (
    ("kinds", "What is in it", _kinds),
    ("leakage", "Held out", _leakage),
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
    ("card", "Dataset card", _card),
)
"""Anchor, title and writer of each section; one without content is left out."""
