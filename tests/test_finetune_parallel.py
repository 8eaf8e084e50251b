import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from safetensors.torch import load_file

from finetune import run, samples
from finetune.command import main
from finetune.memory import Holding
from finetune.model import load
from finetune.rows import trained_tokens
from finetune.settings import FinetuneSettings
from finetune.sharing import shares_exactly
from finetune.validation import HeldOut, reply_sums, score
from persona.base import Base
from tests.forked_trainer import make_workplace
from tests.tiny_base import tiny_examples, tiny_training

CHECKOUT = Path(__file__).parents[1]
LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]


pytestmark = pytest.mark.usefixtures("one_thread")


RUNS = """
import json, os, shutil, signal
import torch
from accelerate import Accelerator
from finetune import loop, results, samples, state
from finetune.command import main
from tests.forked_trainer import COMMAND, RUN

Accelerator.end_training = lambda self: None  # one group of processes for all that follows
samples.REPLY_TOKENS = 4
rank, train, losses, told = int(os.environ["RANK"]), loop.train, [], {"wrote": 0}

def interrupted(*given, **named):
    for step in train(*given, **named):
        losses.append(step.loss)
        if step.number == end and rank == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        yield step

def counted(function):
    def call(*given, **named):
        told["wrote"] += 1
        return function(*given, **named)
    return call

loop.train = interrupted
state.save_state, results.save_adapter = counted(state.save_state), counted(results.save_adapter)

def run(name, *arguments, until=None):
    global end
    end = until
    losses.clear()
    status = main([*COMMAND, "7", *arguments])
    told[name] = {"status": status, "losses": list(losses)}
    if rank == 0 and status == 0:
        told[name]["metrics"] = json.loads((RUN / "metrics.json").read_text())
        shutil.copytree(RUN / "adapter", name)

run("through", "--parallel", "fsdp")
run("cut", "--parallel", "fsdp", "--force", until=2)
told["states"] = sorted(path.name for path in (RUN / "state").rglob("*.safetensors"))
run("resumed", "--parallel", "fsdp")
run("ddp", "--parallel", "ddp", "--force")
"""

