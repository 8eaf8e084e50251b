"""When to learn how fast, and when to stop: learning rates by step, and patience with a validation loss that stays."""

import math
from collections.abc import Callable, Sequence
from typing import Literal

Schedule = Literal["cosine", "one_cycle", "linear", "constant"]

WARM_UP = 0.05
LEAST_WARM_UP = 5
LAST_SHARE = 0.1
RISING_SHARE = 0.3
FIRST_DIVISOR = 25
LAST_DIVISOR = 1e4


def rate(name: Schedule, step: int, steps: int, peak: float) -> float:
    """Learning rate of step `step` of `steps`, both counted from 1; it depends on nothing else, so a resume repeats it.

    All but one_cycle begin with a linear warm-up over a twentieth of the steps (at least five, at most a quarter).
    Then `cosine` goes down to a tenth of the peak, `linear` down to zero (where the step after the last would be) and
    `constant` stays at the peak. `one_cycle` (Smith, 2018) rises over three tenths of the steps, and its end is a
    250,000th of the peak: less than four steps are too few for it to rise.
    """
    return _SHAPES[name](step, steps, peak)


def should_stop(losses: Sequence[float], patience: int) -> bool:
    """Whether none of the last `patience` validation losses is below the best one before them (Prechelt, 1998).

    `losses` are in the order of the evaluations; the one before the first step may be among them.
    """
    best = min(range(len(losses)), key=losses.__getitem__, default=0)
    return len(losses) - 1 - best >= patience


def _warm_up(steps: int) -> int:
    return min(max(LEAST_WARM_UP, round(WARM_UP * steps)), max(1, steps // 4))


def _cosine(step: int, steps: int, peak: float) -> float:
    warm_up = _warm_up(steps)
    if step <= warm_up:
        return peak * step / warm_up
    progress = (step - warm_up) / (steps - warm_up)
    return peak * (LAST_SHARE + (1 - LAST_SHARE) * 0.5 * (1 + math.cos(math.pi * progress)))


def _linear(step: int, steps: int, peak: float) -> float:
    """To zero, not to a tenth: that ends lower (Bergsma et al., 2025), and other trainers mean it by this name.

    Zero belongs to the step after the last, so that no step is computed in vain.
    """
    warm_up = _warm_up(steps)
    if step <= warm_up:
        return peak * step / warm_up
    return peak * (steps + 1 - step) / (steps + 1 - warm_up)


def _constant(step: int, steps: int, peak: float) -> float:
    return peak * min(1.0, step / _warm_up(steps))


def _one_cycle(step: int, steps: int, peak: float) -> float:
    """The rates of torch's OneCycleLR with its defaults (two phases, cosine); momentum stays as it is."""
    first = peak / FIRST_DIVISOR
    place, top, end = step - 1, RISING_SHARE * steps - 1, steps - 1
    if place <= top:
        return _half_cosine(first, peak, place / top)
    return _half_cosine(peak, first / LAST_DIVISOR, (place - top) / (end - top))


def _half_cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * progress))


_SHAPES: dict[Schedule, Callable[[int, int, float], float]] = {
    "cosine": _cosine,
    "one_cycle": _one_cycle,
    "linear": _linear,
    "constant": _constant,
}
