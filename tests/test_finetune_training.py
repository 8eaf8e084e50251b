import dataclasses
import json
import math
import os
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

from finetune.loop import learning_rate, train
from finetune.loss import token_losses
from finetune.model import add_lora, check_gradient, guard_4bit
from finetune.parallel import threads_per_process, uses_bfloat16
from finetune.rows import collate, trained_tokens
from finetune.settings import FinetuneSettings
from finetune.validation import HeldOut, held_out, row_losses, score
from persona.base import Base
from persona.errors import PersonaError
from persona.prompt import Example
from tests.tiny_base import save_tiny_base, tiny_examples, tiny_llama

CHECKOUT = Path(__file__).parents[1]
LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
HAS_AVX512_BF16 = bool(getattr(torch.cpu, "get_capabilities", dict)().get("avx512_bf16"))


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def accelerator():
    return Accelerator(mixed_precision="no")


def test_processes_share_the_cores_whatever_the_launcher_says(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    alone = threads_per_process()
    assert alone == (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(2 * alone))
    assert threads_per_process() == 1


def test_bfloat16_is_what_was_asked_for_or_what_the_processor_has():
    cpu = torch.device("cpu")
    assert uses_bfloat16("bfloat16", cpu) and not uses_bfloat16("float32", cpu)
    assert uses_bfloat16("auto", cpu) >= HAS_AVX512_BF16
    assert not uses_bfloat16("auto", torch.device("mps"))


def adapted(**settings):
    return add_lora(tiny_llama(), FinetuneSettings(**settings))


def steps_of(model, examples, accelerator, *, epochs=2, batch_size=4, accumulation=1, stop=None, rate=5e-3):
    return list(
        train(
            accelerator.prepare(model),
            examples,
            accelerator,
            epochs=epochs,
            batch_size=batch_size,
            gradient_accumulation=accumulation,
            peak_rate=rate,
            seed=3,
            stop=stop or threading.Event(),
        )
    )


def test_the_loss_is_that_of_transformers():
    model, examples = tiny_llama().eval(), tiny_examples(5)
    batch = collate(examples)
    ours = token_losses(model, batch)
    assert ours.shape == (sum(map(trained_tokens, examples)),)
    padded = torch.tensor([[1] * len(e.ids) + [0] * (batch.labels.shape[1] - len(e.ids)) for e in examples])
    theirs = model(input_ids=batch.input_ids, attention_mask=padded, labels=batch.labels).loss
    assert float(ours.detach().mean()) == pytest.approx(float(theirs), abs=1e-6)


def test_the_loss_goes_through_peft():
    model = adapted()
    losses = token_losses(model, collate(tiny_examples(3)))
    losses.mean().backward()
    gradients = [p.grad for name, p in model.named_parameters() if "lora_B" in name]
    assert len(gradients) == 14 and all(g is not None and g.abs().sum() > 0 for g in gradients)
    assert all(p.dtype == torch.float32 for p in model.parameters() if p.requires_grad)
    assert {name.rsplit(".", 2)[1] for name, p in model.named_parameters() if p.requires_grad} == {"default"}


def test_the_rate_warms_up_and_falls_to_a_tenth():
    rates = [learning_rate(step, 200, 1.0) for step in range(1, 201)]
    assert rates[:10] == pytest.approx([0.1 * n for n in range(1, 11)])
    assert rates[9] == 1.0 == max(rates)
    assert rates[104] == pytest.approx(0.55)
    assert rates[199] == pytest.approx(0.1)
    assert all(a > b for a, b in pairwise(rates[9:]))
    assert [learning_rate(1, 1, 2.0), learning_rate(2, 2, 2.0)] == pytest.approx([2.0, 0.2])


def test_training_lowers_the_loss_and_tells_what_happened(accelerator):
    examples = tiny_examples(12)
    steps = steps_of(adapted(), examples, accelerator, epochs=6)
    assert [s.number for s in steps] == list(range(1, 19))
    assert [s.epoch for s in steps if s.ends_epoch] == [1, 2, 3, 4, 5, 6]
    assert sum(s.trained_tokens for s in steps) == 6 * sum(map(trained_tokens, examples))
    assert sum(s.logical_tokens for s in steps) == 6 * sum(len(e.ids) for e in examples)
    assert all(s.physical_tokens >= s.logical_tokens for s in steps)
    assert sum(s.loss for s in steps[-3:]) < 0.97 * sum(s.loss for s in steps[:3])


@pytest.mark.parametrize("cut", [(2, 2), (1, 4), (3, 1)])
def test_accumulation_does_not_change_the_loss(accelerator, cut):
    examples = tiny_examples(11)
    batch_size, accumulation = cut
    whole = steps_of(adapted(), examples, accelerator, batch_size=batch_size * accumulation)
    parts = steps_of(adapted(), examples, accelerator, batch_size=batch_size, accumulation=accumulation)
    assert [s.loss for s in parts] == pytest.approx([s.loss for s in whole], abs=2e-5)
    assert [s.gradient_norm for s in parts] == pytest.approx([s.gradient_norm for s in whole], rel=2e-4)


def test_a_run_repeats_bit_for_bit_with_dropout(accelerator):
    runs = []
    for noise in range(2):
        torch.manual_seed(noise)
        runs.append([(s.loss, s.gradient_norm) for s in steps_of(adapted(dropout=0.3), tiny_examples(), accelerator)])
    assert runs[0] == runs[1]
    assert runs[0] != [(s.loss, s.gradient_norm) for s in steps_of(adapted(), tiny_examples(), accelerator)]


def test_a_loss_that_is_no_number_stops_the_run_with_its_rows(accelerator):
    model = adapted()
    before = {name: p.clone() for name, p in model.named_parameters() if p.requires_grad}
    with torch.no_grad():
        model.get_base_model().model.embed_tokens.weight[50] = float("nan")
    poisoned = Example("the-bad-row", (7, 50, 9, 10), (-100, -100, 9, 10))
    with pytest.raises(PersonaError, match=r"(?s)step 1: the loss is nan.*the-bad-row"):
        steps_of(model, [poisoned], accelerator)
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters() if name in before)
    sound = [dataclasses.replace(poisoned, id=f"fine-{n}", ids=(7, 8, 9, 10)) for n in range(12)]
    with pytest.raises(PersonaError, match="the-bad-row") as error:
        steps_of(model, [*sound, poisoned], accelerator, batch_size=1, accumulation=13)
    assert "fine-" not in str(error.value)


