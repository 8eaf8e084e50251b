"""How well a model expects lines it was not trained on: sums over the rows, never their logits."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Any

import torch
from accelerate import Accelerator

from finetune.loss import token_losses
from finetune.parallel import summed
from finetune.rows import collate, trained_tokens
from persona.errors import PersonaError
from persona.prompt import IGNORED, Example
from persona.template import ChatTemplate

BATCH_SIZE = 16


@dataclass(frozen=True, slots=True)
class HeldOut:
    """An example to be scored: which of its trained tokens are text (not the end of a turn), and that text's bytes."""

    example: Example
    is_text: tuple[bool, ...]
    bytes: int


@dataclass(frozen=True, slots=True)
class Score:
    """Sums over held-out rows: nats and tokens of all trained tokens, nats and UTF-8 bytes of the replies' text."""

    nats: float
    tokens: int
    text_nats: float
    bytes: int

    @property
    def loss(self) -> float | None:
        """Nats per trained token, the ends of turns included; None where there are no rows."""
        return self.nats / self.tokens if self.tokens else None

    @property
    def bits_per_byte(self) -> float | None:
        """Bits per byte of reply text, without the ends of turns, which have no bytes: comparable between bases."""
        return self.text_nats / log(2) / self.bytes if self.bytes else None


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


@torch.no_grad()
def row_losses(model: Any, examples: Sequence[Example], accelerator: Accelerator) -> dict[str, float]:
    """Nats per trained token of every row by its id, the worst of its sequences; on this process alone."""
    inner = accelerator.unwrap_model(model)
    was_training = inner.training
    inner.eval()
    losses: dict[str, float] = {}
    by_length = sorted(examples, key=lambda example: len(example.ids))
    for first in range(0, len(by_length), BATCH_SIZE):
        batch = by_length[first : first + BATCH_SIZE]
        flat = token_losses(inner, collate(batch, accelerator.device)).double().cpu()
        for example, of_row in zip(batch, flat.split([trained_tokens(e) for e in batch]), strict=True):
            losses[example.id] = max(float(of_row.mean()), losses.get(example.id, 0.0))
    inner.train(was_training)
    return losses


@torch.no_grad()
def score(model: Any, rows: Sequence[HeldOut], accelerator: Accelerator) -> Score:
    """Score rows, shared out over the processes; afterwards the model trains again if it did before."""
    inner = accelerator.unwrap_model(model)
    was_training = inner.training
    inner.eval()
    by_length = sorted(rows, key=lambda row: len(row.example.ids))
    batches = [by_length[first : first + BATCH_SIZE] for first in range(0, len(by_length), BATCH_SIZE)]
    nats = tokens = text_nats = 0.0
    for batch in batches[accelerator.process_index :: accelerator.num_processes]:
        losses = token_losses(inner, collate([row.example for row in batch], accelerator.device)).double().cpu()
        is_text = torch.tensor([flag for row in batch for flag in row.is_text])
        nats += float(losses.sum())
        tokens += len(losses)
        text_nats += float(losses[is_text].sum())
        if not losses.isfinite().all():
            rows_of = ", ".join(row.example.id for row in batch)
            raise PersonaError(
                "A held-out loss is not a number.", where=f"rows {rows_of}", fix="a lower --learning-rate"
            )
    inner.train(was_training)
    nats, tokens, text_nats = summed(accelerator, [nats, tokens, text_nats])
    return Score(nats, int(tokens), text_nats, sum(row.bytes for row in rows))
