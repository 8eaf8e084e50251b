"""The report of a run: one static HTML page that teaches what happened, and needs no script and nothing beside it."""

import math
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.charts import Curve, Mark, Point, chart, noisy, tick
from finetune.hints import WORST, Usual, WorstRow, hints
from finetune.report import History
from finetune.verdict import finite, training_losses, verdict
from persona.pages import document, escaped, listed, more, paragraph, shown, table

PROMPTS, MOMENTS, EPOCHS_LISTED = 12, 8, 24
"""Of each, so many are on the page."""


@dataclass(frozen=True, slots=True)
class Told:
    """What is known about a run. `name` is what the user types for the character, `command` what repeats the run.

    `metrics` are those of metrics.json; of them any may be missing. `samples` are (when, prompt, reply) in the order of
    time, `when` such as "before training" and "epoch 2". `worst` is sorted, the highest loss first; `replies` are the
    trained ones, and show what is usual. `memory` is in bytes, one number a step. `notes` are sentences of the plan.
    """

    character: str
    name: str
    base: str
    command: str
    metrics: Mapping[str, Any]
    history: History
    samples: Sequence[tuple[str, str, str]] = ()
    worst: Sequence[WorstRow] = ()
    replies: Sequence[str] = ()
    memory: Sequence[float] = ()
    notes: Sequence[str] = ()
    clip_norm: float = 1.0

    @property
    def epoch_ends(self) -> list[int]:
        """The numbers of the steps that ended an epoch."""
        return [step.number for step in self.history.steps if step.ends_epoch]

    @property
    def boundaries(self) -> list[Mark]:
        """Of the epochs, as far as that many can be told apart in a picture."""
        return [Mark(step) for step in self.epoch_ends[:-1]] if len(self.epoch_ends) <= EPOCHS_LISTED else []

    def number(self, key: str) -> float | None:
        """A number of the metrics, None where there is none."""
        value = self.metrics.get(key)
        return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def training_page(told: Told) -> str:
    """The whole page. What is told alike gives the same text; whatever strangers wrote is escaped."""
    found = verdict(told.history)
    parts = [(anchor, title, body) for anchor, title, write in _SECTIONS if (body := write(told))]
    lead = [f"<h1>{shown(told.character)}</h1>", paragraph(found.says, "lead"), paragraph(found.advice)]
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    return document(f"{told.character}: training", "\n".join([*lead, _figures(told), _notes(told)]), parts, style)


def _figures(told: Told) -> str:
    history = told.history
    before, after, peak = finite(history.before.loss), _kept_loss(history), _peak(told)
    seconds = told.number("seconds") or sum(step.seconds for step in history.steps if math.isfinite(step.seconds))
    speed = told.number("tokens_per_second")
    figures = [
        (after, _plain(after, ".2f"), f"held-out loss{f', {before:.2f} before' if before is not None else ''}"),
        (history.best_epoch, f"{history.best_epoch} of {len(history.epochs)}", "the epoch that is kept"),
        (history.steps, f"{len(history.steps):,}", "steps"),
        (seconds, _duration(seconds), "of training"),
        (speed, _plain(speed, ",.0f"), "tokens a second"),
        (peak, f"{peak / 2**30:,.1f}", "GiB of memory at most"),
    ]
    items = "".join(f"<li><b>{value}</b>{what}</li>" for known, value, what in figures if known)
    return f'<ul class="figures">{items}</ul>' if items else ""


def _notes(told: Told) -> str:
    at = f"It was stopped at step {len(told.history.steps):,}, before its end: the same command goes on from there."
    stopped = [at] if told.metrics.get("finished") is False else []
    notes = listed([*stopped, *map(shown, told.notes)], most=12)
    return f'<aside class="notes">{notes}</aside>' if notes else ""


