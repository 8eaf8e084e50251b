"""What a run computes in and how it holds the base: chosen by what fits, with float16's small range kept harmless."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from finetune import loop, model, parallel, samples
from finetune.batches import collate
from finetune.checkpoint import restore, trained_weights
from finetune.command import main
from finetune.loss import computes_in, token_losses
from finetune.memory import choose_holding, needs
from finetune.model import add_lora, check_gradient, hold
from finetune.parallel import compute_dtype
from finetune.settings import FinetuneSettings
from persona.base import Base
from persona.errors import PersonaError
from tests.forked_trainer import COMMAND, RUN, make_workplace
from tests.tiny_base import tiny_examples, tiny_llama, tiny_training

CHECKOUT = Path(__file__).parents[1]
CPU = torch.device("cpu")
LLAMA_8B = {"parameters": 8_030_261_248, "linear": 6_979_321_856, "width": 2_621_440}
GIB = 2**30


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def accelerator():
    return Accelerator(mixed_precision="no")


# What a run computes in.


@pytest.mark.parametrize(
    ("capability", "expected"),
    [
        ((9, 0), torch.bfloat16),
        ((8, 0), torch.bfloat16),
        ((7, 5), torch.float16),
        ((7, 0), torch.float16),
        ((6, 1), torch.float32),
        ((6, 0), torch.float16),
        ((5, 2), torch.float32),
    ],
)
def test_a_gpu_computes_in_what_it_has_units_for(monkeypatch, capability, expected):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert compute_dtype("auto", torch.device("cuda")) == expected
    assert compute_dtype("float32", torch.device("cuda")) == torch.float32


def test_a_cpu_computes_in_bfloat16_where_it_has_units_for_it(monkeypatch):
    for units, expected in (({"avx512_bf16": True}, torch.bfloat16), ({"avx2": True}, torch.float32)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda units=units: units, raising=False)
        assert compute_dtype("auto", CPU) == expected
    assert compute_dtype("auto", torch.device("mps")) == torch.float32
    assert compute_dtype("float16", CPU) == torch.float16


def test_the_adapter_takes_inputs_of_16_bits_as_they_are(accelerator, monkeypatch):
    def watched(taught):
        kinds = set()
        for name, module in taught.named_modules():
            if name.endswith("lora_A.default"):
                module.register_forward_pre_hook(lambda module, given: kinds.add(given[0].dtype))
        return kinds, *trained(accelerator, taught=taught)[:2]

    kinds, steps, weights = watched(adapted(torch.bfloat16))
    assert kinds == {torch.bfloat16}
    monkeypatch.setattr(loop, "disable_input_dtype_casting", lambda model, active: contextlib.nullcontext())
    kinds, others, same_weights = watched(adapted(torch.bfloat16))
    assert kinds == {torch.float32} and numbers(steps) == numbers(others) and same(weights, same_weights)


# How a GPU is used.


@pytest.mark.parametrize(("release", "limited"), [("6.6.87.2-microsoft-standard-WSL2", True), ("6.1.0", False)])
def test_memory_of_a_gpu_ends_where_the_driver_would_go_on_elsewhere(monkeypatch, release, limited):
    set_to = []
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (6 * GIB, 8 * GIB))
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", set_to.append)
    monkeypatch.setattr(parallel.platform, "release", lambda: release)
    chosen = torch.backends.cuda.cudnn_sdp_enabled()
    try:
        parallel._set_up_cuda()
        assert not torch.backends.cuda.cudnn_sdp_enabled()
    finally:
        torch.backends.cuda.enable_cudnn_sdp(chosen)
    assert set_to == ([5.75 / 8] if limited else [])


def test_several_processes_are_refused_on_windows(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with monkeypatch.context() as windows, pytest.raises(PersonaError, match="--num_processes 1") as refused:
        windows.setattr(os, "name", "nt")
        parallel.check_launch(FinetuneSettings())
    assert "Windows" in refused.value.what


# The scale of losses.


def adapted(dtype=torch.float32, **settings):
    return add_lora(tiny_llama().to(dtype), FinetuneSettings(**settings))


def trained(accelerator, *, scale=None, dtype=torch.float32, taught=None, **how):
    """(steps, weights, position) of a training, with another scale of losses to begin with than its own."""
    taught = taught or adapted(dtype, dropout=0.2)
    running, position = tiny_training(taught, tiny_examples(11), accelerator, **how)
    position.loss_scale = position.loss_scale if scale is None else scale
    return list(running), trained_weights(taught), position


def same(one, other):
    return all(torch.equal(weight, other[name]) for name, weight in one.items())


def numbers(steps):
    return [(step.number, step.loss, step.gradient_norm) for step in steps]


@pytest.mark.parametrize("scale", [2.0, 1024.0, 65536.0])
def test_a_scale_changes_no_bit_where_the_range_is_large(accelerator, scale):
    plain, weights, position = trained(accelerator, forward_tokens=40)
    assert position.loss_scale == 1.0 and position.steps_at_scale == 0
    scaled, others, position = trained(accelerator, forward_tokens=40, scale=scale)
    assert position.loss_scale == scale and position.steps_at_scale == len(scaled)
    assert numbers(scaled) == numbers(plain) and same(weights, others)


def test_a_step_whose_gradient_is_too_large_is_made_again_with_half_the_scale(accelerator, monkeypatch):
    plain, weights, _ = trained(accelerator)
    calls, real = [], loop.gradients
    monkeypatch.setattr(loop, "gradients", lambda *given, **how: calls.append(how["seed"]) or real(*given, **how))
    scaled, others, position = trained(accelerator, scale=2.0**131)
    assert 1 < position.loss_scale < 2.0**131 and len(calls) > len(plain)
    assert sorted(set(calls)) == sorted({loop._seed(3, step.number) for step in plain})
    assert numbers(scaled) == numbers(plain) and same(weights, others)


def test_a_scale_grows_where_it_has_held(accelerator, monkeypatch):
    plain, weights, _ = trained(accelerator)
    monkeypatch.setattr(loop, "STEPS_TO_LARGER", 4)
    assert len(plain) == 6
    _, others, position = trained(accelerator, scale=8.0)
    assert (position.loss_scale, position.steps_at_scale) == (16.0, 2)
    assert same(weights, others)


def test_a_gradient_that_no_scale_mends_stops_the_run_with_its_rows(accelerator, monkeypatch):
    def backward(self, loss):
        loss.backward()
        next(parameter.grad for parameter in self._models[-1].parameters() if parameter.grad is not None).fill_(
            torch.inf
        )

    monkeypatch.setattr(Accelerator, "backward", backward)
    with pytest.raises(PersonaError, match=r"(?s)step 1: .* the gradient norm (nan|inf).*row-"):
        trained(accelerator, scale=4.0)


def test_a_loss_that_is_no_number_is_not_tried_again(accelerator, monkeypatch):
    taught = adapted(torch.float16)
    with torch.no_grad():
        taught.get_base_model().lm_head.weight[:] = 60000.0
    calls, real = [], loop.gradients
    monkeypatch.setattr(loop, "gradients", lambda *given, **how: calls.append(1) or real(*given, **how))
    with pytest.raises(PersonaError, match=r"(?s)step 1: the loss is (nan|inf).*row-.*--dtype float32"):
        trained(accelerator, taught=taught)
    assert len(calls) == 1


TWO_PROCESSES = """
import hashlib, json, sys
import torch
from accelerate import Accelerator
from finetune.checkpoint import trained_weights
from finetune.model import add_lora
from finetune.settings import FinetuneSettings
from tests.tiny_base import tiny_examples, tiny_llama, tiny_training

