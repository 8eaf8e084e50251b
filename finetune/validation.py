"""How well a model expects lines it was not trained on: sums over the rows, never their logits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator

from finetune.batches import Batch, lay_out
from finetune.loss import token_losses
from finetune.packing import passes
from finetune.parallel import summed
from finetune.report import Score
from finetune.rows import trained_tokens
from persona.errors import PersonaError
from persona.prompt import IGNORED, Example
from persona.template import ChatTemplate

FORWARD_TOKENS = 8_192
"""Without gradients, twice what training takes at once."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """An example to be scored: which of its trained tokens are text (not the end of a turn), and that text's bytes."""

    example: Example
    is_text: tuple[bool, ...]
    bytes: int


def held_out(examples: Sequence[Example], template: ChatTemplate) -> list[HeldOut]:
    """Find the replies in labels: a reply is a run of trained tokens, its end of turn the run's tail."""
    return [HeldOut(example, *_text_of(example, template)) for example in examples]


def _text_of(example: Example, template: ChatTemplate) -> tuple[tuple[bool, ...], int]:
    is_text: list[bool] = []
    size = 0
    run: list[int] = []
    for label in [*example.labels[1:], IGNORED]:
        if label != IGNORED:
            run.append(label)
        elif run:
            text = run[: len(run) - _closing(run, template.end_of_turn)]
            is_text += [True] * len(text) + [False] * (len(run) - len(text))
            size += len(template.decode(text).encode())
            run = []
    return tuple(is_text), size


def _closing(run: Sequence[int], end_of_turn: Sequence[int]) -> int:
    """How many tokens at the end of a run close the turn."""
    return next((n for n in range(len(end_of_turn), 0, -1) if tuple(run[-n:]) == tuple(end_of_turn[:n])), 0)


def row_losses(model: Any, examples: Sequence[Example], accelerator: Accelerator, *, share: bool) -> dict[str, float]:
    """Nats per trained token of every row by its id, the worst of its sequences; on this process alone."""
    losses: dict[str, float] = {}
    for number, (nats, tokens) in row_sums(model, examples, accelerator, share=share).items():
        id = examples[number].id
        losses[id] = max(nats / tokens, losses.get(id, 0.0))
    return losses


@torch.no_grad()
def row_sums(
    model: Any, examples: Sequence[Example], accelerator: Accelerator, *, share: bool
) -> dict[int, tuple[float, int]]:
    """(nats, trained tokens) of every example by its number, on this process alone."""
    inner = accelerator.unwrap_model(model)
    was_training = inner.training
    inner.eval()
    sums: dict[int, tuple[float, int]] = {}
    for numbers, batch in _batches(examples, accelerator.device, share):
        flat = token_losses(inner, batch).double().cpu()
        counts = [trained_tokens(examples[number]) for number in numbers]
        for number, of_row in zip(numbers, flat.split(counts), strict=True):
            sums[number] = float(of_row.sum()), len(of_row)
    inner.train(was_training)
    return sums


@torch.no_grad()
def score(model: Any, rows: Sequence[HeldOut], accelerator: Accelerator, *, share: bool) -> Score:
    """Score rows, shared out over the processes; afterwards the model trains again if it did before."""
    inner = accelerator.unwrap_model(model)
    was_training = inner.training
    inner.eval()
    nats = tokens = text_nats = 0.0
    mine = rows[accelerator.process_index :: accelerator.num_processes]
    for numbers, batch in _batches([row.example for row in mine], accelerator.device, share):
        losses = token_losses(inner, batch).double().cpu()
        is_text = torch.tensor([flag for number in numbers for flag in mine[number].is_text])
        nats += float(losses.sum())
        tokens += len(losses)
        text_nats += float(losses[is_text].sum())
        if not losses.isfinite().all():
            raise PersonaError(
                "A held-out loss is not a number.", where=f"rows {', '.join(batch.ids)}", fix="a lower --learning-rate"
            )
    inner.train(was_training)
    nats, tokens, text_nats = summed(accelerator, [nats, tokens, text_nats])
    return Score(nats, int(tokens), text_nats, sum(row.bytes for row in rows))


def _batches(examples: Sequence[Example], device: torch.device, share: bool) -> Iterator[tuple[list[int], Batch]]:
    """Every example once: their numbers in the order in which they lie in the batch, and the batch."""
    for one in passes(examples, range(len(examples)), FORWARD_TOKENS, share=share):
        yield list(one.examples), lay_out(examples, one, device)