def test_a_held_out_loss_that_is_no_number_stops_the_run(accelerator):
    model = tiny_llama()
    with torch.no_grad():
        model.lm_head.weight[50] = float("nan")
    row = HeldOut(Example("the-bad-row", (7, 8, 9), (-100, 8, 9)), (True, True), 2)
    with pytest.raises(PersonaError, match="the-bad-row"):
        score(model, [row], accelerator)


def test_a_stop_ends_after_the_step(accelerator):
    stop = threading.Event()
    seen = []
    running = train(
        accelerator.prepare(adapted()),
        tiny_examples(),
        accelerator,
        epochs=2,
        batch_size=4,
        gradient_accumulation=1,
        peak_rate=1e-3,
        seed=0,
        stop=stop,
    )
    for step in running:
        seen.append(step.number)
        if step.number == 2:
            stop.set()
    assert seen == [1, 2, 3]


def four_bit(tmp_path):
    from persona.engines.local import load_model

    base = Base.resolve(str(save_tiny_base(tmp_path / "base")))
    return load_model(base, quantization="nf4", device=torch.device("cpu"), dtype=torch.float32)


def test_an_evaluation_pass_does_not_change_4bit_gradients(tmp_path):
    model = four_bit(tmp_path)
    guard_4bit(model)
    model = add_lora(model, FinetuneSettings())
    batch = collate(tiny_examples(4))

    def gradient():
        model.train()
        model.zero_grad()
        token_losses(model, batch).mean().backward()
        return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    before = gradient()
    model.eval()
    with torch.no_grad():
        token_losses(model, batch)
    after = gradient()
    assert before.norm() > 0
    assert torch.allclose(before, after, atol=1e-6 * float(before.norm()))
    check_gradient(model, "tiny")


@pytest.mark.skipif(not HAS_AVX512_BF16, reason="only processors with AVX512-BF16 repack 4-bit weights")
def test_without_the_guard_the_check_finds_the_wrong_gradient(tmp_path):
    model = add_lora(four_bit(tmp_path), FinetuneSettings())
    with pytest.raises(PersonaError, match="evaluation pass"):
        check_gradient(model, "tiny")


