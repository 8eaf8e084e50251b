"""The parts of a run's report that show what was said: samples over time, and the lines that stay improbable."""

import shlex
from collections.abc import Sequence

from finetune.hints import WORST, Usual, WorstRow, hints
from finetune.told import Told, in_nats, spread
from persona.pages import escaped, more, paragraph, shown

PROMPTS, MOMENTS = 12, 8
"""Of each, so many are on the page."""


def samples(told: Told) -> str:
    """Each prompt with its answers over time."""
    answers: dict[str, list[tuple[str, str]]] = {}
    for when, prompt, reply in told.samples:
        answers.setdefault(prompt, []).append((when, reply))
    parts = [_answers(prompt, said, told.history.best_epoch) for prompt, said in list(answers.items())[:PROMPTS]]
    said = f"The same prompts, answered again while {shown(told.character, 60)} was learning."
    return "".join([paragraph(said), *parts, *more(len(answers) - PROMPTS)]) if parts else ""


def _answers(prompt: str, said: Sequence[tuple[str, str]], kept: int) -> str:
    at = next((place for place, (when, _) in enumerate(said) if when == f"epoch {kept}"), -1)
    places = spread(len(said), MOMENTS, at)
    lines = (
        f"<dt>{shown(when, 60)}{', kept' * (place == at)}</dt>"
        f"<dd{' class=own' * (place == at)}>{shown(reply) if reply.strip() else '(nothing)'}</dd>"
        for place in places
        for when, reply in [said[place]]
    )
    rest = "".join(more(len(said) - len(places)))
    return f'<article class="sample"><h3>{shown(prompt)}</h3><dl class="said">{"".join(lines)}</dl>{rest}</article>'


def worst(told: Told) -> str:
    usual = Usual.of(told.replies, told.character)
    rows = [_worst_row(row, hints(row.reply, told.character, usual)) for row in told.worst[:WORST]]
    name = escaped(shlex.quote(told.name))
    said = (
        f"The trained lines that the finished model still finds least probable{_of_how_many(told)}. Such a line "
        "can be somebody else's, cut off or garbled; as often it is sound, and merely hard to guess. The hints are rules "
        "of thumb. To clean the data with what the model found, and to train again:"
    )
    steps = [
        f"<code>python -m data review {name}</code> writes the real ones among these lines, and more, into "
        '<a href="review.tsv">review.tsv</a> beside this page, a table for any spreadsheet.',
        "In its column <code>decision</code>, write <code>drop</code>, <code>keep</code>, or <code>fix</code> with the "
        "right words under <code>text</code>.",
        f'<code>persona build {name}</code> does so, and the command <a href="#repeat">at the end</a> trains again.',
    ]
    loop = f"<ol>{''.join(f'<li>{step}</li>' for step in steps)}</ol>"
    return "".join([paragraph(said), loop, *rows]) if rows else ""


def _of_how_many(told: Told) -> str:
    few, all_ = told.looked_at
    return f", among {few:,} of {all_:,} dialogues, spread evenly" if few < all_ else ""


def _worst_row(row: WorstRow, found: Sequence[str]) -> str:
    made = "" if row.is_real else " · made from card and lore, not in the review: change these where it is wrong"
    where = paragraph(f"loss {in_nats(row.loss)} · <code>{shown(row.id, 120)}</code>{made}", "quiet")
    before = paragraph(shown(row.before, 300), "line") if row.before.strip() else ""
    marks = "".join(f'<span class="hint">{shown(hint, 120)}</span>' for hint in found)
    return f'<article class="sample">{where}{before}{paragraph(shown(row.reply), "line own")}{marks}</article>'
