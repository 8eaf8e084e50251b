import copy
import dataclasses
import json
import math
import os
import subprocess
import sys
import threading
from itertools import islice
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

from finetune import loop, validation
from finetune.batches import collate
from finetune.checkpoint import restore, trained_weights
from finetune.loss import CHUNK, _CrossEntropy, token_losses
from finetune.model import add_lora, check_gradient, guard_4bit
from finetune.parallel import threads_per_process
from finetune.rows import trained_tokens
from finetune.settings import FinetuneSettings
from finetune.validation import HeldOut, held_out, score, worst_replies
from persona.base import Base
from persona.errors import PersonaError
from persona.prompt import Example
from tests.tiny_base import save_tiny_base, tiny_examples, tiny_llama, tiny_training

CHECKOUT = Path(__file__).parents[1]
LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
HAS_AVX512_BF16 = bool(getattr(torch.cpu, "get_capabilities", dict)().get("avx512_bf16"))


pytestmark = pytest.mark.usefixtures("one_thread")


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


def adapted(**settings):
    return add_lora(tiny_llama(), FinetuneSettings(**settings))


def steps_of(model, examples, accelerator, **how):
    return list(tiny_training(model, examples, accelerator, **how)[0])


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


def test_training_lowers_the_loss_and_tells_what_happened(accelerator):
    examples = tiny_examples(12)
    steps = steps_of(adapted(), examples, accelerator, epochs=6)
    assert [s.number for s in steps] == list(range(1, 19))
    assert [s.epoch for s in steps if s.ends_epoch] == [1, 2, 3, 4, 5, 6]
    assert sum(s.trained_tokens for s in steps) == 6 * sum(map(trained_tokens, examples))
    assert sum(s.logical_tokens for s in steps) == 6 * sum(len(e.ids) for e in examples)
    assert all(s.physical_tokens >= s.logical_tokens for s in steps)
    assert sum(s.loss for s in steps[-3:]) < 0.97 * sum(s.loss for s in steps[:3])


@pytest.mark.parametrize("forward_tokens", [1, 19, 40])
def test_how_a_step_is_cut_into_forward_passes_does_not_change_it(accelerator, forward_tokens):
    models = [adapted(), adapted()]
    whole, parts = (
        steps_of(model, tiny_examples(11), accelerator, rows_per_step=8, rate=1e-4, forward_tokens=tokens)
        for model, tokens in zip(models, (4096, forward_tokens), strict=True)
    )
    assert [s.loss for s in parts] == pytest.approx([s.loss for s in whole], abs=1e-6)
    assert [s.gradient_norm for s in parts] == pytest.approx([s.gradient_norm for s in whole], rel=1e-5)


def test_a_step_without_memory_is_made_again_in_smaller_passes(accelerator, monkeypatch):
    real, sizes = loop.token_losses, []

    def short_of_memory(model, batch):
        sizes.append(batch.input_ids.numel())
        if batch.input_ids.numel() > 128:
            raise torch.OutOfMemoryError("no memory")
        return real(model, batch)

    monkeypatch.setattr(loop, "FEWEST_TOKENS", 64)
    roomy = steps_of(adapted(), tiny_examples(24), accelerator, rows_per_step=24, rate=1e-4)
    monkeypatch.setattr(loop, "token_losses", short_of_memory)
    running, position = tiny_training(
        adapted(), tiny_examples(24), accelerator, rows_per_step=24, rate=1e-4, forward_tokens=1024
    )
    tight = list(running)
    assert position.forward_tokens == 128 and sizes[0] > 128 and max(sizes[-2:]) <= 128
    assert [s.loss for s in tight] == pytest.approx([s.loss for s in roomy], abs=1e-6)
    monkeypatch.setattr(loop, "token_losses", lambda model, batch: (_ for _ in ()).throw(torch.OutOfMemoryError("no")))
    with pytest.raises(PersonaError, match="forward pass of 64 tokens"):
        steps_of(adapted(), tiny_examples(), accelerator)


def test_held_out_rows_without_memory_are_scored_in_smaller_passes(accelerator, monkeypatch):
    model, rows = tiny_llama(), [HeldOut(e, (True,) * trained_tokens(e), 1) for e in tiny_examples(13)]
    roomy = {share: score(model, rows, accelerator, share=share) for share in (False, True)}
    most = max(len(row.example.ids) for row in rows)

    def short_of_memory(model, batch):
        if batch.input_ids.numel() > most:
            raise torch.OutOfMemoryError("no memory")
        return token_losses(model, batch)

    monkeypatch.setattr(validation, "token_losses", short_of_memory)
    for share, whole in roomy.items():
        found = score(model, rows, accelerator, share=share)
        assert (found.tokens, found.bytes) == (whole.tokens, whole.bytes)
        assert found.nats == pytest.approx(whole.nats, rel=1e-6)
    most = 1
    with pytest.raises(torch.OutOfMemoryError):
        score(model, rows, accelerator, share=True)


