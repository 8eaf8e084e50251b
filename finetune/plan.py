"""The plan before the run: the heaviest forward pass is tried first, and time and memory are reckoned from it."""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from finetune.loop import Position, gradients
from finetune.memory import gib
from finetune.packing import passes
from finetune.rows import trained_tokens
from persona.errors import PersonaError
from persona.prompt import Example

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator

    from finetune.training import Training

Plan = Sequence[Sequence[Sequence[int]]]
"""The rows of every step of every epoch."""

USUAL_BASES: Mapping[str, Mapping[str, int]] = {
    "0.6 B": {"parameters": 596_049_920, "linear": 440_401_920, "width": 630_784},
    "1.7 B": {"parameters": 1_720_574_976, "linear": 1_409_286_144, "width": 1_089_536},
    "4 B": {"parameters": 4_022_468_096, "linear": 3_633_315_840, "width": 2_064_384},
    "8 B": {"parameters": 8_190_735_360, "linear": 6_945_767_424, "width": 2_727_936},
    "14 B": {"parameters": 14_768_307_200, "linear": 13_212_057_600, "width": 4_014_080},
}
"""Numbers of Qwen3's bases (see `finetune.probe.size`), which those of other families of a size are close to."""


@dataclass(frozen=True, slots=True)
class Reckoning:
    """What a run will take: counts over its steps, seconds of them and of scoring, bytes of memory at the most.

    The steps are those after the ones that are `done`.
    """

    examples: int
    steps: int
    trained_tokens: int
    logical_tokens: int
    physical_tokens: int
    seconds: float
    memory_bytes: int
    forward_tokens: int
    scoring_seconds: float = 0.0
    done: int = 0

    def lines(self) -> list[str]:
        """The reckoning in words."""
        shared = 1 - self.physical_tokens / self.logical_tokens
        saved = f", {shared:.0%} fewer by computing shared prompts once" if shared > 0 else ""
        left = " to go" if self.done else ""
        return [
            f"{self.steps:,} steps{left}, {self.trained_tokens:,} trained tokens, {self.logical_tokens:,} with their "
            f"prompts; {self.physical_tokens:,} go through the model{saved}",
            f"about {in_words(self.seconds + self.scoring_seconds)}, {self.seconds / self.steps:.2f} s a step; "
            f"at least {gib(self.memory_bytes)} of memory",
        ]


def in_words(seconds: float) -> str:
    """A duration as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def rehearse(
    model: Any,
    examples: Sequence[Example],
    accelerator: "Accelerator",
    plan: Plan,
    position: Position,
    *,
    share: bool,
    done: int = 0,
) -> Reckoning:
    """Run the heaviest steps, forward and backward, so that memory fails now or never; no weight changes.

    They are the one with the forward pass that trains the most tokens, which have logits, and the one with the largest;
    beside them lies what the optimizer will hold. The passes of `position` are made smaller where memory asks for it.
    Times are reckoned by tokens.
    """
    steps = [rows for of_epoch in plan for rows in of_epoch]
    steps = steps[done:] or steps[-1:]
    works = [
        _work([examples[row] for row in rows], accelerator.num_processes, position.forward_tokens, share)
        for rows in steps
    ]
    numbers = range(len(works))
    most_logits = max(numbers, key=lambda number: works[number].trained_at_once)
    largest = max(numbers, key=lambda number: (works[number].tokens_at_once, works[number].tokens))
    # Two moments of each weight, and what AdamW works in.
    beside = [weight.new_ones(3 * weight.numel()) for weight in model.parameters() if weight.requires_grad]
    seconds = 0.0
    for number in (most_logits, largest):  # the first one warms up
        began = time.perf_counter()
        gradients(model, examples, accelerator, steps[number], position, share=share, seed=0)
        model.zero_grad(set_to_none=True)
        seconds = time.perf_counter() - began
    beside.clear()
    physical = sum(work.tokens for work in works)
    return Reckoning(
        examples=len(examples),
        steps=len(steps),
        trained_tokens=sum(work.trained for work in works),
        logical_tokens=sum(work.logical for work in works),
        physical_tokens=physical,
        seconds=seconds * physical / works[largest].tokens,
        memory_bytes=peak_memory_bytes(accelerator),
        forward_tokens=position.forward_tokens,
        done=done,
    )


@dataclass(frozen=True, slots=True)
class _Work:
    """A step's tokens: of its examples, trained ones, those that go through the model, and the most in one pass."""

    logical: int
    trained: int
    tokens: int
    tokens_at_once: int
    trained_at_once: int


