"""The same training by this trainer and by trl's SFTTrainer: tokens per second, memory, losses step by step.

A Llama of random weights, NF4, LoRA on all linear layers, real dialogues of Ada. Both are given the same adapter, the
same ids and labels, the same rows in each step, learning rates and AdamW. Each trains in a process of its own; one more
scores what they have learned. Tokens per second are those of the dialogues, prompts included, however few of them went
through the model. trl runs in several settings that keep the rows of a step; the fastest one counts.

`--size 98M` on a CPU (the default there), `8B` on a GPU (30 GB of it, and 16 GB of disk), `tiny` to try this script;
`--steps N` timed steps (5) behind one that warms up; `--peak N`, the GPU's bf16 TFLOP/s (989, an H100 or H200), to say
what share of it our arithmetic is.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, TrainerCallback

from finetune import loop, parallel
from finetune.checkpoint import restore, trained_weights
from finetune.memory import Holding
from finetune.model import load
from finetune.prepare import quiet_libraries
from finetune.rows import encode_rows, plan_epoch, trained_tokens
from finetune.schedule import rate
from finetune.settings import FinetuneSettings
from finetune.sharing import shares_exactly
from finetune.validation import HeldOut, score
from persona.base import Base
from persona.paths import NANO_FOLDER
from persona.prompt import IGNORED, Example

PEAK_RATE = 5e-4
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
SIZES = {
    "tiny": {"num_hidden_layers": 2, "hidden_size": 128, "intermediate_size": 384, "num_attention_heads": 2},
    "98M": {"num_hidden_layers": 12, "hidden_size": 768, "intermediate_size": 2176, "num_attention_heads": 12},
    "8B": {
        "num_hidden_layers": 32,
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 128256,
    },
}
ROWS_A_STEP = {"tiny": 8, "98M": 8, "8B": 32}
OURS = {"ours, prompts shared": True, "ours, not shared": False}
"""Whether the common beginnings of a step's rows are computed once."""

PEERS = {
    "trl, 8 rows at once": {"per_device_train_batch_size": 8},
    "trl, 4 rows at once": {"per_device_train_batch_size": 4},
    "trl, padding-free": {"per_device_train_batch_size": 8, "padding_free": True},
}
"""All keep the rows of a step; `packing` would not."""


def real_rows():
    """Examples of the dialogues that Ada's author wrote: those that are trained, and those held out."""
    from data.build import make_dataset
    from data.inputs import read_input

    given = read_input("ada")
    rows = make_dataset(given, 0, {})[1].rows
    template = Base.resolve().template()
    real = ([row for row in rows[split] if row.is_real] for split in ("train", "validation"))
    return [encode_rows(split, given.card, template)[0] for split in real]


def save_base(folder, size):
    """Random weights behind the built-in base's tokenizer; how many of them, and how many products of a token they make."""
    usual = {"vocab_size": 6144, "max_position_embeddings": 2048, "bos_token_id": None}
    config = LlamaConfig(**usual | SIZES[size], eos_token_id=4, pad_token_id=0)
    torch.manual_seed(0)
    with DEVICE:
        model = AutoModelForCausalLM.from_config(config, dtype=parallel.compute_dtype("auto", DEVICE))
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(NANO_FOLDER / name, folder / name)
    linear = sum(part.weight.numel() for part in model.model.modules() if isinstance(part, torch.nn.Linear))
    parameters = model.num_parameters()
    del model
    if DEVICE.type == "cuda":
        torch.cuda.empty_cache()  # It is the children's turn.
    return parameters, linear


def settings_of(folder):
    return FinetuneSettings(model=str(folder / "base"), quantization="nf4", rank=16, alpha=32)


def load_model(folder):
    """The base in 4 bits with a fresh adapter in float32; guarded, so that trl too has right gradients on every CPU."""
    quiet_libraries()
    settings = settings_of(folder)
    dtype = parallel.compute_dtype("auto", DEVICE)
    return load(Base.resolve(settings.model), settings, DEVICE, dtype=dtype, holding=Holding("nf4")).model


def rate_at(number, steps):
    return rate("cosine", number, steps, PEAK_RATE)


def train_ours(model, examples, plan, folder, share):
    """Losses, trained and physical tokens of the steps, and when each had ended."""
    accelerator = parallel.start(settings_of(folder), folder)
    assert not share or shares_exactly(model)
    steps = loop.train(
        accelerator.prepare(model),
        examples,
        accelerator,
        [plan],
        loop.start(model, FinetuneSettings().forward_tokens),
        rate=lambda number: rate_at(number, len(plan)),
        share=share,
        seed=0,
        stop=threading.Event(),
    )
    done = [(step.loss, step.trained_tokens, step.physical_tokens, time.perf_counter()) for step in steps]
    return list(zip(*done, strict=True))


