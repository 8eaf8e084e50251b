import errno
import gc
import io
import os
import random
import tempfile
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.encoded import OnAccess, on_disk
from finetune.rows import digest_of, plan_epoch, trained_tokens
from persona.errors import PersonaError
from persona.prompt import Example


@st.composite
def some_examples(draw):
    def one():
        tokens = draw(st.lists(st.tuples(st.integers(0, 2**31 - 1), st.booleans()), max_size=12))
        return Example(
            draw(st.text(st.characters(exclude_categories=()), max_size=4)),
            tuple(id for id, _ in tokens),
            tuple(id if trained else -100 for id, trained in tokens),
        )

    return [one() for _ in range(draw(st.integers(0, 6)))]


@given(some_examples(), st.slices(6))
def test_examples_come_back_from_disk(examples, part):
    kept = on_disk(iter(examples))
    assert list(kept) == examples and len(kept) == len(examples)
    assert list(kept[part]) == examples[part]
    assert [kept[place] for place in range(-len(examples), 0)] == examples
    with pytest.raises(IndexError):
        kept[len(examples)]


def many(count=250, tokens=300):
    """As long as those of a persona's prompt, each with ids of its own."""
    for number in range(count):
        ids = tuple(range(1_000 * number, 1_000 * number + tokens))
        yield Example(f"row-{number}", ids, (-100,) * (tokens - 20) + ids[-20:])


def test_memory_does_not_grow_with_the_rows():
    def peak_bytes(work):
        gc.collect()
        tracemalloc.start()
        work()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    def lived_with():
        kept = on_disk(many())
        plan_epoch(OnAccess(range(len(kept)), lambda row: kept[row].ids), seed=0, epoch=0, rows_per_step=2)
        digest_of(kept)

    held = peak_bytes(lambda: list(many()))
    assert held > 2.5e6
    assert peak_bytes(lived_with) < held / 4  # most of it is the pool that is sorted


def test_nothing_lies_about_while_a_run_lasts(tmp_path, monkeypatch):
    if os.name != "posix":
        pytest.skip("an open file keeps its name there until it is closed")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    kept = on_disk(many(3))
    assert not list(tmp_path.iterdir()) and len(list(kept)) == 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_said_and_other_errors_are_not_called_so(monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: io.FileIO("/dev/full", "r+"))
    with pytest.raises(PersonaError, match="No space left") as refused:
        on_disk(many(3))
    assert "TMPDIR" in refused.value.fix

    def broken():
        yield from many(1)
        raise OSError(errno.EIO, "the dataset's disk")

    monkeypatch.undo()
    with pytest.raises(OSError, match="the dataset's disk"):
        on_disk(broken())


@pytest.mark.parametrize("at_once", [True, False])
def test_threads_read_what_they_ask_for(monkeypatch, at_once):
    examples = list(many(50, 100))
    if not at_once:
        monkeypatch.delattr(os, "pread", raising=False)
    kept = on_disk(examples)
    numbers = random.Random(0).choices(range(50), k=2_000)
    with ThreadPoolExecutor(4 if at_once else 1) as pool:
        assert all(pool.map(lambda number: kept[number] == examples[number], numbers))


@given(st.lists(st.lists(st.integers(0, 3), max_size=4), min_size=1, max_size=90), st.integers(1, 4))
def test_an_epoch_planned_from_disk_is_the_one_that_was_always_planned(ids, rows_per_step):
    examples = [Example(str(row), tuple(each), tuple(each)) for row, each in enumerate(ids)]
    dice = random.Random("5 order 1")
    order, steps = list(range(len(ids))), []
    dice.shuffle(order)
    for start in range(0, len(order), 16 * rows_per_step):
        pool = sorted((ids[row], row) for row in order[start : start + 16 * rows_per_step])
        rows = [row for _, row in pool]
        steps += [rows[place : place + rows_per_step] for place in range(0, len(rows), rows_per_step)]
    dice.shuffle(steps)
    kept = on_disk(examples)
    likeness = OnAccess(range(len(kept)), lambda row: kept[row].ids)
    assert plan_epoch(likeness, seed=5, epoch=1, rows_per_step=rows_per_step) == steps


def test_scores_are_the_same_in_small_pools(monkeypatch):
    from accelerate import Accelerator

    from finetune import validation
    from tests.tiny_base import tiny_examples, tiny_llama

    examples, model = tiny_examples(11), tiny_llama()
    accelerator = Accelerator(cpu=True)
    rows = [validation.HeldOut(each, (True,) * trained_tokens(each), 2) for each in examples]

    def found():
        sums = validation.reply_sums(model, on_disk(examples), accelerator, share=False)
        return validation.score(model, rows, accelerator, share=False), [sums[row] for row in range(11)]

    whole, sums = found()
    monkeypatch.setattr(validation, "POOL", 4)
    score, again = found()
    assert (score.tokens, score.bytes) == (whole.tokens, whole.bytes) and whole.bytes == 22
    assert score.loss == pytest.approx(whole.loss, rel=1e-5)
    assert again == [[(pytest.approx(nats, rel=1e-4), tokens) for nats, tokens in replies] for replies in sums]