def _work(examples: Sequence[Example], processes: int, budget: int, share: bool) -> _Work:
    numbers = range(len(examples))
    parts = (passes(examples, numbers[each::processes], budget, share=share) for each in range(processes))
    made = [one for part in parts for one in part]
    trained = [trained_tokens(example) for example in examples]
    return _Work(
        logical=sum(len(example.ids) for example in examples),
        trained=sum(trained),
        tokens=sum(one.tokens for one in made),
        tokens_at_once=max(one.tokens for one in made),
        trained_at_once=max(sum(trained[number] for number in one.examples) for one in made),
    )


def surroundings(training: "Training") -> Iterator[str]:
    """What the run needs of the disk, and what other bases would need of this device, in words.

    The need is what `persona doctor` reckons with. Raises `PersonaError` behind the first, on every
    process, where the disk is too small.
    """
    from finetune.callbacks import STATE_FOLDER
    from finetune.checks import FEWEST_TOKENS, STATE_BYTES, space
    from finetune.memory import needs
    from finetune.model import choose_quantization

    run, device = training.inputs.place.run, training.accelerator.device
    trained = sum(p.numel() for p in training.loaded.model.parameters() if p.requires_grad)
    there = sum(file.stat().st_size for file in (run / STATE_FOLDER).rglob("*") if file.is_file())
    disk = space(run, max(0, trained * STATE_BYTES - there), "a smaller base or --rank")
    yield f"disk: {disk.found}"
    if disk.status == "problem":
        raise PersonaError(f"There is no room for the run: {disk.found}.", fix=disk.fix)
    nf4 = choose_quantization("auto", device) == "nf4"
    number_bytes = 4 if training.loaded.dtype == "float32" else 2
    needed = {
        name: needs(size, nf4=nf4, number_bytes=number_bytes, rank=training.settings.rank).bytes(FEWEST_TOKENS)
        for name, size in USUAL_BASES.items()
    }
    said = f"other bases would need, with --forward-tokens {FEWEST_TOKENS}"
    yield f"{said}: {compared(needed, _free_memory(device))}"


def compared(needed: Mapping[str, float], free: float) -> str:
    """Bytes that bases need, by their size and growing, against those that are free, in words."""
    each = ", ".join(f"{gib(need)} for {size}" for size, need in needed.items())
    fitting = [size for size, need in needed.items() if need <= free]
    largest = f"{fitting[-1]} is the largest of these that fits" if fitting else "none of these fits"
    return f"{each} parameters; {gib(free)} are free, so {largest}"


def _free_memory(device: "torch.device") -> int:
    """Bytes on the device, with those that this process holds: another base would stand in the place of this one."""
    import psutil
    import torch

    from finetune.memory import main_memory

    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device)
    return main_memory()[0] + int(psutil.Process().memory_info().rss)


def with_scoring(training: "Training", reckoning: Reckoning, seconds: float) -> Reckoning:
    """The reckoning with what the held-out lines took once."""
    inputs, memory = training.inputs, peak_memory_bytes(training.accelerator)
    each_epoch = len(inputs.real) + len(inputs.synthetic)
    share = each_epoch / max(1, each_epoch + len(inputs.test))
    return replace(reckoning, memory_bytes=memory, scoring_seconds=seconds * share * len(training.plan))


def peak_memory_bytes(accelerator: "Accelerator") -> int:
    """The most memory this process held: on the GPU where it trains on one, else in main memory."""
    import torch

    if accelerator.device.type == "cuda":
        return int(torch.cuda.max_memory_allocated())
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
