"""The report of a run: one static HTML page that teaches what happened, and needs no script and nothing beside it."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from finetune.charts import Curve, Mark, Point, chart, noisy, tick
from finetune.page_lines import samples, worst
from finetune.report import Scores
from finetune.told import EPOCHS_LISTED, Told, in_nats, spread
from finetune.verdict import finite, training_losses, verdict
from persona.pages import document, listed, more, paragraph, shown, table


def training_page(told: Told) -> str:
    """The whole page. What is told alike gives the same text; whatever strangers wrote is escaped."""
    found = verdict(told.history, finished=told.is_finished)
    parts = [(anchor, title, body) for anchor, title, write in _SECTIONS if (body := write(told))]
    advice = paragraph(found.advice) if told.is_finished else _going_on(told)
    lead = [f"<h1>{shown(told.character)}</h1>", paragraph(found.says, "lead"), advice]
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    return document(f"{told.character}: training", "\n".join([*lead, _figures(told), _notes(told)]), parts, style)


def _figures(told: Told) -> str:
    history = told.history
    before, after, peak = finite(history.before.loss), told.kept_loss, told.peak_memory
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


def _going_on(told: Told) -> str:
    """Of a run that was stopped: where it stands, what to type, and what it has left so far."""
    planned, epoch = told.number("planned_steps"), told.history.best_epoch
    at = f"step {len(told.history.steps):,}{f' of {planned:,.0f}' if planned else ''}"
    kept = f"The adapter holds the weights after epoch {epoch}, the best one so far."
    none = "No adapter is written before an epoch has ended: one that lies beside this page is of an earlier run."
    where = paragraph(f"It stands at {at}; the same command goes on from there:")
    return f"{where}<pre>{shown(told.command, 4_000)}</pre>{paragraph(kept if epoch else none)}"


def _notes(told: Told) -> str:
    notes = listed([*map(shown, told.notes)], most=12)
    return f'<aside class="notes">{paragraph("Before it began", "quiet")}{notes}</aside>' if notes else ""


def _losses(told: Told) -> str:
    history, ends = told.history, told.epoch_ends
    found = verdict(history, finished=told.is_finished)
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
        f"Lines of a second held-out part, by which nothing was chosen: {in_nats(test[0])} before training, "
        f"{in_nats(test[1])} with the kept epoch."
        if len(test) == 2 and None not in test
        else ""
    )
    parts = [picture, paragraph(said, "quiet") if picture else "", _epochs(told), paragraph(other) if other else ""]
    return "".join(parts)


def _epochs(told: Told) -> str:
    history, ends, trained = told.history, told.epoch_ends, training_losses(told.history)
    rows = [["before", "", "", *_held_out(history.before)]]
    for place in spread(len(history.epochs), EPOCHS_LISTED, history.best_epoch - 1):
        scores, epoch = history.epochs[place], place + 1
        row = [f"{epoch}", f"{ends[place]:,}" if place < len(ends) else "", in_nats(trained.get(epoch))]
        row += _held_out(scores)
        rows.append([f"<b>{cell}</b>" for cell in (f"{epoch}, kept", *row[1:])] if epoch == history.best_epoch else row)
    head = ["epoch", "until step", "training loss", "held-out real lines", "made rows", "all of them"]
    left_out = more(len(history.epochs) + 1 - len(rows))
    return "".join([table(head, rows, numbers=range(1, 6)), *left_out]) if history.epochs else ""


def _held_out(scores: Scores) -> list[str]:
    return [in_nats(loss) for loss in (scores.real.loss, scores.synthetic.loss, scores.loss)]


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
        f"will speak in a talk that nobody has written{_unsure(told)}.",
        "Over-fitting": "Learning the lines by heart instead of the voice in them: training loss goes on falling, while "
        "validation loss rises.",
        "The kept epoch": "The adapter holds the weights as they were after the epoch with the lowest validation loss, "
        "of all held-out lines together.",
        "Real lines, made rows": "Real lines were written by the character's author; made rows were made from card and "
        "lore by the builder, and are easier to guess.",
    }
    parts = (f"<div><dt>{word}</dt><dd>{meaning}</dd></div>" for word, meaning in words.items())
    return f'<dl class="words">{"".join(parts)}</dl>'


def _unsure(told: Told) -> str:
    before, after = finite(told.history.before.loss), told.kept_loss
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
            "What the trainer held at each step. Where that is too much, a smaller <code>--forward-tokens</code> or "
            "<code>--gradient-checkpointing</code> needs less.",
        ),
    ]
    return f'<div class="charts">{"".join(pictures)}</div>' if any(pictures) else ""


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
    numbers = 'Beside this page, <a href="metrics.json">metrics.json</a> holds every number. '
    data = '<a href="dataset/report.html">dataset/report.html</a> shows what it is trained on.'
    beside = (numbers if told.history.best_epoch else "") + data
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
    ("samples", "Samples over time", samples),
    ("worst", "Lines to look at", worst),
    ("course", "Step by step", _course),
    ("repeat", "The same again", _repeat),
)
"""Anchor, title and writer of each section; one without content is left out."""


def _known(points: Iterable[tuple[int, float | None]]) -> list[Point]:
    return [(at, value) for at, value in points if value is not None]


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _plain(value: object, form: str = "g") -> str:
    """A value of the metrics, floats in the given form."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(part)}" for key, part in value.items())
    return f"{value:{form}}" if isinstance(value, float) else str(value)