def _losses(told: Told) -> str:
    history, found, ends = told.history, verdict(told.history), told.epoch_ends
    moments = list(zip([0, *ends], [history.before, *history.epochs], strict=False))
    real, made = ([(at, getattr(scores, kind).loss) for at, scores in moments] for kind in ("real", "synthetic"))
    curves = [
        *noisy("training", [(step.number, step.loss) for step in history.steps]),
        Curve("held-out real lines", "real", _known(real), dots=True),
        Curve("held-out made rows", "made", _known(made), dots=True),
    ]
    kept = history.best_epoch
    marks = [*told.boundaries, *([Mark(ends[kept - 1], f"kept: epoch {kept}")] if 0 < kept <= len(ends) else [])]
    by_heart = found.kind == "over-fitted" and found.best <= len(ends)
    shaded = Mark(ends[found.best - 1], "learning by heart") if by_heart else None
    picture = chart(curves, title="Loss", unit="nats a token", marks=marks, shaded=shaded)
    said = (
        "The lower a curve, the less the words of the lines surprise the model. The dots are lines that it never trains "
        "on: while they go down, it learns the voice; when they go up again, it learns its rows by heart."
    )
    test = [finite(score.loss) for score in (history.before.test, history.test_after) if score]
    other = (
        f"Lines of a second held-out part, by which nothing was chosen: {_loss(test[0])} before training, "
        f"{_loss(test[1])} with the kept epoch."
        if len(test) == 2 and None not in test
        else ""
    )
    parts = [picture, paragraph(said, "quiet") if picture else "", _epochs(told), paragraph(other) if other else ""]
    return "".join(parts)


def _epochs(told: Told) -> str:
    history, ends, trained = told.history, told.epoch_ends, training_losses(told.history)
    rows = [["before", "", "", _loss(history.before.real.loss), _loss(history.before.synthetic.loss)]]
    for place in _spread(len(history.epochs), EPOCHS_LISTED, history.best_epoch - 1):
        scores, epoch = history.epochs[place], place + 1
        row = [f"{epoch}", f"{ends[place]:,}" if place < len(ends) else "", _loss(trained.get(epoch))]
        row += [_loss(scores.real.loss), _loss(scores.synthetic.loss)]
        rows.append([f"<b>{cell}</b>" for cell in (f"{epoch}, kept", *row[1:])] if epoch == history.best_epoch else row)
    head = ["epoch", "until step", "training loss", "held-out real lines", "held-out made rows"]
    left_out = more(len(history.epochs) + 1 - len(rows))
    return "".join([table(head, rows, numbers=range(1, 5)), *left_out]) if history.epochs else ""


def _words(told: Told) -> str:
    rows, first_end = told.metrics.get("rows"), next(iter(told.epoch_ends), 0)
    given = rows.get("train") if isinstance(rows, Mapping) else None
    count = given if isinstance(given, int) and first_end > 0 else 0
    words = {
        "Token": "A piece of text, often a word or a part of one: the model reads and writes one after the other.",
        "Step": "The model reads some dialogues"
        + (f" (here about {max(1, round(count / first_end)):,})" if count else "")
        + ", compares its guesses with what the character says in them, and changes its weights a little, once.",
        "Epoch": "One pass over all the dialogues that it trains on"
        + (f" (here {count:,} of them in {first_end:,} steps)." if count else "."),
        "Training loss": "How much the lines that it trains on surprise the model, in nats a token: 0 is certainty, and "
        "less is better.",
        "Validation loss": "How much held-out lines surprise it, which it never trains on: only this tells how well it "
        f"will speak in a talk that nobody has written{_unsure(told.history)}.",
        "Over-fitting": "Learning the lines by heart instead of the voice in them: training loss goes on falling, while "
        "validation loss rises.",
        "The kept epoch": "The adapter holds the weights as they were after the epoch with the lowest validation loss.",
        "Real lines, made rows": "Real lines were written by the character's author; made rows were made from card and "
        "lore by the builder, and are easier to guess.",
    }
    parts = (f"<div><dt>{word}</dt><dd>{meaning}</dd></div>" for word, meaning in words.items())
    return f'<dl class="words">{"".join(parts)}</dl>'


