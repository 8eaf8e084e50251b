"""The learning-rate range test (Smith, 2017): the loss while the rate rises, the rate it suggests, and its picture."""

import io
import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from persona.files import write_atomic

KEEP = 0.9
"""Share of the running mean that stays at each step, by which the test sees whether it has gone far enough."""
DIVERGED = 2.0
"""The test ends when the running mean is so many times its best.

The usual 4 is out of reach for a small language model: it begins at 4 nats, and an even guess costs no more than 9.
"""
REACH = 0.2
"""Decades of the rate over which the curve is smoothed, to both sides."""
FEWEST_POINTS = 20
LEAST_FALL = 0.01
"""Share of the loss: less is not worth a rate, however clear it is."""
LEAST_EVIDENCE = 6.0
"""Standard errors of the smoothed curve: by chance alone it falls by less in 99 of 100 tests."""
SAFETY = 4.0
"""A whole run bears less than a few steps do.

Measured: the best peak of a tiny Llama, and the one found by hand for the built-in base, are a quarter to a third of the
rate at which the loss is half-way up again. Published (Tinker cookbook): a fifth of the lowest rate that diverges.
"""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A peak for the learning rate, None where the curve shows nothing, and why, in a sentence or two."""

    rate: float | None
    reason: str


def range_test(
    step_loss: Callable[[float], float], *, low: float, high: float, steps: int
) -> list[tuple[float, float]]:
    """(rate, loss) of at most `steps` steps, whose rates go from `low` to `high` by the same factor each time.

    `step_loss(rate)` makes one optimizer step and returns the loss of its rows before the step, divided by the loss
    that they had before all training: batches differ more from each other than rates do. The test ends early where
    the running mean of the losses has clearly diverged, or at a loss that is not finite, which is left out.
    """
    points: list[tuple[float, float]] = []
    mean, best = 0.0, math.inf
    for count in range(1, steps + 1):
        rate = low * (high / low) ** ((count - 1) / max(1, steps - 1))
        loss = step_loss(rate)
        if not math.isfinite(loss):
            break
        points.append((rate, loss))
        mean = KEEP * mean + (1 - KEEP) * loss
        # The beginning is corrected as in Adam, so that it does not start at zero.
        smoothed = mean / (1 - KEEP**count)
        best = min(best, smoothed)
        if smoothed > DIVERGED * best:
            break
    return points


def suggest(points: Sequence[tuple[float, float]]) -> Suggestion:
    """A fraction of the rate at the end of the curve's valley: a quarter of where the loss is half-way up again.

    Smith (2017, section 3.3) takes the rate at which the loss gets worse as the upper bound, and fastai goes a factor
    of ten below the minimum of a curve that lags. Ours does not lag, and the end of the valley is used because the
    minimum may be anywhere on a flat bottom.
    """
    if len(points) < FEWEST_POINTS:
        return Suggestion(None, f"The test ended after {len(points)} steps, too few to read anything from.")
    rates, losses, (curve, share) = [rate for rate, _ in points], _cut([loss for _, loss in points]), _smooth(points)
    lowest = min(range(len(curve)), key=curve.__getitem__)
    top = max(curve[: lowest + 1])
    fall, middle = top - curve[lowest], (top + curve[lowest]) / 2
    end = next((place for place in range(lowest, len(curve)) if curve[place] > middle), len(curve)) - 1
    error = share[lowest] * _noise(losses[: max(end + 1, FEWEST_POINTS // 2)])
    tested = f"at rates from {rates[0]:.2g} to {rates[-1]:.2g}"
    if fall <= max(LEAST_FALL * top, LEAST_EVIDENCE * error):
        return Suggestion(
            None,
            f"The curve shows nothing: the loss falls by {100 * fall / top:.1f} % {tested}, no more than by chance.",
        )
    found = float(f"{rates[end] / SAFETY:.1e}")
    if end == len(curve) - 1:
        rise = f"and has not risen again at {rates[end]:.2g}, where the test ended"
    else:
        rise = f"and is half-way up again above {rates[end]:.2g}"
    return Suggestion(
        found,
        f"The loss falls by {100 * fall / top:.0f} % {tested} {rise}: a quarter of that leaves room for a whole run.",
    )


def draw(file: Path, points: Sequence[tuple[float, float]], suggestion: Suggestion) -> None:
    """Write a PNG: each step's loss, the smoothed curve that `suggest` reads, and the rate that it found."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    rates, losses = [rate for rate, _ in points], [loss for _, loss in points]
    axes.semilogx(rates, losses, "o", color="#9db7d5", markersize=3, label="each step")
    if points:
        axes.semilogx(rates, _smooth(points)[0], color="#2b5c94", linewidth=1.8, label="smoothed, divergence cut off")
        axes.set_ylim(min(losses) - 0.05, min(max(losses), 1.5 * max(_cut(losses))) + 0.05)
    if suggestion.rate is not None:
        axes.axvline(suggestion.rate, color="#444444", linestyle=":", label=f"suggested: {suggestion.rate:g}")
    axes.set_title(textwrap.fill(suggestion.reason, 100), fontsize="medium")
    axes.set_xlabel("learning rate")
    axes.set_ylabel("loss, as a share of that before training")
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    picture = io.BytesIO()
    FigureCanvasAgg(figure).print_png(picture)
    write_atomic(file, picture.getvalue())


def _smooth(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """The exponential mean to both sides, which does not lag, and the share of a loss's noise that is left in it."""
    places, losses = [math.log10(rate) for rate, _ in points], _cut([loss for _, loss in points])
    curve, shares = [], []
    for middle in places:
        weights = [math.exp(-abs(place - middle) / REACH) for place in places]
        total = sum(weights)
        curve.append(sum(w * loss for w, loss in zip(weights, losses, strict=True)) / total)
        shares.append(math.hypot(*weights) / total)
    return curve, shares


def _cut(losses: Sequence[float]) -> list[float]:
    """No loss above the highest of the beginning: how far a divergence goes must not move the valley's end."""
    ceiling = max(losses[: max(5, len(losses) // 10)])
    return [min(loss, ceiling) for loss in losses]


def _noise(losses: Sequence[float]) -> float:
    """Standard deviation of a single loss, from the differences of neighbours, which the curve itself hardly moves."""
    return math.sqrt(sum((b - a) ** 2 for a, b in pairwise(losses)) / (2 * (len(losses) - 1)))