def test_a_base_that_cannot_choose_logits_is_refused():
    model = adapted()
    inner = model.get_base_model()
    whole = type(inner).forward
    inner.forward = lambda logits_to_keep=0, **rest: whole(inner, **rest)
    with pytest.raises(PersonaError, match="cannot be trained"):
        check_gradient(model, "old-base")


def test_scores_are_sums_with_the_ends_of_turns_apart(accelerator):
    template = Base.resolve().template()
    text = template.text_ids("It is lit, señor.")
    end = list(template.end_of_turn)
    first = Example("a", (9, 9, *text, *end, 9, *text[:3]), (-100, -100, *text, *end, -100, *text[:3]))
    second = Example("b", (9, *text[:4], *end), (-100, *text[:4], *end))
    rows = held_out([first, second], template)
    pieces = [template.decode(ids) for ids in (text, text[:3], text[:4])]
    assert rows[0].bytes == len((pieces[0] + pieces[1]).encode())
    assert rows[0].is_text == (True,) * len(text) + (False,) * len(end) + (True,) * 3

    model = tiny_llama(vocabulary=6144).train()
    result = score(model, rows, accelerator)
    assert model.training
    model.eval()
    by_hand = [token_losses(model, collate([e])).double() for e in (first, second)]
    is_text = [torch.tensor(row.is_text) for row in rows]
    assert result.tokens == sum(map(len, by_hand))
    assert result.loss == pytest.approx(float(torch.cat(by_hand).mean()), rel=1e-5)
    nats = sum(float(losses[mask].sum()) for losses, mask in zip(by_hand, is_text, strict=True))
    assert result.bits_per_byte == pytest.approx(nats / math.log(2) / len("".join(pieces).encode()), rel=1e-5)
    assert score(model, [], accelerator).loss is None
    split = Example("b", second.ids[:4], second.labels[:4])  # a row may have several sequences: its worst counts
    losses = row_losses(model, [first, second, split], accelerator)
    third = token_losses(model, collate([split])).double()
    means = [float(each.mean()) for each in (*by_hand, third)]
    assert losses == pytest.approx({"a": means[0], "b": max(means[1:])}, rel=1e-5)


TWO_PROCESSES = """
import json, sys, threading
import torch
from accelerate import Accelerator
from finetune.loop import train
from finetune.model import add_lora
from finetune.settings import FinetuneSettings
from finetune.validation import HeldOut, score
from tests.tiny_base import tiny_examples, tiny_llama

torch.set_num_threads(1)
accelerator = Accelerator(mixed_precision="no", cpu=True)
model = accelerator.prepare(add_lora(tiny_llama(), FinetuneSettings()))
examples = tiny_examples(13)
steps = train(model, examples, accelerator, epochs=2, batch_size=2, gradient_accumulation=1, peak_rate=5e-3,
              seed=3, stop=threading.Event())
losses = [(s.loss, s.gradient_norm) for s in steps]
rows = [HeldOut(e, (True,) * sum(label != -100 for label in e.labels[1:]), 1) for e in examples]
result = score(model, rows, accelerator)
if accelerator.is_main_process:
    json.dump({"losses": losses, "nats": result.nats, "tokens": result.tokens, "processes": accelerator.num_processes},
              open(sys.argv[1], "w"))
accelerator.wait_for_everyone()
accelerator.end_training()
"""


def test_two_processes_train_what_one_does_with_twice_the_accumulation(tmp_path, accelerator):
    script, file = tmp_path / "train_tiny.py", tmp_path / "result.json"
    script.write_text(TWO_PROCESSES)
    done = subprocess.run(
        [*LAUNCH, str(script), str(file)],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[:3000]
    two = json.loads(file.read_text())
    assert two["processes"] == 2
    model = adapted()
    one = steps_of(model, tiny_examples(13), accelerator, batch_size=2, accumulation=2)
    # 13 rows in steps of 4: one step has a single row, so one process has nothing of its own to train there.
    assert len(two["losses"]) == len(one) == 8
    for (loss, norm), alone in zip(two["losses"], one, strict=True):
        assert loss == pytest.approx(alone.loss, abs=1e-4)
        assert norm == pytest.approx(alone.gradient_norm, rel=1e-3)
    rows = [HeldOut(e, (True,) * trained_tokens(e), 1) for e in tiny_examples(13)]
    result = score(model, rows, accelerator)
    assert two["tokens"] == result.tokens
    assert two["nats"] == pytest.approx(result.nats, rel=1e-4)