def _unsure(history: History) -> str:
    before, after = finite(history.before.loss), _kept_loss(history)
    if before is None or after is None or not after < before < 20:
        return ""
    return (
        f" (here it fell from {before:.2f} to {after:.2f}: at each token the model was as unsure as among "
        f"{math.exp(before):,.0f} equally likely ones, and is now as unsure as among {math.exp(after):,.0f})"
    )


def _course(told: Told) -> str:
    """What the steps were like, a small picture each."""
    steps, clip = told.history.steps, told.clip_norm
    rates = [(step.number, step.learning_rate) for step in steps]
    norms = [(step.number, step.gradient_norm) for step in steps]
    speeds = [(step.number, step.physical_tokens / step.seconds if step.seconds > 0 else math.nan) for step in steps]
    memory = [(step.number, size / 2**30) for step, size in zip(steps, told.memory, strict=False)]
    clipped = sum(step.gradient_norm > clip for step in steps)
    logical = told.number("logical_tokens_per_second")
    whole = f" Counted as dialogues with their whole prompts, it is {logical:,.0f} a second." if logical else ""

    def small(title: str, unit: str, curves: Sequence[Curve], said: str, level: float | None = None) -> str:
        picture = chart(curves, title=title, unit=unit, marks=told.boundaries, level=level)
        return f"<article><h3>{title}</h3>{picture}{paragraph(said, 'quiet')}</article>" if picture else ""

    pictures = [
        small(
            "Learning rate",
            "",
            [Curve("", "mean", rates)],
            "How far a step may move the weights. When it is too high, the loss jumps or rises; when it is too low, the "
            "loss hardly falls.",
        ),
        small(
            "Gradient norm",
            "",
            noisy("", norms),
            f"How hard the lines of a step pull at the weights. What is longer than the dashed line at {tick(clip)} is "
            f"shortened to it, here in {clipped:,} of {len(steps):,} steps. Single peaks are rows that surprise; when it "
            "rises and goes on rising, the learning rate is too high.",
            clip,
        ),
        small(
            "Speed",
            "tokens a second",
            noisy("", speeds),
            "How many tokens went through the model, padding included. It dips where batches are short, or where "
            f"something else was at work on the machine.{whole}",
        ),
        small(
            "Memory",
            "GiB",
            [Curve("", "mean", memory)],
            "What the trainer held. Where that is too much, a smaller <code>--forward-tokens</code> or "
            "<code>--gradient-checkpointing</code> needs less.",
        ),
    ]
    return f'<div class="charts">{"".join(pictures)}</div>' if any(pictures) else ""


def _samples(told: Told) -> str:
    """Each prompt with its answers over time."""
    answers: dict[str, list[tuple[str, str]]] = {}
    for when, prompt, reply in told.samples:
        answers.setdefault(prompt, []).append((when, reply))
    parts = [_answers(prompt, said, told.history.best_epoch) for prompt, said in list(answers.items())[:PROMPTS]]
    said = f"The same prompts, answered again while {shown(told.character, 60)} was learning."
    return "".join([paragraph(said), *parts, *more(len(answers) - PROMPTS)]) if parts else ""


def _answers(prompt: str, said: Sequence[tuple[str, str]], kept: int) -> str:
    at = next((place for place, (when, _) in enumerate(said) if when == f"epoch {kept}"), -1)
    places = _spread(len(said), MOMENTS, at)
    lines = (
        f"<dt>{shown(when, 60)}{', kept' * (place == at)}</dt>"
        f"<dd{' class=own' * (place == at)}>{shown(reply) if reply.strip() else '(nothing)'}</dd>"
        for place in places
        for when, reply in [said[place]]
    )
    rest = "".join(more(len(said) - len(places)))
    return f'<article class="sample"><h3>{shown(prompt)}</h3><dl class="said">{"".join(lines)}</dl>{rest}</article>'