def train_peer(model, examples, plan, folder, setting):
    """The same figures of trl."""
    from datasets import Dataset

    # Within a step the order is free: neighbours of one length need little padding.
    rows = [row for step in plan for row in sorted(step, key=lambda row: len(examples[row].ids))]
    dataset = Dataset.from_list([{"input_ids": examples[row].ids, "labels": examples[row].labels} for row in rows])
    accumulated = len(plan[0]) // setting["per_device_train_batch_size"]
    setting = setting | {"gradient_accumulation_steps": accumulated}
    trainer, losses, ends = make_trainer(model, dataset, len(plan), folder, setting)
    collate, counts = trainer.data_collator, []

    def counted(rows):
        batch = collate(rows)
        counts.append((int((batch["labels"][:, 1:] != IGNORED).sum()), batch["input_ids"].numel()))
        return batch

    trainer.data_collator = counted
    torch.set_num_threads(parallel.threads_per_process())
    trainer.train()
    passes = len(counts) // len(plan)
    of_steps = [counts[first : first + passes] for first in range(0, len(counts), passes)]
    trained, physical = zip(*(map(sum, zip(*step, strict=True)) for step in of_steps), strict=True)
    return [losses, trained, physical, ends]


def make_trainer(model, dataset, steps, folder, setting):
    """An SFTTrainer of finished ids, in order, without recomputation; the lists that its losses and times will be in."""
    from trl import SFTConfig, SFTTrainer

    losses, ends = [], []

    class Watch(TrainerCallback):
        def on_step_end(self, *_, **__):
            if DEVICE.type == "cuda":
                torch.cuda.synchronize()
            ends.append(time.perf_counter())

        def on_log(self, *_, logs, **__):
            losses.extend([logs["loss"]] if "loss" in logs else [])

    args = SFTConfig(
        str(folder / "trl"),
        max_steps=steps,
        max_length=None,
        train_sampling_strategy="sequential",
        gradient_checkpointing=False,
        bf16=parallel.compute_dtype("auto", DEVICE) == torch.bfloat16,
        use_cpu=DEVICE.type == "cpu",
        dataloader_pin_memory=False,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        **setting,
    )
    parameters = [p for p in model.parameters() if p.requires_grad]
    adapter = [p.detach().clone() for p in parameters]
    optimizer = torch.optim.AdamW(parameters, lr=PEAK_RATE, weight_decay=0.0, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda done: rate_at(done + 1, steps) / PEAK_RATE)
    trainer = SFTTrainer(
        model,
        args,
        train_dataset=dataset,
        processing_class=AutoTokenizer.from_pretrained(folder / "base"),
        optimizers=(optimizer, schedule),
        callbacks=[Watch()],
    )
    for parameter, weight in zip(parameters, adapter, strict=True):
        parameter.data = weight  # trl has rounded the adapter to bfloat16
    return trainer, losses, ends


def contend(name, folder):
    """Train as one contender; its figures and its adapter are left in `folder`."""
    from safetensors.torch import save_file

    given = json.loads((folder / "rows.json").read_text())
    examples = [Example(*row) for row in given["train"]]
    if DEVICE.type == "cuda":
        torch.backends.cuda.enable_cudnn_sdp(False)  # For trl too: a plan for each new shape would only slow it down.
    model = load_model(folder)
    train, how = (train_ours, OURS[name]) if name in OURS else (train_peer, PEERS[name])
    losses, trained, physical, ends = train(model, examples, given["plan"], folder, how)
    figures = {"losses": losses, "trained": trained, "physical": physical, "ends": ends, "peak": peak_mebibytes()}
    (folder / f"{name}.json").write_text(json.dumps(figures))
    save_file(trained_weights(model), folder / f"{name}.safetensors")


def peak_mebibytes():
    """The most memory this process held, on the GPU where there is one; `ru_maxrss` would begin with the parent's."""
    if DEVICE.type == "cuda":
        return torch.cuda.max_memory_reserved() / 2**20
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


def judge(folder):
    """The held-out loss of every contender's adapter and of the fresh one, all by the same code."""
    from safetensors.torch import load_file

    accelerator = parallel.start(settings_of(folder), folder)
    model = accelerator.prepare(load_model(folder))
    held_out = [Example(*row) for row in json.loads((folder / "rows.json").read_text())["validation"]]
    rows = [HeldOut(row, (True,) * trained_tokens(row), 1) for row in held_out]
    losses = {}
    for name in ("fresh", *OURS, *PEERS):
        if name != "fresh":
            restore(model, load_file(folder / f"{name}.safetensors"))
        losses[name] = score(model, rows, accelerator, share=False).loss
    (folder / "judge.json").write_text(json.dumps(losses))


