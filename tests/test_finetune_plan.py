"""What a run says before it begins of disk and memory: the same figures as `persona doctor`, and a refusal in time."""

import gc
import shutil
from collections import namedtuple
from types import SimpleNamespace

import pytest
import torch
from accelerate import Accelerator

from finetune import checks, loop, memory, plan
from finetune.model import add_lora
from finetune.probe import Machine, size
from finetune.settings import FinetuneSettings
from persona.errors import PersonaError
from persona.prompt import Example
from tests.tiny_base import tiny_llama

QWEN3_8B = {
    "model_type": "qwen3",
    "hidden_size": 4096,
    "intermediate_size": 12288,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 151936,
    "tie_word_embeddings": False,
}


def training(run, parameters=1_000_000):
    """As much of a training as is looked at."""
    model = torch.nn.Linear(parameters, 1, bias=False, device="meta")
    return SimpleNamespace(
        inputs=SimpleNamespace(place=SimpleNamespace(run=run)),
        accelerator=SimpleNamespace(device=torch.device("cpu")),
        loaded=SimpleNamespace(model=model, dtype="bfloat16"),
        settings=FinetuneSettings(),
    )


@pytest.fixture
def room(monkeypatch):
    """Sets the bytes that are free on the disk and in memory."""
    monkeypatch.setattr(plan, "_free_memory", lambda device: 11.8 * 2**30)

    def set_disk(free):
        usage = namedtuple("usage", "total used free")(0, 0, int(free))
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)

    return set_disk


def test_the_heaviest_steps_are_tried_beside_what_the_optimizer_will_hold(one_thread, monkeypatch):
    def example(tokens, trained):
        ids = tuple(range(5, 5 + tokens))
        return Example(f"{tokens}-{trained}", ids, (-100,) * (tokens - trained) + ids[tokens - trained :])

    examples = [example(60, 1), *[example(20, 2)] * 6, *[example(14, 12)] * 3]
    model, tried = add_lora(tiny_llama(), FinetuneSettings()), []

    def gradients(model, examples, accelerator, rows, position, **how):
        held = [each for each in gc.get_objects() if type(each) is torch.Tensor and each.dim() == 1]
        tried.append((rows, sum(each.numel() for each in held if not each.requires_grad)))
        position.forward_tokens //= 2

    monkeypatch.setattr(plan, "gradients", gradients)
    steps, accelerator = [[0, 1], [2, 3, 4], [5, 6], [7, 8, 9]], Accelerator()
    # The longest example is larger than a pass may be, and most logits come together in the last step.
    position = loop.start(model, 40)
    reckoned = plan.rehearse(model, examples, accelerator, [steps], position, share=False)
    assert [rows for rows, _ in tried] == [[7, 8, 9], [0, 1]] and reckoned.forward_tokens == position.forward_tokens
    trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    assert all(beside >= 3 * trained for _, beside in tried)
    assert (reckoned.steps, reckoned.logical_tokens, reckoned.trained_tokens) == (4, 222, 49)
    assert reckoned.physical_tokens == 80 + 60 + 40 + 42
    left = plan.rehearse(model, examples, accelerator, [steps], loop.start(model, 40), share=False, done=3)
    assert (left.steps, left.logical_tokens) == (1, 42) and left.lines()[0].startswith("1 steps to go, ")


def test_disk_and_other_bases_are_told_in_two_lines(room, tmp_path):
    room(31.4e9)
    disk, bases = plan.surroundings(training(tmp_path))
    assert disk == f"disk: 31.4 GB free for {tmp_path}, 50 MB needed"
    assert bases.startswith("other bases would need, with --forward-tokens 512: ") and " for 0.6 B, " in bases
    assert bases.endswith("; 11.8 GiB are free, so 8 B is the largest of these that fits")


def test_a_disk_that_is_too_small_is_refused_with_the_figures(room, tmp_path):
    room(120e6)
    lines = plan.surroundings(training(tmp_path))
    assert "0.1 GB free" in next(lines)
    with pytest.raises(PersonaError, match=r"no room for the run: 0.1 GB free .* 50 MB needed") as refused:
        next(lines)
    assert "--rank" in refused.value.fix


def test_what_the_run_has_on_the_disk_already_is_not_needed_again(room, tmp_path):
    room(120e6)
    (tmp_path / "state" / "step-000002").mkdir(parents=True)
    (tmp_path / "state" / "step-000002" / "tensors.safetensors").write_bytes(b"0" * 45_000_000)
    assert next(plan.surroundings(training(tmp_path))).endswith("5 MB needed")


def test_the_doctor_says_the_same_of_a_base(room, tmp_path, monkeypatch):
    room(100e9)
    monkeypatch.setattr(checks, "main_memory", lambda: (2**40, 2**40))
    answers = {"device": {"type": "cpu", "dtype": "bfloat16"}, "arithmetic": {}, "size": size(QWEN3_8B)}
    assert answers["size"] == plan.USUAL_BASES["8 B"]
    doctors = checks.memory(Machine(answers), base_known=True).found
    of_plan = list(plan.surroundings(training(tmp_path)))[1]
    assert f"need about {of_plan.split(' for 8 B')[0].rpartition(', ')[2]} to " in doctors


@pytest.mark.parametrize(
    ("free", "said"), [(1, "none of these fits"), (3, "a is the largest"), (9, "b is the largest")]
)
def test_the_largest_that_fits_is_named(free, said):
    assert said in plan.compared({"a": 2 * 2**30, "b": 8 * 2**30}, free * 2**30)


def test_the_memory_of_this_process_counts_as_free(monkeypatch):
    monkeypatch.setattr(memory, "main_memory", lambda: (1_000, 2_000))
    assert plan._free_memory(torch.device("cpu")) > 50e6


def test_usual_bases_grow():
    sizes = list(plan.USUAL_BASES.values())
    assert all(sorted(each[key] for each in sizes) == [each[key] for each in sizes] for key in sizes[0])
    assert all(each["linear"] < each["parameters"] for each in sizes)