def _worst(told: Told) -> str:
    usual = Usual.of(told.replies, told.character)
    rows = [_worst_row(row, hints(row.reply, told.character, usual)) for row in told.worst[:WORST]]
    name = escaped(shlex.quote(told.name))
    said = (
        "The trained lines that the finished model still finds least probable (of a dialogue, the last one). Such a line "
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


def _worst_row(row: WorstRow, found: Sequence[str]) -> str:
    made = "" if row.is_real else " · made from card and lore, not in the review: change these where it is wrong"
    where = paragraph(f"loss {_loss(row.loss)} · <code>{shown(row.id, 120)}</code>{made}", "quiet")
    before = paragraph(shown(row.before, 300), "line") if row.before.strip() else ""
    marks = "".join(f'<span class="hint">{shown(hint, 120)}</span>' for hint in found)
    return f'<article class="sample">{where}{before}{paragraph(shown(row.reply), "line own")}{marks}</article>'


def _repeat(told: Told) -> str:
    settings = told.metrics.get("settings")
    facts = {"base": told.base, **(settings if isinstance(settings, Mapping) else {})}
    facts |= {key: value for key in _FACTS if (value := told.metrics.get(key)) is not None}
    rows = [
        [shown(str(key).replace("_", " "), 60), f"<code>{shown(_plain(value), 200)}</code>"]
        for key, value in facts.items()
        if value is not None
    ]
    said = (
        "On the same rows this makes the same adapter: on a CPU bit for bit, on a GPU with "
        "<code>--deterministic</code>. Where nothing has changed it only says so; <code>--force</code> trains all the same."
    )
    beside = (
        'Beside this page, <a href="metrics.json">metrics.json</a> holds every number, and '
        '<a href="dataset/report.html">dataset/report.html</a> shows what it was trained on.'
    )
    return "".join(
        [
            f"<pre>{shown(told.command, 4_000)}</pre>",
            paragraph(said),
            paragraph(beside),
            table(["what it was trained with", ""], rows, most=60),
        ]
    )


_FACTS = (
    "base_revision",
    "quantization",
    "dtype",
    "device",
    "processes",
    "epochs",
    "learning_rate",
    "rows",
    "rows_digest",
)
"""Of the metrics, what was chosen or counted for this run; settings may leave it to a default."""

_SECTIONS: tuple[tuple[str, str, Callable[[Told], str]], ...] = (
    ("loss", "What it learned", _losses),
    ("words", "In plain words", _words),
    ("samples", "Samples over time", _samples),
    ("worst", "Lines to look at", _worst),
    ("course", "Step by step", _course),
    ("repeat", "The same again", _repeat),
)
"""Anchor, title and writer of each section; one without content is left out."""


def _spread(count: int, most: int, also: int) -> list[int]:
    """Places of `count`: all, or about `most` evenly over them, with the first, the last and `also`."""
    if count <= most:
        return list(range(count))
    places = {round(part * (count - 1) / (most - 2)) for part in range(most - 1)}
    return sorted(places | ({also} if 0 <= also < count else set()))


def _kept_loss(history: History) -> float | None:
    return finite(history.best.loss) if history.best_epoch else None


def _known(points: Iterable[tuple[int, float | None]]) -> list[Point]:
    return [(at, value) for at, value in points if value is not None]


def _peak(told: Told) -> float:
    return max([told.number("peak_memory_bytes") or 0.0, *(size for size in told.memory if math.isfinite(size))])


def _loss(value: float | None) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.3f}"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _plain(value: object, form: str = "g") -> str:
    """A value of the metrics, floats in the given form."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(part)}" for key, part in value.items())
    return f"{value:{form}}" if isinstance(value, float) else str(value)