def race(folder, tokens):
    """Run all, one after the other, and print what was measured. `tokens` are the dialogues' own, step by step."""
    figures = {}
    print(f"{'':22} tokens/s  seconds a step  through the model  peak MiB", flush=True)
    for name in (*OURS, *PEERS):
        run(name, folder)
        found = figures[name] = json.loads((folder / f"{name}.json").read_text())
        seconds = found["ends"][-1] - found["ends"][0]
        found["speed"], found["physical_speed"] = sum(tokens[1:]) / seconds, sum(found["physical"][1:]) / seconds
        through = sum(found["physical"]) / sum(tokens)
        row = f"{found['speed']:8.0f}  {seconds / (len(tokens) - 1):14.2f}  {through:17.0%}  {found['peak']:8.0f}"
        print(f"{name:22} {row}", flush=True)
    run("judge", folder)
    return figures, json.loads((folder / "judge.json").read_text())


def run(name, folder):
    command = [sys.executable, __file__, "--part", name, "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{name}: {done.stderr}")


def compare(figures, held_out):
    """Print ours against trl's fastest setting, and whether the same was learned."""
    print(
        "\nloss of each step, and of held-out dialogues after the last (before the first: {:.4f})".format(
            held_out["fresh"]
        )
    )
    for name, found in figures.items():
        print(f"{name:22}", *(f"{loss:8.4f}" for loss in found["losses"]), f"{held_out[name]:12.4f}")
    fastest = max(PEERS, key=lambda name: figures[name]["speed"])
    theirs = figures[fastest]
    print(f"\nours / {fastest}, the fastest of trl's settings")
    for name, target in zip(OURS, (2.0, 1.1), strict=True):
        mine = figures[name]
        ratio, memory = mine["speed"] / theirs["speed"], mine["peak"] / theirs["peak"]
        apart = max(abs(a - b) for a, b in zip(mine["losses"], theirs["losses"], strict=True))
        final = abs(held_out[name] / held_out[fastest] - 1)
        print(f"{name:22} {ratio:.2f} times the tokens a second (target {target}), {memory:.2f} times the memory,")
        print(f"{'':22} losses of a step {apart:.4f} apart at most (0.01), held-out loss {final:.3%} (0.5 %)")


def show_share(figures, linear, peak):
    """What part of the GPU's peak our arithmetic is: 2 operations a weight and token forward, 2 backward.

    Frozen weights have no gradient, nothing is computed twice; attention, head and adapter are left out of the count.
    """
    for name in OURS:
        speed = figures[name]["physical_speed"]
        print(
            f"{name:22} {speed:.0f} tokens/s go through the model, {4 * linear * speed / peak / 1e12:.0%} of the peak"
        )


def main(steps, size, peak):
    train, validation = real_rows()
    per_step = ROWS_A_STEP[size]
    whole = plan_epoch([row.ids for row in train], seed=0, epoch=0, rows_per_step=per_step)
    plan = [step for step in whole if len(step) == per_step]
    plan = [plan[number % len(plan)] for number in range(steps + 1)]
    tokens = [sum(len(train[row].ids) for row in step) for step in plan]
    trained = [sum(trained_tokens(train[row]) for row in step) for step in plan]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        parameters, linear = save_base(folder / "base", size)
        splits = {"train": train, "validation": validation}
        rows = {name: [(each.id, each.ids, each.labels) for each in split] for name, split in splits.items()}
        (folder / "rows.json").write_text(json.dumps(rows | {"plan": plan}))
        on_gpu = DEVICE.type == "cuda"
        where = torch.cuda.get_device_name() if on_gpu else f"CPU, {parallel.threads_per_process()} threads"
        print(f"{parameters / 1e6:.1f} M parameters, nf4, LoRA of rank 16, {where}")
        print(f"{len(plan)} steps of {per_step} rows, {sum(tokens)} tokens, {sum(trained)} of them trained")
        figures, held_out = race(folder, tokens)
    assert all(found["trained"] == trained for found in figures.values()), "all train the same tokens"
    compare(figures, held_out)
    if on_gpu:
        show_share(figures, linear, peak)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--size", choices=SIZES, default="8B" if DEVICE.type == "cuda" else "98M")
    parser.add_argument("--peak", type=float, default=989.0)
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part == "judge":
        judge(given.folder)
    elif given.part:
        contend(given.part, given.folder)
    else:
        main(given.steps, given.size, given.peak)
