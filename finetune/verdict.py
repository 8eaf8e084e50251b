"""What the losses of a run say, in words, by rules that are written down."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from finetune.report import History

MARGIN = 0.01
"""Losses that differ by a smaller share than this are taken for the same."""

FEWEST_TOKENS = 400
"""Held-out tokens below which nothing is concluded. The losses of single tokens scatter by 2.8 nats (measured: Ada, with
the built-in base), so that the mean of so many is known to 0.14."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the losses say: in a word, in a sentence, and what to do about it; sentences are HTML.

    `best` is the epoch with the lowest held-out loss, 0 where there is none.
    """

    kind: str
    says: str
    advice: str
    best: int = 0


def verdict(history: History, *, finished: bool = True) -> Verdict:
    """What the losses say; the first of these rules that holds.

    1. "stopped": the run has not `finished`, or no epoch was scored; then only what is known so far is said.
    2. "nothing held out": no epoch has a held-out loss.
    3. "too few": fewer than `FEWEST_TOKENS` held-out tokens.
    4. "learned nothing": no epoch's held-out loss is lower by `MARGIN` than the one before training.
    5. The last epoch's is higher by `MARGIN` than the lowest: "over-fitted" after the epoch of the lowest one, or "came
       apart" where the loss of the trained rows has risen by `MARGIN` since then, too.
    6. "still falling": the last epoch's is the lowest, and lower by `MARGIN` than all others.
    7. "levelled off".
    """
    before = finite(history.before.loss)
    losses = {epoch: loss for epoch, s in enumerate(history.epochs, 1) if (loss := finite(s.loss)) is not None}
    if not (finished and history.epochs):
        return _so_far(before, losses)
    if not losses:
        return Verdict("nothing held out", *_NOTHING_HELD_OUT)
    best, (last, final) = min(losses, key=losses.__getitem__), list(losses.items())[-1]
    lowest, is_made = losses[best], history.before.real.loss is None
    tokens = history.before.real.tokens + history.before.synthetic.tokens
    lines = "held-out made rows (no real line is held out)" if is_made else "held-out lines"
    start = f"from {before:.2f} before training " if before is not None else ""
    if tokens < FEWEST_TOKENS:
        few = f"Too few held-out lines to say how well it learned: {tokens:,} tokens; {FEWEST_TOKENS:,} tell something."
        return Verdict("too few", few, _MORE_LINES, best)
    if before is not None and lowest > before * (1 - MARGIN):
        says = (
            f"It learned nothing that holds for new lines: the loss on {lines} was {before:.2f} before training, and "
            f"{lowest:.2f} at best after it."
        )
        return Verdict("learned nothing", says, _move_or_slow_down(history), best)
    if final > lowest * (1 + MARGIN):
        fell = f"the loss on {lines} fell {start}to {lowest:.2f} there and rose to {final:.2f}"
        return _risen(history, best, last, fell)
    first = next(epoch for epoch, loss in losses.items() if lowest >= loss * (1 - MARGIN))
    if first == last:
        says = (
            f"Still falling when it ended: the loss on {lines} went {start}to {final:.2f} after epoch {last}, the last."
        )
        longer = f"<code>--epochs {last + max(1, last // 2)}</code>"
        return Verdict(
            "still falling", says, f"Nothing was learned by heart yet; longer may be better: {longer}.", best
        )
    says = (
        f"It learned what there was to learn: the loss on {lines} fell {start}to {losses[first]:.2f} after epoch {first}, "
        f"and no later epoch made it lower by {MARGIN:.0%}."
    )
    return Verdict("levelled off", says, "More epochs would change little; more lines, or better ones, would.", best)


def _so_far(before: float | None, losses: Mapping[int, float]) -> Verdict:
    if not losses:
        says = "It was stopped before its end, so that nothing tells yet what it learned."
        return Verdict("stopped", says, "")
    best, start = min(losses, key=losses.__getitem__), f" from {before:.2f} before training" if before else ""
    says = f"It was stopped before its end: the loss on held-out lines went{start} to {losses[best]:.2f} after epoch {best}."
    return Verdict("stopped", says, "", best)


_MORE_LINES = "Write more scenes: the builder holds some of them out, and then this page can say when to stop."
_NOTHING_HELD_OUT = (
    "Nothing is held out, so that nothing tells whether it learned the voice, or only its lines by heart.",
    f"The newest epoch is kept. {_MORE_LINES}",
)


def _risen(history: History, best: int, last: int, fell_and_rose: str) -> Verdict:
    trained = training_losses(history)
    at_best, at_last = trained.get(best), trained.get(last)
    went = f"from {at_best:.2f} to {at_last:.2f}" if at_best is not None and at_last is not None else ""
    if at_best is not None and at_last is not None and at_last > at_best * (1 + MARGIN):
        says = f"It came apart after epoch {best}: {fell_and_rose}, and on the rows that it trains on it rose {went}."
        return Verdict("came apart", says, "A lower <code>--learning-rate</code> keeps it together.", best)
    says = f"Over-fitting began after epoch {best}: {fell_and_rose} after epoch {last}."
    advice = (
        f"From there on it learned its rows by heart instead of the voice{f' (their loss went {went})' if went else ''}. "
        f"Epoch {best} is kept, so that nothing is lost; <code>--epochs {best}</code> saves the time, and with more lines "
        "it begins later."
    )
    return Verdict("over-fitted", says, advice, best)


def _move_or_slow_down(history: History) -> str:
    """What to do when nothing was learned for new lines: whether its own rows were tells which way."""
    losses = [step.loss for step in history.steps if math.isfinite(step.loss)]
    part = max(1, len(losses) // 10)
    if losses and sum(losses[-part:]) < sum(losses[:part]) * (1 - MARGIN):
        return (
            "Its own rows it did learn, by heart. Are they all lines of one voice? More of them, fewer "
            "<code>--epochs</code> or a lower <code>--learning-rate</code> make it learn the voice instead."
        )
    return "Its own rows it did not learn either: a higher <code>--learning-rate</code> or more epochs let it move."


def training_losses(history: History) -> dict[int, float]:
    """Epoch -> the mean loss of its trained tokens, each at the time when it was trained."""
    sums: dict[int, tuple[float, int]] = {}
    for step in history.steps:
        if math.isfinite(step.loss):
            nats, tokens = sums.get(step.epoch, (0.0, 0))
            sums[step.epoch] = nats + step.loss * step.trained_tokens, tokens + step.trained_tokens
    return {epoch: nats / tokens for epoch, (nats, tokens) in sums.items() if tokens}


def finite(value: float | None) -> float | None:
    """The number, None where it is none."""
    return value if value is not None and math.isfinite(value) else None
