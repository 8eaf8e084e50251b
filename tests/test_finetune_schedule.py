"""Learning rates by step, when to stop early, and what the range test reads from curves whose truth is known."""

import math
import random
from itertools import pairwise
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.finder import Suggestion, draw, range_test, suggest
from finetune.schedule import Schedule, rate, should_stop

NAMES = get_args(Schedule)
LOW, HIGH = 4e-5, 0.4


def rates_of(name, steps, peak=1.0):
    return [rate(name, step, steps, peak) for step in range(1, steps + 1)]


@settings(max_examples=60)
@given(name=st.sampled_from(NAMES), steps=st.integers(1, 700), peak=st.floats(1e-7, 0.1))
def test_every_schedule_rises_to_its_peak_and_never_rises_again(name, steps, peak):
    rates = rates_of(name, steps, peak)
    assert all(0 < r <= peak * (1 + 1e-12) for r in rates)
    top = rates.index(max(rates))
    assert all(a < b for a, b in pairwise(rates[: top + 1])) and all(a >= b for a, b in pairwise(rates[top:]))
    assert top < max(1, 0.31 * steps)
    if name != "one_cycle":
        assert max(rates) == pytest.approx(peak, rel=1e-12)


@settings(max_examples=30)
@given(steps=st.integers(4, 700), peak=st.floats(1e-7, 0.1))
def test_the_last_step_reaches_the_end(steps, peak):
    last = {name: rate(name, steps, steps, peak) for name in NAMES}
    assert last["cosine"] == pytest.approx(0.1 * peak, rel=1e-9)
    assert last["one_cycle"] == pytest.approx(peak / 250_000, rel=1e-9)
    assert last["constant"] == pytest.approx(peak, rel=1e-9)
    # Zero is the next step's: the last one is as far above it as the steps are from each other.
    assert last["linear"] == pytest.approx(rate("linear", steps - 1, steps, peak) / 2, rel=1e-9)


def test_one_step_is_a_whole_run():
    one = {name: rate(name, 1, 1, 2.0) for name in NAMES}
    assert one == {"cosine": 2.0, "linear": 2.0, "constant": 2.0, "one_cycle": pytest.approx(8e-6)}


def test_cosine_keeps_its_numbers():
    rates = rates_of("cosine", 200)
    assert rates[:10] == pytest.approx([0.1 * n for n in range(1, 11)])
    assert rates[9] == 1.0 == max(rates)
    assert rates[104] == pytest.approx(0.55)
    assert rates[199] == pytest.approx(0.1)
    assert rates_of("cosine", 450, 4e-3)[99] == pytest.approx(0.003712956263388281, rel=1e-15)
    assert rates_of("cosine", 2, 2.0) == pytest.approx([2.0, 0.2])


