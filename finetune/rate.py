"""The learning rate of a run: as it was given, found by a range test, or by the size of the base."""

from typing import TYPE_CHECKING

from finetune.checkpoint import restore, trained_weights
from finetune.finder import Suggestion, draw, range_test, suggest
from finetune.loop import NotFinite, Stop, start, train
from finetune.model import default_learning_rate
from finetune.rows import plan_epoch
from finetune.validation import reply_sums

if TYPE_CHECKING:
    from finetune.training import Training

STEPS = 100
AROUND = 100
"""The test goes from the default rate divided by this to the default times this."""

PICTURE = "rate.png"


def find_rate(training: "Training", stop: Stop) -> tuple[float, str] | None:
    """(rate, why): a short training at rising rates, which is thrown away; the curve is drawn into `rate.png`.

    The loss of a step is divided by what its rows cost before training, so that hard rows do not look like progress lost.
    None where it was stopped before its end.
    """
    default = default_learning_rate(training.loaded.parameters)
    examples, settings = training.inputs.train, training.settings
    weights = trained_weights(training.loaded.model)
    per_step = max(map(len, training.plan[0]))
    epochs = range(-(-STEPS * per_step // len(examples)))
    lengths = [len(example.ids) for example in examples]
    plan = [plan_epoch(lengths, seed=settings.seed, epoch=epoch, rows_per_step=per_step) for epoch in epochs]
    steps = [rows for of_epoch in plan for rows in of_epoch][:STEPS]
    used = sorted({row for rows in steps for row in rows})
    sums = reply_sums(
        training.model,
        [examples[row] for row in used],
        training.accelerator,
        share=training.share,
        forward_tokens=training.scored_tokens,
    )
    before = dict(zip(used, sums, strict=True))
    now, stopped = 0.0, False
    running = train(
        training.model,
        examples,
        training.accelerator,
        plan,
        start(training.loaded.model, training.position.forward_tokens),
        rate=lambda _: now,
        share=training.share,
        seed=settings.seed,
        stop=stop,
    )

    def step_loss(rate: float) -> float:
        nonlocal now, stopped
        now = rate
        try:
            step = next(running, None)
        except NotFinite:
            return float("nan")
        if step is None:
            stopped = True
            return float("nan")
        replies = (reply for row in steps[step.number - 1] for reply in before[row])
        nats, tokens = map(sum, zip(*replies, strict=True))
        return step.loss * tokens / nats

    points = range_test(step_loss, low=default / AROUND, high=default * AROUND, steps=len(steps))
    running.close()
    training.loaded.model.zero_grad(set_to_none=True)
    restore(training.loaded.model, weights)
    if stopped:
        return None
    found: Suggestion = suggest(points)
    training.inputs.place.run.mkdir(parents=True, exist_ok=True)
    draw(training.inputs.place.run / PICTURE, points, found)
    if found.rate is None:
        return default, f"{found.reason}; the default for this size is taken"
    return found.rate, found.reason
