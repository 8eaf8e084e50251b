"""The plan before the run: the heaviest forward pass is tried first, and time and memory are reckoned from it."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from finetune.loop import Position, gradients
from finetune.packing import passes
from finetune.rows import trained_tokens
from persona.prompt import Example

if TYPE_CHECKING:
    from accelerate import Accelerator

Plan = Sequence[Sequence[Sequence[int]]]
"""The rows of every step of every epoch."""


@dataclass(frozen=True, slots=True)
class Reckoning:
    """What a run will take: counts over all epochs, seconds of all steps and of scoring, bytes of memory at the most."""

    examples: int
    steps: int
    trained_tokens: int
    logical_tokens: int
    physical_tokens: int
    seconds: float
    memory_bytes: int
    forward_tokens: int
    scoring_seconds: float = 0.0

    def lines(self) -> list[str]:
        """The reckoning in words."""
        shared = 1 - self.physical_tokens / self.logical_tokens
        saved = f", {shared:.0%} fewer by computing shared prompts once" if shared > 0 else ""
        return [
            f"{self.steps:,} steps, {self.trained_tokens:,} trained tokens, {self.logical_tokens:,} with their "
            f"prompts; {self.physical_tokens:,} go through the model{saved}",
            f"about {in_words(self.seconds + self.scoring_seconds)}, {self.seconds / self.steps:.2f} s a step; "
            f"{self.memory_bytes / 2**30:.1f} GiB of memory",
        ]


def in_words(seconds: float) -> str:
    """A duration as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def rehearse(
    model: Any, examples: Sequence[Example], accelerator: "Accelerator", plan: Plan, position: Position, *, share: bool
) -> Reckoning:
    """Run the step with the most tokens, forward and backward, so that memory fails now or never; no weight changes.

    The forward passes of `position` are made smaller where memory asks for it. Times are reckoned by tokens.
    """
    steps = [rows for of_epoch in plan for rows in of_epoch]
    sizes = [_tokens(examples, rows, accelerator.num_processes, position.forward_tokens, share) for rows in steps]
    heaviest = steps[max(range(len(steps)), key=sizes.__getitem__)]
    seconds = 0.0
    for _ in range(2):  # the first pass warms up
        began = time.perf_counter()
        gradients(model, examples, accelerator, heaviest, position, share=share, seed=0)
        model.zero_grad(set_to_none=True)
        seconds = time.perf_counter() - began
    return Reckoning(
        examples=len(examples),
        steps=len(steps),
        trained_tokens=sum(trained_tokens(examples[row]) for rows in steps for row in rows),
        logical_tokens=sum(len(examples[row].ids) for rows in steps for row in rows),
        physical_tokens=sum(sizes),
        seconds=seconds * sum(sizes) / max(sizes),
        memory_bytes=peak_memory_bytes(accelerator),
        forward_tokens=position.forward_tokens,
    )


def _tokens(examples: Sequence[Example], rows: Sequence[int], processes: int, budget: int, share: bool) -> int:
    """Tokens of a step that go through the model, padding included."""
    parts = (passes(examples, rows[each::processes], budget, share=share) for each in range(processes))
    return sum(one.tokens for part in parts for one in part)


def peak_memory_bytes(accelerator: "Accelerator") -> int:
    """The most memory this process held: on the GPU where it trains on one, else in main memory."""
    import torch

    if accelerator.device.type == "cuda":
        return int(torch.cuda.max_memory_allocated())
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