torch.set_num_threads(1)
accelerator = Accelerator(mixed_precision="no", cpu=True)
told = []
for scale in (1.0, 2.0**131):
    model = add_lora(tiny_llama(), FinetuneSettings(dropout=0.2))
    steps, position = tiny_training(model, tiny_examples(11), accelerator)
    position.loss_scale = scale
    count, weights = len(list(steps)), trained_weights(model)
    digest = hashlib.sha256(b"".join(weight.numpy().tobytes() for weight in weights.values())).hexdigest()
    told.append([digest, count, position.loss_scale])
json.dump(told, open(f"{sys.argv[1]}.{accelerator.process_index}", "w"))
accelerator.wait_for_everyone()
accelerator.end_training()
"""


def test_two_processes_scale_alike(tmp_path):
    script, file = tmp_path / "train_tiny.py", tmp_path / "result"
    script.write_text(TWO_PROCESSES)
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", script, file],
        env=os.environ | {"PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[:3000]
    first, second = (json.loads(Path(f"{file}.{rank}").read_text()) for rank in (0, 1))
    (digest, steps, scale), (other, same_steps, halved) = first
    assert first == second and (digest, steps, scale) == (other, same_steps, 1.0) and 1 < halved < 2.0**131


# float16.


def test_float16_trains_what_float32_does_with_an_adapter_in_float32(accelerator):
    exact, _, _ = trained(accelerator, epochs=4)
    steps, weights, position = trained(accelerator, dtype=torch.float16, epochs=4)
    assert position.loss_scale == loop.LOSS_SCALE and {w.dtype for w in weights.values()} == {torch.float32}
    assert [s.loss for s in steps] == pytest.approx([s.loss for s in exact], abs=5e-3)
    assert [s.gradient_norm for s in steps] == pytest.approx([s.gradient_norm for s in exact], rel=3e-2)
    again, others, _ = trained(accelerator, dtype=torch.float16, epochs=4)
    assert numbers(again) == numbers(steps) and same(weights, others)


def test_a_base_that_is_too_large_for_float16_is_refused_with_what_to_type():
    taught = adapted(torch.float16)
    check_gradient(taught, "tiny")
    with torch.no_grad():
        taught.get_base_model().lm_head.weight.fill_(60000.0)
    with pytest.raises(PersonaError, match=r"(?s)tiny computes numbers that float16 cannot hold.*--dtype float32"):
        check_gradient(taught, "tiny")


def test_small_gradients_survive_in_float16(accelerator):
    norms = {}
    for dtype, scale in ((torch.float32, 1.0), (torch.float16, 1.0), (torch.float16, loop.LOSS_SCALE)):
        taught = adapted(dtype)
        with torch.no_grad():
            taught.get_base_model().lm_head.weight.mul_(1e-3)
        norms[dtype, scale] = trained(accelerator, scale=scale, taught=taught)[0][0].gradient_norm
    exact = norms[torch.float32, 1.0]
    assert abs(norms[torch.float16, loop.LOSS_SCALE] - exact) < 0.02 * exact
    assert abs(norms[torch.float16, 1.0] - exact) > 2 * abs(norms[torch.float16, loop.LOSS_SCALE] - exact)


def test_a_base_in_16_bits_runs_under_autocast_and_no_other():
    seen = []
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        taught = adapted(dtype)
        taught.get_base_model().model.norm.register_forward_hook(
            lambda *_: seen.append(torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu"))
        )
        assert token_losses(taught, collate(tiny_examples(2))).dtype == torch.float32
        assert computes_in(taught) == dtype
    assert seen == [torch.float16, torch.bfloat16, False]


def test_a_run_goes_on_with_its_scale_at_every_step(accelerator, monkeypatch):
    monkeypatch.setattr(loop, "STEPS_TO_LARGER", 2)
    whole, weights, position = trained(accelerator, dtype=torch.float16)
    assert position.loss_scale > loop.LOSS_SCALE
    for last in range(1, len(whole)):
        taught = adapted(torch.float16, dropout=0.2)
        running, position = tiny_training(taught, tiny_examples(11), accelerator)
        first = list(islice(running, last))
        running.close()
        kept = trained_weights(taught), position.optimizer.state_dict(), position.loss_scale, position.steps_at_scale
        taught = adapted(torch.float16, dropout=0.2)
        restore(taught, kept[0])
        running, position = tiny_training(taught, tiny_examples(11), accelerator)
        position.optimizer.load_state_dict(kept[1])
        position.step, position.loss_scale, position.steps_at_scale = last, *kept[2:]
        assert numbers([*first, *running]) == numbers(whole) and same(weights, trained_weights(taught))


HALF = [*COMMAND[:-1], "--dtype", "float16", "--epochs", "1", "--gradient-accumulation", "1", "--seed", "5"]


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(samples, "QUESTIONS", 1)
    monkeypatch.setattr(samples, "REPLY_TOKENS", 1)
    make_workplace()
    for split, count in (("train", 12), ("validation", 2), ("test", 1)):  # A CPU has no units for float16.
        file = RUN / "dataset" / f"{split}.jsonl"
        file.write_text("".join(file.read_text().splitlines(keepends=True)[:count]))


def stop_after(number, patch):
    real = loop.train

    def interrupted(*given, **named):
        for step in real(*given, **named):
            if step.number == number:
                os.kill(os.getpid(), signal.SIGTERM)
            yield step

    patch.setattr(loop, "train", interrupted)


def adapter():
    return (RUN / "adapter/adapter_model.safetensors").read_bytes()


def metrics():
    return json.loads((RUN / "metrics.json").read_text())


@pytest.mark.usefixtures("workplace")
def test_a_float16_run_on_4_bits_ends_with_the_bytes_of_one_that_was_not_stopped(monkeypatch, capsys):
    monkeypatch.setattr(loop, "LOSS_SCALE", 2.0**24)  # Too large, so that it is halved at first.
    monkeypatch.setattr(loop, "STEPS_TO_LARGER", 1)
    assert main(HALF) == 0
    assert "nf4, float16, on cpu" in capsys.readouterr().out
    weights = adapter()
    assert metrics()["dtype"] == "float16" and metrics()["validation_loss_after"] < metrics()["validation_loss_before"]
    assert {w.dtype for w in load_file(RUN / "adapter/adapter_model.safetensors").values()} == {torch.float32}
    with monkeypatch.context() as patch:
        stop_after(1, patch)
        assert main([*HALF, "--force"]) == 130
    record = json.loads(max((RUN / "state").glob("step-*/state.json")).read_text())["record"]
    assert 1 < record["loss_scale"] < 2.0**24 and (record["dtype"], record["quantization"]) == ("float16", "nf4")
    capsys.readouterr()
    assert main(HALF) == 0
    assert "going on after step 2 of 3" in capsys.readouterr().out and adapter() == weights


# How the base is held.


def chosen(free_gib, refused="", device="cuda", number_bytes=2):
    return choose_holding(
        LLAMA_8B, device, free_gib * GIB, refused=refused, number_bytes=number_bytes, rank=16, forward_tokens=4096
    )


def test_a_gpu_with_room_holds_the_base_in_16_bits_and_another_in_4():
    assert chosen(79).quantization == "none" and "the base in 16 bits needs 51.8 GiB of 79.0 free" in chosen(79).why
    assert chosen(23).quantization == "nf4" and chosen(23).why.endswith("GiB of 23.0 free")
    assert "would need" in chosen(23).why and "32 bits" in chosen(60, number_bytes=4).why
    need = needs(LLAMA_8B, nf4=False, number_bytes=2, rank=16).bytes(4096) / GIB
    assert chosen(need).quantization == "nf4", "the reckoning knows nine tenths of the need"
    assert chosen(need / 0.89).quantization == "none"


def test_without_a_gpu_the_base_is_held_in_4_bits_where_they_work():
    assert chosen(0, device="cpu").quantization == "nf4" and chosen(0, device="cpu").why
    assert (
        chosen(79, refused="no kernels").quantization == "none" and "no kernels" in chosen(79, refused="no kernels").why
    )


def test_a_run_chooses_by_the_memory_that_is_free(monkeypatch, accelerator):
    class OnGpu:
        device, num_processes = torch.device("cuda"), 1

    base = Base.resolve()
    monkeypatch.setattr(model, "_why_not_4bit", lambda device: "")
    for free, expected in ((2**40, "none"), (2**28, "nf4")):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, free=free: (free, 2**40))
        assert hold(base, FinetuneSettings(), OnGpu, dtype=torch.bfloat16).quantization == expected
        for before in ("none", "nf4"):  # What is free now does not change a run that goes on.
            assert hold(base, FinetuneSettings(), OnGpu, dtype=torch.bfloat16, before=before).quantization == before
            asked = hold(base, FinetuneSettings(quantization=before), OnGpu, dtype=torch.bfloat16)
            assert (asked.quantization, asked.why) == (before, "")
    monkeypatch.setattr(model, "_why_not_4bit", lambda device: "no kernels")
    assert hold(base, FinetuneSettings(), OnGpu, dtype=torch.bfloat16, before="nf4").quantization == "none"
    with pytest.raises(PersonaError, match="no kernels"):
        hold(base, FinetuneSettings(quantization="nf4"), OnGpu, dtype=torch.bfloat16)


@pytest.mark.usefixtures("workplace")
def test_a_run_that_goes_on_holds_the_base_as_it_began(monkeypatch, capsys):
    plain = [*COMMAND, "5"]
    with monkeypatch.context() as patch:
        patch.setattr(model, "_why_not_4bit", lambda device: "no kernels")
        stop_after(1, patch)
        assert main(plain) == 130
    assert "none: 4-bit training does not work here: no kernels" in capsys.readouterr().out
    assert main(plain) == 0
    assert "none: as this run began" in capsys.readouterr().out and metrics()["quantization"] == "none"
    assert main([*plain, "--force"]) == 0
    assert "nf4: it takes a quarter of the memory" in capsys.readouterr().out and metrics()["quantization"] == "nf4"


# On a GPU.


def on_gpu(*flags, status=0):
    """What a run in a process of its own prints."""
    environment = {key: value for key, value in os.environ.items() if key != "ACCELERATE_USE_CPU"}
    done = subprocess.run(
        [sys.executable, "-m", "finetune", *COMMAND, "5", *flags],
        env=environment | {"PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode in (status, 0), done.stderr[-3000:]
    return done.returncode, done.stdout


@pytest.mark.gpu
@pytest.mark.usefixtures("workplace")
@pytest.mark.parametrize("quantization", ["auto", "nf4", "none"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_gpu_trains_in_16_bits(dtype, quantization):
    _, shown = on_gpu("--dtype", dtype, "--quantization", quantization)
    held = "nf4" if quantization == "nf4" else "none"
    assert f"{held}, {dtype}, on cuda" in shown
    assert ("none: the base in 16 bits needs" in shown) is (quantization == "auto"), "a tiny base fits everywhere"
    assert (metrics()["dtype"], metrics()["quantization"], metrics()["device"]) == (dtype, held, "cuda")
    assert metrics()["validation_loss_after"] < metrics()["validation_loss_before"]


@pytest.mark.gpu
@pytest.mark.usefixtures("workplace")
@pytest.mark.parametrize("quantization", ["nf4", "none"])
@pytest.mark.parametrize("dtype", ["float16", "auto", "float32"])
def test_deterministic_runs_on_a_gpu_end_with_the_same_bytes(dtype, quantization):
    flags = ("--dtype", dtype, "--quantization", quantization, "--deterministic")
    on_gpu(*flags)
    weights, losses = adapter(), metrics()["validation_losses"]
    on_gpu(*flags, "--force")
    assert adapter() == weights and metrics()["validation_losses"] == losses
    begun, _ = on_gpu(*flags, "--force", "--max-minutes", "0.01", status=75)
    while begun:
        begun, _ = on_gpu(*flags, status=75)
    assert adapter() == weights and metrics()["validation_losses"] == losses
