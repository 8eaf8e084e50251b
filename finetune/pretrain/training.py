"""The training loop of the base: Muon and AdamW, a checkpoint now and then, and a log that a killed run continues.

Given the same seed, batches and machine, the losses are the same to the last digit, in one go or resumed.
"""

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors.torch import load_file, save_file

from finetune.pretrain.model import mean_loss
from persona.files import write_atomic

if TYPE_CHECKING:
    from torch import Tensor

MUON_RATE, ADAM_RATE = 0.02, 3e-3
WEIGHT_DECAY = 0.02
WARM_UP_STEPS, DECAY = 20, 0.4
CHECKPOINT_EVERY, SCORE_EVERY, PRINT_EVERY = 200, 250, 50
COMPILE_PAYS_AFTER = 100
"""Steps: compiling takes half a minute and makes each step a third faster."""

Batch = tuple["Tensor", "Tensor"]


def rate(step: int, steps: int) -> float:
    """Share of the full learning rate: a short warm-up, then flat, then down to zero over the last part."""
    return min(1.0, (step + 1) / WARM_UP_STEPS, (steps - step) / max(1.0, DECAY * steps))


def optimizers(model: Any) -> list[torch.optim.Optimizer]:
    """Muon (Jordan et al., 2024) for the matrices inside the layers, AdamW for embeddings and norms."""
    matrices = [p for p in model.model.layers.parameters() if p.ndim == 2]
    inside = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in inside]
    return [
        torch.optim.Muon(matrices, lr=MUON_RATE, weight_decay=WEIGHT_DECAY),
        torch.optim.AdamW(others, lr=ADAM_RATE, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def train(
    model: Any,
    batches: Iterator[Batch],
    steps: int,
    *,
    folder: Path,
    device: torch.device,
    score: Callable[[Any], float],
    stopped: Callable[[int], bool] = lambda step: False,
) -> list[dict[str, float]]:
    """Train from where `folder` left off, and return the log: `step`, `loss`, `seconds`, at times `bits_per_byte`.

    `stopped` is asked after every step; when it says yes, the state is saved and the log so far returned.
    """
    both = optimizers(model.to(device))
    full = [optimizer.param_groups[0]["lr"] for optimizer in both]
    done, log = _resume(model, both, folder)
    layers = torch.compile(model.model) if steps > COMPILE_PAYS_AFTER and _compiler() else model.model
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True, disable=not sys.stdout.isatty()) as bar:
        task = bar.add_task("training", total=steps, completed=done)
        began = time.monotonic() - (log[-1]["seconds"] if log else 0.0)
        for step, (ids, labels) in enumerate(islice(batches, done, steps), done):
            model.train()
            loss = mean_loss(model, layers, ids.to(device), labels.to(device))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer, peak in zip(both, full, strict=True):
                optimizer.param_groups[0]["lr"] = peak * rate(step, steps)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            entry = {"step": step + 1, "loss": loss.item(), "seconds": time.monotonic() - began}
            if (step + 1) % SCORE_EVERY == 0 or step + 1 == steps:
                entry["bits_per_byte"] = score(model)
            log.append(entry)
            bar.update(task, advance=1, description=f"loss {entry['loss']:.3f}")
            if (step + 1) % PRINT_EVERY == 0 or "bits_per_byte" in entry:
                print(_line(log, steps), flush=True)  # rich shows it above the bar
            stop = stopped(step + 1)
            if (step + 1) % CHECKPOINT_EVERY == 0 or step + 1 == steps or stop:
                _save(model, both, log, folder)
            if stop:
                break
    return log


def _line(log: list[dict[str, float]], steps: int) -> str:
    recent = [entry["loss"] for entry in log[-PRINT_EVERY:]]
    seconds = (log[-1]["seconds"] - log[-len(recent)]["seconds"]) / max(1, len(recent) - 1)
    scored = f"  held out {log[-1]['bits_per_byte']:.4f} bits a byte" if "bits_per_byte" in log[-1] else ""
    return f"step {len(log):5d}/{steps}  loss {sum(recent) / len(recent):.4f}{scored}  {seconds:.2f} s a step"


def _compiler() -> bool:
    """Whether torch.compile can work here: on a CPU it writes C++."""
    return any(shutil.which(name) for name in ("g++", "clang++", "c++"))


def _state(model: Any, both: list[torch.optim.Optimizer]) -> dict[str, "Tensor"]:
    """Weights and moments by name, as tensors that share no memory."""
    names = {id(p): name for name, p in model.named_parameters()}
    state = {f"weight.{name}": p.detach() for name, p in model.named_parameters()}
    for optimizer in both:
        for p, moments in optimizer.state.items():
            for key, value in moments.items():
                state[f"{key}.{names[id(p)]}"] = torch.as_tensor(value)
    return {name: value.contiguous() for name, value in state.items()}


def _save(model: Any, both: list[torch.optim.Optimizer], log: list[dict[str, float]], folder: Path) -> None:
    """The state first, then the log that points to it: a run that is killed between the two resumes from the older one."""
    name = f"state-{len(log)}.safetensors"
    temporary = folder / f".{name}"
    save_file(_state(model, both), temporary)
    temporary.replace(folder / name)
    write_atomic(folder / "log.jsonl", "".join(json.dumps(entry) + "\n" for entry in log))
    for old in folder.glob("state-*.safetensors"):
        if old.name != name:
            old.unlink()


def _resume(model: Any, both: list[torch.optim.Optimizer], folder: Path) -> tuple[int, list[dict[str, float]]]:
    """Steps done and their log; 0 and nothing where the folder holds no state."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "log.jsonl"
    log = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    state = folder / f"state-{len(log)}.safetensors"
    if not log or not state.exists():
        return 0, []
    tensors = load_file(state, device=str(model.device))
    parameters = dict(model.named_parameters())
    for name, p in parameters.items():
        p.data.copy_(tensors[f"weight.{name}"])
    names = {id(p): name for name, p in parameters.items()}
    for optimizer in both:
        for group in optimizer.param_groups:
            for p in group["params"]:
                keys = (
                    ("momentum_buffer",)
                    if isinstance(optimizer, torch.optim.Muon)
                    else ("step", "exp_avg", "exp_avg_sq")
                )
                optimizer.state[p] = {key: tensors[f"{key}.{names[id(p)]}"] for key in keys}
    return len(log), log