IN_PARTS = """
from torch.distributed.tensor import DTensor
from finetune import parts, validation
from finetune.memory import Holding
from finetune.model import adapted
from finetune.settings import FinetuneSettings
from finetune.sharing import shares_exactly
from persona.base import Base
from persona.errors import PersonaError
from tests.tiny_base import tiny_examples, tiny_training

loop.train = train
accelerator = Accelerator(mixed_precision="no")
accelerator.prepare = lambda model: model
base, cpu = Base.resolve("base"), torch.device("cpu")

def loaded(dtype=torch.float32, quantization="nf4", **settings):
    given = FinetuneSettings(parallel="fsdp", **settings)
    how = {"dtype": dtype, "holding": Holding(quantization)}
    return parts.load_in_parts(base, given, accelerator, **how).model, adapted(base, given, cpu, **how).model

for name, how in {"nf4": {}, "bfloat16": {"dtype": torch.bfloat16}, "none": {"quantization": "none"},
                  "float16": {"dtype": torch.float16}}.items():
    model, whole = loaded(**how)
    held = [(p.to_local() if isinstance(p, DTensor) else None, p) for p in model.parameters()]
    told[name] = {
        "equal": parts._losses(model) == parts._losses(whole),
        "here": sum(part.numel() for part, _ in held if part is not None),
        "all": sum(p.numel() for part, p in held if part is not None),
        "adapter": sum(p.numel() for part, p in held if part is None),
    }

examples = tiny_examples(13)
for name, how in {"training": {}, "dropout": {"dropout": 0.2}, "checkpointing": {"gradient_checkpointing": True}}.items():
    model = loaded(**how)[0]
    told["shares"] = shares_exactly(model)
    steps, _ = tiny_training(model, examples, accelerator, forward_tokens=40)
    told[name] = [(step.loss, step.gradient_norm) for step in steps]

model = loaded()[0]
rows = [validation.HeldOut(e, (True,) * sum(label != -100 for label in e.labels[1:]), 1) for e in examples]
result = validation.score(model, rows, accelerator, share=False, forward_tokens=40)
told["score"] = [result.nats, result.tokens, result.bytes]
told["rows"] = validation.reply_sums(model, examples, accelerator, share=False, forward_tokens=40)
told["answers"] = samples.answers(model, [("?", e.ids) for e in examples[:2]], base.template(), accelerator)

def way(free, parallel="auto", before=None):
    parts._free_bytes = lambda device: free[rank]
    how = {"dtype": torch.float32, "holding": Holding("nf4"), "before": before}
    return parts._way(base, FinetuneSettings(parallel=parallel), accelerator, **how)
told["ways"] = [way([2e9, 2e9]), way([2e9, 1e8]), way([1, 1], "ddp"), way([2e9, 2e9], "fsdp"),
                way([2e9, 2e9], before="fsdp"), way([1, 1], before="ddp")]

really = parts.shard
def wrongly(model, *rest):
    weight = model.get_input_embeddings().weight
    weight.data = weight.data.roll(1, 0)
    really(model, *rest)
parts.shard = wrongly
try:
    loaded()
except PersonaError as error:
    told["refused"] = str(error)
json.dump(told, open(f"rank-{rank}.json", "w"))
"""


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """The working folder of two processes, and what each of them found there."""
    folder = tmp_path_factory.mktemp("two")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_workplace()
    (folder / "script.py").write_text(RUNS + IN_PARTS)
    done = subprocess.run(
        [*LAUNCH, "script.py"],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[:6000]
    return folder, [json.loads((folder / f"rank-{rank}.json").read_text()) for rank in range(2)]


def whole(folder, **settings):
    """The same base with its adapter on this process alone."""
    base, settings = Base.resolve(str(folder / "base")), FinetuneSettings(**settings)
    return load(base, settings, torch.device("cpu"), dtype=torch.float32, holding=Holding("nf4")).model


def test_the_first_forward_is_that_of_the_whole_base(two):
    for told in two[1]:
        for held in ("nf4", "bfloat16", "float16", "none"):
            assert told[held]["equal"], held
            assert told[held]["here"] == pytest.approx(told[held]["all"] / 2, rel=0.01)
            assert told[held]["adapter"] > 0


@pytest.mark.parametrize("kind", ["training", "checkpointing"])
def test_parts_train_what_one_process_does_with_twice_the_accumulation(two, kind):
    folder, (first, second) = two
    accelerator = Accelerator(mixed_precision="no")
    model = whole(folder)
    assert shares_exactly(model) and first["shares"]
    alone = list(tiny_training(model, tiny_examples(13), accelerator)[0])
    assert first[kind] == second[kind] and len(alone) == 8
    for (loss, norm), step in zip(first[kind], alone, strict=True):
        assert loss == pytest.approx(step.loss, abs=1e-5)
        assert norm == pytest.approx(step.gradient_norm, rel=1e-4)
    assert alone[-1].loss < alone[0].loss
    assert first["dropout"] != first["training"] and first["dropout"] == second["dropout"]


def test_parts_score_and_answer_as_the_whole_base_does(two, monkeypatch):
    folder, (first, second) = two
    accelerator, model, examples = Accelerator(mixed_precision="no"), whole(folder), tiny_examples(13)
    rows = [HeldOut(e, (True,) * trained_tokens(e), 1) for e in examples]
    result = score(model, rows, accelerator, share=False)
    assert first["score"] == second["score"] == [pytest.approx(result.nats, rel=1e-6), result.tokens, result.bytes]
    sums = reply_sums(model, examples, accelerator, share=False)
    assert first["rows"] == second["rows"] == [[[pytest.approx(n, rel=1e-5), t] for n, t in each] for each in sums]
    template = Base.resolve(str(folder / "base")).template()
    monkeypatch.setattr(samples, "REPLY_TOKENS", 4)
    said = samples.answers(model, [("?", e.ids) for e in examples[:2]], template, accelerator)
    assert first["answers"] == second["answers"] == said


def test_all_processes_choose_alike_what_fits_each(two):
    expected = ["ddp", "fsdp", "ddp", "fsdp", "fsdp", "ddp"]
    assert [told["ways"] for told in two[1]] == [expected, expected]


def test_parts_that_compute_something_else_are_refused(two):
    for told in two[1]:
        assert "computes something else than whole" in told["refused"]


def test_a_run_in_parts_that_was_cut_ends_with_the_bytes_of_one_that_was_not(two):
    folder, (first, second) = two
    assert [first[name]["status"] for name in ("through", "cut", "resumed")] == [0, 75, 0]
    assert second["cut"]["status"] == 130  # the signal came to this one
    assert len(first["through"]["losses"]) == 6 and len(first["resumed"]["losses"]) == 3
    through, resumed = (load_bytes(folder / name) for name in ("through", "resumed"))
    assert through == resumed and "adapter_model.safetensors" in through
    assert second["through"]["losses"] == first["through"]["losses"]


def load_bytes(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_the_first_process_alone_writes(two):
    folder, (first, second) = two
    assert second["wrote"] == 0 < first["wrote"]
    assert first["states"] == ["tensors.safetensors"] * 2
    assert [file.name for file in (folder / "through").glob("*.safetensors")] == ["adapter_model.safetensors"]
    assert {weight.dtype for weight in load_file(folder / "through/adapter_model.safetensors").values()} == {
        torch.float32
    }


def test_both_ways_train_the_same(two):
    folder, (first, second) = two
    parts, ddp = first["through"], first["ddp"]
    assert ddp["losses"] == second["ddp"]["losses"] == pytest.approx(parts["losses"], abs=1e-6)
    assert ddp["metrics"]["validation_losses"] == pytest.approx(parts["metrics"]["validation_losses"], abs=1e-6)
    assert ddp["metrics"]["processes"] == 2 and parts["losses"][-1] < parts["losses"][0]
    weights = [load_file(folder / name / "adapter_model.safetensors") for name in ("through", "ddp")]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.allclose(weight, weights[1][name], atol=1e-6) for name, weight in weights[0].items())


def test_one_process_cannot_share_a_base_out(capsys):
    assert main(["mira", "--parallel", "fsdp"]) == 2
    assert "the only one" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variable", "name"), [("ACCELERATE_USE_DEEPSPEED", "DeepSpeed"), ("ACCELERATE_USE_FSDP", "accelerate's own FSDP")]
)
def test_other_engines_are_refused_before_anything_is_read(variable, name, capsys, monkeypatch):
    monkeypatch.setenv(variable, "true")
    monkeypatch.setattr(run, "read_inputs", lambda *_: pytest.fail("read"))
    assert main(["mira"]) == 2
    shown = capsys.readouterr().err
    assert f"{name} is not used here" in shown and "--parallel fsdp" in shown
    monkeypatch.setenv(variable, "false")
    with pytest.raises(pytest.fail.Exception, match="read"):
        main(["mira"])


@pytest.mark.parametrize(("file", "machines", "gpus"), [("several_gpus", 1, 2), ("several_nodes", 2, 16)])
def test_accelerate_reads_the_files_for_several_gpus(file, machines, gpus):
    command = [
        "--config_file",
        str(CHECKOUT / f"finetune/launch/{file}.yaml"),
        "finetune",
        "mira",
        "--parallel",
        "fsdp",
    ]
    given, *_ = _validate_launch_command(launch_command_parser().parse_args(command))
    assert given.multi_gpu and (given.num_machines, given.num_processes) == (machines, gpus)
    assert not (given.use_cpu or given.use_deepspeed or given.use_fsdp)
    assert (given.training_script, given.training_script_args) == ("finetune", ["mira", "--parallel", "fsdp"])
