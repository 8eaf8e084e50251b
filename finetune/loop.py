"""The training loop, top to bottom: rows to gradients to the optimizer, with what happened after each step.

It knows no files, no screen and no model family: a caller iterates over what it yields, and may stop doing so.
"""

import contextlib
import hashlib
import math
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from peft.helpers import disable_input_dtype_casting

from finetune.batches import Batch, lay_out
from finetune.loss import computes_in, token_losses
from finetune.packing import Pass, passes
from finetune.parallel import average_gradients, summed
from finetune.rows import trained_tokens
from persona.errors import PersonaError
from persona.prompt import IGNORED, Example

CLIP_NORM = 1.0
FEWEST_TOKENS = 256
"""A forward pass that has no memory for so many tokens is not made smaller."""
LOSS_SCALE = 65536.0
"""At the start, for float16, whose smallest number is 6e-8: what torch's own scaler begins with."""
STEPS_TO_LARGER = 200
"""The scale doubles after so many steps without a change: a trial that fails costs one step in so many."""


@dataclass(frozen=True, slots=True)
class Step:
    """One optimizer step, counted from 1: `loss` in nats per trained token over all processes, `seconds` it took.

    `logical_tokens` are those of the examples, `physical_tokens` those that went through the model.
    """

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


class NotFinite(PersonaError):
    """A loss or a gradient is infinite or no number."""


class Stop(Protocol):
    """Tells that training should end after this step; a `threading.Event` is one."""

    def is_set(self) -> bool: ...


@dataclass(slots=True)
class Position:
    """Where training stands: what a resumed run needs beside the adapter's weights.

    There is no state of a random generator: all randomness is a function of seed, step, process and forward pass.
    """

    optimizer: torch.optim.Optimizer
    step: int = 0
    forward_tokens: int = 4_096
    """Tokens of a forward pass, padding included; halved, for good, where there is no memory for them."""
    loss_scale: float = 1.0
    """What losses are multiplied by for the backward pass, and gradients divided by after it, so that small gradients
    do not vanish in float16 (Micikevicius et al., 2018). A power of two, so that nothing is rounded; 1 is none."""
    steps_at_scale: int = 0
    """Steps since the scale last changed."""


def start(model: Any, forward_tokens: int) -> Position:
    """The beginning of a training."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=0.0, weight_decay=0.0)
    return Position(optimizer, 0, forward_tokens, LOSS_SCALE if computes_in(model) == torch.float16 else 1.0)


def train(
    model: Any,
    examples: Sequence[Example],
    accelerator: Accelerator,
    plan: Sequence[Sequence[Sequence[int]]],
    position: Position,
    *,
    rate: Callable[[int], float],
    share: bool,
    seed: int,
    stop: Stop,
) -> Generator[Step]:
    """Train the parameters that require gradients, from `position` on, yielding after every step.

    `model` comes from `accelerator.prepare`; `plan` has the rows of every step of every epoch; `rate` is the learning
    rate of a step. With `share` the common beginnings of a step's examples are computed once. The loss of a step is the
    mean over the trained tokens of all its rows, whichever process and forward pass they fall in. Raises `NotFinite`
    with the rows' ids when it is so. Once `stop` is set on any process, all of them end after the same step.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    steps = [
        (epoch, rows, place == len(of_epoch))
        for epoch, of_epoch in enumerate(plan, 1)
        for place, rows in enumerate(of_epoch, 1)
    ]
    model.train()
    for number, (epoch, rows, ends_epoch) in enumerate(steps[position.step :], position.step + 1):
        began = time.perf_counter()
        trained = sum(trained_tokens(examples[row]) for row in rows)
        for group in position.optimizer.param_groups:
            group["lr"] = rate(number)
        while True:
            done = gradients(model, examples, accelerator, rows, position, share=share, seed=_seed(seed, number))
            _unscale(parameters, position.loss_scale)
            norm = float(accelerator.clip_grad_norm_(parameters, CLIP_NORM))
            loss_sum, physical, stops = summed(accelerator, [done.loss_sum, done.tokens, stop.is_set()])
            if math.isfinite(norm) or not math.isfinite(loss_sum) or position.loss_scale == 1.0:
                break
            _scale_less(model, position)  # And the same step again, on all processes: their sums are the same.
        if not (math.isfinite(loss_sum) and math.isfinite(norm)):
            guilty = done.guilty or [examples[row].id for row in rows]
            raise _not_finite(loss_sum / trained, norm, number, guilty, computes_in(model))
        position.optimizer.step()
        position.optimizer.zero_grad(set_to_none=True)
        position.step = number
        _scale_more(position)
        yield Step(
            number=number,
            epoch=epoch,
            loss=loss_sum / trained,
            gradient_norm=norm,
            learning_rate=rate(number),
            trained_tokens=trained,
            logical_tokens=sum(len(examples[row].ids) for row in rows),
            physical_tokens=int(physical),
            seconds=time.perf_counter() - began,
            ends_epoch=ends_epoch,
        )
        if stops:
            return