def test_a_run_goes_on_at_every_step_as_if_it_had_not_stopped(accelerator):
    examples, whole_model = tiny_examples(11), adapted(dropout=0.2)
    whole = steps_of(whole_model, examples, accelerator)
    for last in range(1, len(whole)):
        model = adapted(dropout=0.2)
        running, position = tiny_training(model, examples, accelerator)
        first = list(islice(running, last))
        running.close()
        weights, moments = trained_weights(model), copy.deepcopy(position.optimizer.state_dict())
        model = adapted(dropout=0.2)
        restore(model, weights)
        running, position = tiny_training(model, examples, accelerator)
        position.optimizer.load_state_dict(moments)
        position.step = last
        rest = list(running)
        assert [s.loss for s in (*first, *rest)] == [s.loss for s in whole]
        ended = trained_weights(model)
        assert all(torch.equal(weight, ended[name]) for name, weight in trained_weights(whole_model).items())


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
        steps_of(model, [*sound, poisoned], accelerator, rows_per_step=13, forward_tokens=1)
    assert "fine-" not in str(error.value)


def test_a_held_out_loss_that_is_no_number_stops_the_run(accelerator):
    model = tiny_llama()
    with torch.no_grad():
        model.lm_head.weight[50] = float("nan")
    row = HeldOut(Example("the-bad-row", (7, 8, 9), (-100, 8, 9)), (True, True), 2)
    with pytest.raises(PersonaError, match="the-bad-row"):
        score(model, [row], accelerator, share=True)


def test_a_stop_ends_after_the_step(accelerator):
    stop = threading.Event()
    seen = []
    running, _ = tiny_training(adapted(), tiny_examples(), accelerator, stop=stop)
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


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_cross_entropy_in_chunks_is_torchs_own(dtype):
    torch.manual_seed(0)
    logits = (4 * torch.randn(2 * CHUNK + 3, 50)).to(dtype).requires_grad_()
    targets = torch.randint(0, 50, (len(logits),))
    weights = torch.rand(len(logits))
    own = torch.nn.functional.cross_entropy(logits.float(), targets, reduction="none")
    (expected,) = torch.autograd.grad((weights * own).sum(), logits)
    ours = _CrossEntropy.apply(logits, targets)
    (found,) = torch.autograd.grad((weights * ours).sum(), logits)
    assert torch.equal(ours, own) and ours.dtype == torch.float32
    assert torch.allclose(found.float(), expected.float(), atol=1e-6 if dtype == torch.float32 else 4e-3)
    assert _CrossEntropy.apply(logits[:0], targets[:0]).shape == (0,)


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
    result = score(model, rows, accelerator, share=True)
    assert model.training
    model.eval()
    by_hand = [token_losses(model, collate([e])).double() for e in (first, second)]
    is_text = [torch.tensor(row.is_text) for row in rows]
    assert result.tokens == sum(map(len, by_hand))
    assert result.loss == pytest.approx(float(torch.cat(by_hand).mean()), rel=1e-5)
    nats = sum(float(losses[mask].sum()) for losses, mask in zip(by_hand, is_text, strict=True))
    assert result.bits_per_byte == pytest.approx(nats / math.log(2) / len("".join(pieces).encode()), rel=1e-5)
    assert score(model, [], accelerator, share=True).loss is None
    split = Example("b", second.ids[:4], second.labels[:4])  # the worst of what has one id
    worst = worst_replies(model, [first, second, split], accelerator, template, share=True)
    of_replies = by_hand[0].split([len(text) + len(end), 3])
    means = {float(of.mean()): words for of, words in zip(of_replies, pieces[:2], strict=True)}
    assert worst["a"] == (pytest.approx(max(means), rel=1e-5), means[max(means)])
    third = token_losses(model, collate([split])).double()
    assert worst["b"].loss == pytest.approx(max(float(by_hand[1].mean()), float(third.mean())), rel=1e-5)


TWO_PROCESSES = """
import json, sys
import torch
from accelerate import Accelerator
from finetune.model import add_lora
from finetune.settings import FinetuneSettings
from finetune.validation import HeldOut, score
from tests.tiny_base import tiny_examples, tiny_llama, tiny_training

torch.set_num_threads(1)
accelerator = Accelerator(mixed_precision="no", cpu=True)
model = add_lora(tiny_llama(), FinetuneSettings())
examples = tiny_examples(13)
steps, _ = tiny_training(model, examples, accelerator)
losses = [(s.loss, s.gradient_norm) for s in steps]
rows = [HeldOut(e, (True,) * sum(label != -100 for label in e.labels[1:]), 1) for e in examples]
result = score(model, rows, accelerator, share=True)
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
    one = steps_of(model, tiny_examples(13), accelerator)
    # 13 rows in steps of 4: one step has a single row, so one process has nothing of its own to train there.
    assert len(two["losses"]) == len(one) == 8
    for (loss, norm), alone in zip(two["losses"], one, strict=True):
        assert loss == pytest.approx(alone.loss, abs=1e-4)
        assert norm == pytest.approx(alone.gradient_norm, rel=1e-3)
    rows = [HeldOut(e, (True,) * trained_tokens(e), 1) for e in tiny_examples(13)]
    result = score(model, rows, accelerator, share=True)
    assert two["tokens"] == result.tokens
    assert two["nats"] == pytest.approx(result.nats, rel=1e-4)
