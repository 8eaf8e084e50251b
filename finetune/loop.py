"""The training loop, top to bottom: rows to gradients to the optimizer, with what happened after each step.

It knows no files, no screen and no model family: a caller iterates over what it yields, and may stop doing so.
"""

import contextlib
import hashlib
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from accelerate import Accelerator

from finetune.loss import token_losses
from finetune.parallel import summed
from finetune.rows import Batch, collate, plan_epoch, trained_tokens
from persona.errors import PersonaError
from persona.prompt import IGNORED, Example

CLIP_NORM = 1.0
WARM_UP = 0.05
LAST_RATE = 0.1


@dataclass(frozen=True, slots=True)
class Step:
    """One optimizer step, counted from 1: `loss` in nats per trained token over all processes, `seconds` it took."""

    number: int
    epoch: int
    loss: float
    gradient_norm: float
    learning_rate: float
    trained_tokens: int
    logical_tokens: int
    physical_tokens: int
    seconds: float
    ends_epoch: bool


class Stop(Protocol):
    """Tells that training should end after this step; a `threading.Event` is one."""

    def is_set(self) -> bool: ...


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Rate of step `step` of `steps`, both counted from 1: linear warm-up, then half a cosine down to a tenth."""
    warm_up = min(max(5, round(WARM_UP * steps)), max(1, steps // 4))
    if step <= warm_up:
        return peak * step / warm_up
    progress = (step - warm_up) / (steps - warm_up)
    return peak * (LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + math.cos(math.pi * progress)))


def train(
    model: Any,
    examples: Sequence[Example],
    accelerator: Accelerator,
    *,
    epochs: int,
    batch_size: int,
    gradient_accumulation: int,
    peak_rate: float,
    seed: int,
    stop: Stop,
) -> Iterator[Step]:
    """Train the parameters that require gradients, yielding after every step.

    `model` comes from `accelerator.prepare`. The loss of a step is the mean over the trained tokens of all its rows,
    whichever process and micro-step they fall in. Raises `PersonaError` with the rows' ids when it is not finite.
    Once `stop` is set on any process, all of them end after the same step.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=peak_rate, weight_decay=0.0)
    processes, rank = accelerator.num_processes, accelerator.process_index
    plans = [
        plan_epoch(
            [len(e.ids) for e in examples],
            seed=seed,
            epoch=epoch,
            batch_size=batch_size,
            batches_per_step=gradient_accumulation * processes,
        )
        for epoch in range(epochs)
    ]
    steps, number = sum(len(plan) for plan in plans), 0
    model.train()
    for epoch, plan in enumerate(plans, 1):
        for in_epoch, batches in enumerate(plan, 1):
            began, number = time.perf_counter(), number + 1
            rows = [examples[row] for batch in batches for row in batch]
            trained = sum(trained_tokens(example) for example in rows)
            rate = optimizer.param_groups[0]["lr"] = learning_rate(number, steps, peak_rate)
            loss_sum, physical = 0.0, 0
            guilty: list[str] = []
            micro_steps = math.ceil(len(batches) / processes)
            for micro in range(micro_steps):
                batch = _share(examples, batches, micro * processes + rank, accelerator.device)
                torch.manual_seed(_seed(seed, number, rank, micro))
                waits = micro + 1 < micro_steps
                with accelerator.no_sync(model) if waits else contextlib.nullcontext():
                    loss = token_losses(model, batch).sum()
                    # DistributedDataParallel averages over processes; the factor turns its mean into the sum.
                    accelerator.backward(loss * (processes / trained))
                loss_sum += float(loss.detach())
                guilty += [] if math.isfinite(loss_sum) or guilty else list(batch.ids)
                physical += batch.input_ids.numel()
            norm = float(accelerator.clip_grad_norm_(parameters, CLIP_NORM))
            loss_sum, physical_sum, stops = summed(accelerator, [loss_sum, physical, stop.is_set()])
            if not (math.isfinite(loss_sum) and math.isfinite(norm)):
                raise _not_finite(loss_sum / trained, norm, number, guilty or [row.id for row in rows])
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            yield Step(
                number=number,
                epoch=epoch,
                loss=loss_sum / trained,
                gradient_norm=norm,
                learning_rate=rate,
                trained_tokens=trained,
                logical_tokens=sum(len(example.ids) for example in rows),
                physical_tokens=int(physical_sum),
                seconds=time.perf_counter() - began,
                ends_epoch=in_epoch == len(plan),
            )
            if stops:
                return


def _share(examples: Sequence[Example], batches: Sequence[Sequence[int]], number: int, device: torch.device) -> Batch:
    """This process's batch; where the rows ran out, one that trains nothing, so that every process takes part."""
    if number < len(batches):
        return collate([examples[row] for row in batches[number]], device)
    spare = collate([examples[batches[0][0]]], device)
    return Batch(spare.ids, spare.input_ids, torch.full_like(spare.labels, IGNORED))


def _seed(*parts: int) -> int:
    """A seed that depends on every part, so that dropout needs no saved generator state."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:7], "big")


def _not_finite(loss: float, norm: float, step: int, rows: Sequence[str]) -> PersonaError:
    ids = ", ".join(dict.fromkeys(rows))
    return PersonaError(
        f"Training stopped at step {step}: the loss is {loss:g} and the gradient norm {norm:g}.",
        where=f"rows {ids}",
        fix="look at these rows; if they are sound, use a lower --learning-rate",
    )