@dataclass(slots=True)
class Gradients:
    """What this process's part of a step came to: the sum of its losses, the tokens computed, the ids of rows at fault."""

    loss_sum: float = 0.0
    tokens: int = 0
    guilty: list[str] = field(default_factory=list)


def gradients(
    model: Any,
    examples: Sequence[Example],
    accelerator: Accelerator,
    rows: Sequence[int],
    position: Position,
    *,
    share: bool,
    seed: int,
) -> Gradients:
    """Add up the gradient of a step's mean loss, in forward passes that memory has room for."""
    while True:
        try:
            return _forward_and_backward(model, examples, accelerator, rows, position, share, seed)
        except (torch.OutOfMemoryError, MemoryError) as error:
            failed = error.with_traceback(None)  # Its frames would keep what the pass had computed in memory.
        _make_smaller(model, accelerator, position, failed)


def _forward_and_backward(
    model: Any,
    examples: Sequence[Example],
    accelerator: Accelerator,
    rows: Sequence[int],
    position: Position,
    share: bool,
    seed: int,
) -> Gradients:
    rank, processes, budget = accelerator.process_index, accelerator.num_processes, position.forward_tokens
    trained = sum(trained_tokens(examples[row]) for row in rows)
    parts = [passes(examples, rows[each::processes], budget, share=share) for each in range(processes)]
    most = max(map(len, parts))
    done = Gradients()
    # PEFT would give its matrices inputs in their own float32, of which autocast makes 16 bits again: a copy for each.
    in_16_bits = computes_in(model).itemsize == 2
    for place in range(most):
        batch = _batch(examples, parts, rank, place, accelerator.device)
        torch.manual_seed(_seed(seed, rank, place))
        last = place + 1 == most
        with (
            contextlib.nullcontext() if last else accelerator.no_sync(model),
            disable_input_dtype_casting(model, in_16_bits),
        ):
            loss = token_losses(model, batch).sum()
            # Gradients are averaged over processes; the factor turns their mean into the sum.
            accelerator.backward(loss * (processes / trained * position.loss_scale))
        done.loss_sum += float(loss.detach())
        done.tokens += batch.input_ids.numel()
        if not math.isfinite(done.loss_sum) and not done.guilty:
            done.guilty = list(batch.ids)
    average_gradients(model, accelerator)
    return done


def _batch(
    examples: Sequence[Example], parts: Sequence[Sequence[Pass]], rank: int, place: int, device: torch.device
) -> Batch:
    """This process's forward pass; where it has no more rows, one that trains nothing, so that all take part."""
    if place < len(parts[rank]):
        return lay_out(examples, parts[rank][place], device)
    spare = lay_out(examples, parts[0][0], device)
    return Batch(spare.ids, spare.input_ids, torch.full_like(spare.labels, IGNORED), spare.position_ids, spare.blocks)


def _make_smaller(model: Any, accelerator: Accelerator, position: Position, error: BaseException) -> None:
    """Halve the forward passes after one that had no memory; raises `PersonaError` where that cannot help."""
    if accelerator.num_processes > 1 or position.forward_tokens < 2 * FEWEST_TOKENS:
        raise PersonaError(
            f"There is not enough memory for a forward pass of {position.forward_tokens:,} tokens.",
            where=str(accelerator.device),
            fix="--gradient-checkpointing, a smaller --forward-tokens, a shorter --context, or a smaller base",
        ) from error
    position.forward_tokens //= 2
    model.zero_grad(set_to_none=True)
    if accelerator.device.type == "cuda":
        torch.cuda.empty_cache()


def _unscale(parameters: Sequence[torch.nn.Parameter], scale: float) -> None:
    if scale != 1.0:
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad.div_(scale)


def _scale_less(model: Any, position: Position) -> None:
    """After a gradient that was too large for float16."""
    position.loss_scale, position.steps_at_scale = position.loss_scale / 2, 0
    model.zero_grad(set_to_none=True)


def _scale_more(position: Position) -> None:
    """Where the present scale has held for long."""
    if position.loss_scale == 1.0:
        return
    position.steps_at_scale += 1
    if position.steps_at_scale == STEPS_TO_LARGER:
        position.loss_scale, position.steps_at_scale = 2 * position.loss_scale, 0


def _seed(*parts: int) -> int:
    """A seed that depends on every part, so that dropout needs no saved generator state."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:7], "big")


def _not_finite(loss: float, norm: float, step: int, rows: Sequence[str], dtype: torch.dtype) -> NotFinite:
    ids = ", ".join(dict.fromkeys(rows))
    otherwise = " or --dtype float32: float16 ends at 65504" if dtype == torch.float16 else ""
    return NotFinite(
        f"Training stopped at step {step}: the loss is {loss:g} and the gradient norm {norm:g}.",
        where=f"rows {ids}",
        fix=f"look at these rows; if they are sound, use a lower --learning-rate{otherwise}",
    )