def test_linear_is_a_straight_line():
    rates = rates_of("linear", 100)
    assert rates[4] == 1.0
    assert [a - b for a, b in pairwise(rates[4:])] == pytest.approx([1 / 96] * 95)


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 7, 10, 33, 100, 457])
def test_one_cycle_is_that_of_torch(steps):
    optimizer = torch.optim.AdamW([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=steps, three_phase=False)
    theirs = []
    for step in range(steps):
        theirs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step + 1 < steps:
            scheduler.step()
    assert rates_of("one_cycle", steps, 3e-3) == pytest.approx(theirs, rel=1e-12, abs=0)


def test_training_stops_when_the_last_evaluations_brought_nothing():
    assert not should_stop([], 1)
    assert not should_stop([2.0], 1)
    assert not should_stop([2.0, 1.5, 1.4], 1)
    assert should_stop([2.0, 1.5, 1.5], 1)  # as good is not better
    assert not should_stop([2.0, 1.5, 1.6], 2)
    assert should_stop([2.0, 1.5, 1.6, 1.55], 2)
    assert not should_stop([2.0, 1.5, 1.6, 1.4], 2)


@given(losses=st.lists(st.floats(0, 10), max_size=12), patience=st.integers(1, 5))
def test_patience_is_about_the_best_before(losses, patience):
    recent, before = losses[-patience:], losses[:-patience]
    assert should_stop(losses, patience) == (bool(before) and min(recent) >= min(before))


def test_the_rates_of_a_test_rise_by_the_same_factor():
    asked = []
    points = range_test(lambda r: asked.append(r) or 1.0, low=1e-5, high=1e-1, steps=41)
    assert [r for r, _ in points] == asked and len(asked) == 41
    assert asked[0] == 1e-5 and asked[-1] == pytest.approx(1e-1)
    assert [b / a for a, b in pairwise(asked)] == pytest.approx([10**0.1] * 40)
    assert range_test(lambda r: 1.0, low=1e-5, high=1e-1, steps=1) == [(1e-5, 1.0)]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_test_ends_at_a_loss_that_is_no_number(bad):
    points = range_test(lambda r: bad if r > 1e-2 else 1.0, low=1e-5, high=1, steps=51)
    assert len(points) == 31 and all(math.isfinite(loss) for _, loss in points)


def test_a_test_ends_when_the_loss_has_diverged_but_not_at_a_single_bad_step():
    assert len(range_test(lambda r: 3.0 if r > 1e-2 else 1.0, low=1e-5, high=1, steps=101)) == 68
    losses = iter([1.0] * 50 + [6.0] + [1.0] * 50)
    assert len(range_test(lambda r: next(losses), low=1e-5, high=1, steps=101)) == 101


def step_up(x):
    return 1 / (1 + math.exp(-x))


# The true loss by the decades above the lowest rate of a test over four; where it begins to rise.
VALLEYS = {
    "a basin": lambda u: 1 - 0.3 * step_up(5 * (u - 1.6)) + max(0, u - 2.7) ** 2,
    "a cliff": lambda u: 1 - 0.3 * step_up(5 * (u - 1.8)) + (2 if u > 2.8 else 0),
    "a long slope": lambda u: 1 - 0.1 * u + 1.1 * max(0, u - 2.8),
    "a fast start": lambda u: 1 - 0.3 * step_up(8 * (u - 0.6)) + 0.6 * max(0, u - 1.5),
    "a sharp tip": lambda u: 1 - 0.12 * max(0, u - 1) ** 2 if u < 2.5 else 0.73 + 1.3 * (u - 2.5),
    "a plain": lambda u: 1 - 0.3 * step_up(8 * (u - 1)) + 1.5 * max(0, u - 3.2),
    "a bump": lambda u: (
        1
        - 0.15 * step_up(10 * (u - 0.8))
        + 0.04 * math.exp(-(((u - 1.5) / 0.15) ** 2))
        - 0.2 * step_up(8 * (u - 2.1))
        + max(0, u - 2.9)
    ),
    "no end": lambda u: 1 - 0.3 * step_up(6 * (u - 3)),
}
NOTHING = {
    "flat": lambda u: 1.0,
    "only rising": lambda u: 1 + 0.5 * max(0, u - 0.3),
    "flat, then rising": lambda u: 1 + max(0, u - 2.5),
}


def curve(truth, *, noise, seed, steps=100):
    dice = random.Random(seed)
    decades = [4 * step / (steps - 1) for step in range(steps)]
    return [(LOW * 10**u, truth(u) + dice.gauss(0, noise)) for u in decades]


@pytest.mark.parametrize("steps", [60, 100])
@pytest.mark.parametrize("noise", [0.0, 0.02, 0.06])
@pytest.mark.parametrize("shape", VALLEYS)
def test_no_rate_is_suggested_at_which_the_loss_rises(shape, noise, steps):
    truth, silent = VALLEYS[shape], 0
    for seed in range(8 if noise else 1):
        found = suggest(curve(truth, noise=noise, seed=seed, steps=steps)).rate
        if found is None:
            silent += 1
            continue
        u = math.log10(found / LOW)
        assert truth(u + 0.05) - truth(u - 0.05) < 0.005
        assert truth(u) < min(truth(lower / 20) for lower in range(int(20 * u) + 1)) + 0.06
    assert silent <= (1 if noise > 0.05 else 0)


@pytest.mark.parametrize("shape", ["a basin", "a plain", "a cliff"])
def test_the_suggestion_hardly_moves_with_the_noise(shape):
    still = suggest(curve(VALLEYS[shape], noise=0, seed=0)).rate
    moved = [suggest(curve(VALLEYS[shape], noise=0.06, seed=seed)).rate for seed in range(12)]
    assert all(still / 1.6 < found < still * 1.6 for found in moved)


@pytest.mark.parametrize("shape", NOTHING)
def test_a_curve_that_shows_nothing_is_said_to(shape):
    for noise in (0.0, 0.02, 0.1):
        said = [suggest(curve(NOTHING[shape], noise=noise, seed=seed)) for seed in range(20)]
        silent = [each for each in said if each.rate is None]
        assert len(silent) >= 19 and all("shows nothing" in each.reason for each in silent)


def test_too_few_steps_show_nothing():
    said = suggest(curve(VALLEYS["a basin"], noise=0, seed=0)[:12])
    assert said.rate is None and "12 steps" in said.reason
    assert suggest([]).rate is None


def test_neither_the_unit_nor_how_far_it_diverges_matters():
    points = curve(VALLEYS["a cliff"], noise=0.03, seed=1)
    found = suggest(points)
    assert suggest([(r, 4.2 * loss) for r, loss in points]).rate == found.rate
    assert suggest([(r, loss if loss < 2 else 1e6) for r, loss in points]) == found


def test_the_reason_names_where_it_rises():
    rises = suggest(curve(VALLEYS["a cliff"], noise=0, seed=0))
    end = LOW * 10**2.8
    assert end / 8 < rises.rate < end / 3
    assert "falls by 25 %" in rises.reason and "half-way up again above" in rises.reason
    open_end = suggest(curve(VALLEYS["no end"], noise=0, seed=0))
    assert open_end.rate <= HIGH / 4 and "has not risen again at 0.4" in open_end.reason


@pytest.mark.parametrize("sharpness", [1.0, 30.0])
def test_a_noisy_parabola_is_trained_at_what_is_suggested(sharpness):
    """Gradient descent on it diverges above 2 / sharpness."""
    dice = random.Random(0)

    def descent(place):
        def step(learning_rate):
            nonlocal place
            loss = 1 + sharpness * place**2 / 2
            place -= learning_rate * (sharpness * place + dice.gauss(0, 0.1))
            return loss / (1 + sharpness / 2)

        return step

    points = range_test(descent(1.0), low=1e-3 / sharpness, high=100 / sharpness, steps=100)
    assert len(points) < 100
    found = suggest(points).rate
    assert 0.1 / sharpness < found < 2 / sharpness
    train = descent(1.0)
    assert [train(found) for _ in range(50)][-1] < 1.1 / (1 + sharpness / 2)


def test_the_picture_is_drawn_whatever_was_found(tmp_path):
    points = curve(VALLEYS["a basin"], noise=0.05, seed=0)
    for name, part in (("whole", points), ("short", points[:3]), ("empty", [])):
        draw(tmp_path / f"{name}.png", part, suggest(part))
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    draw(tmp_path / "none.png", points, Suggestion(None, "The curve shows nothing."))
    assert (tmp_path / "none.png").stat().st_size != (tmp_path / "whole.png").stat().st_size
