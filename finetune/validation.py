"""How well a model expects lines it was not trained on: sums over the rows, never their logits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple, TypeVar

import torch
from accelerate import Accelerator

from finetune.batches import lay_out
from finetune.encoded import OnAccess
from finetune.loss import token_losses
from finetune.packing import Pass, passes
from finetune.parallel import summed
from finetune.report import Score
from persona.errors import PersonaError
from persona.prompt import IGNORED, Example
from persona.template import ChatTemplate

FORWARD_TOKENS = 8_192
"""Twice the default of training: without gradients, twice as many tokens have room."""

POOL = 2_048
"""Examples among which neighbours are looked for, and which are held in memory together."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class HeldOut:
    """An example to be scored: which of its trained tokens are text (not the end of a turn), and that text's bytes."""

    example: Example
    is_text: tuple[bool, ...]
    bytes: int


def held_out(examples: Sequence[Example], template: ChatTemplate) -> Sequence[HeldOut]:
    """Find the replies in labels: a reply is a run of trained tokens, its end of turn the run's tail."""

    def row(number: int) -> HeldOut:
        example = examples[number]
        return HeldOut(example, *_text_of(example, template))

    return OnAccess(range(len(examples)), row)


def _text_of(example: Example, template: ChatTemplate) -> tuple[tuple[bool, ...], int]:
    is_text: list[bool] = []
    size = 0
    for reply in _replies(example):
        text = reply[: len(reply) - _closing(reply, template.end_of_turn)]
        is_text += [True] * len(text) + [False] * (len(reply) - len(text))
        size += len(template.decode(text).encode())
    return tuple(is_text), size


def _replies(example: Example) -> list[list[int]]:
    """The runs of trained tokens, ends of turns included."""
    trained = groupby(example.labels[1:], key=lambda label: label != IGNORED)
    return [list(labels) for is_trained, labels in trained if is_trained]


def _closing(run: Sequence[int], end_of_turn: Sequence[int]) -> int:
    """How many tokens at the end of a run close the turn."""
    return next((n for n in range(len(end_of_turn), 0, -1) if tuple(run[-n:]) == tuple(end_of_turn[:n])), 0)


class Worst(NamedTuple):
    """The reply of a row that is least probable: nats a token, and its words as they were trained."""

    loss: float
    reply: str


def worst_replies(
    model: Any,
    examples: Sequence[Example],
    accelerator: Accelerator,
    template: ChatTemplate,
    *,
    share: bool,
    forward_tokens: int = FORWARD_TOKENS,
) -> dict[str, Worst]:
    """The least probable reply of every example by the example's id; by all processes together."""
    found: dict[str, Worst] = {}
    sums = reply_sums(model, examples, accelerator, share=share, forward_tokens=forward_tokens)
    for example, of_replies in zip(examples, sums, strict=True):
        losses = [nats / tokens for nats, tokens in of_replies]
        worst = max(range(len(losses)), key=losses.__getitem__)
        if example.id not in found or found[example.id].loss < losses[worst]:
            run = _replies(example)[worst]
            words = template.decode(run[: len(run) - _closing(run, template.end_of_turn)])
            found[example.id] = Worst(losses[worst], words)
    return found


@torch.no_grad()
def reply_sums(
    model: Any,
    examples: Sequence[Example],
    accelerator: Accelerator,
    *,
    share: bool,
    forward_tokens: int = FORWARD_TOKENS,
) -> list[list[tuple[float, int]]]:
    """(nats, trained tokens) of every reply of every example, by all processes together."""
    inner = accelerator.unwrap_model(model)
    was_training = inner.training
    inner.eval()
    counts = [[len(reply) for reply in _replies(example)] for example in examples]
    nats = [[0.0] * len(each) for each in counts]
    for first, pool in _pools(examples):
        for numbers, losses in _losses(inner, pool, accelerator, share, forward_tokens):
            of_replies = iter(losses.split([count for number in numbers for count in counts[first + number]]))
            for number in numbers:
                nats[first + number] = [float(next(of_replies).sum()) for _ in counts[first + number]]
    inner.train(was_training)
    flat = iter(summed(accelerator, [each for of_row in nats for each in of_row]))
    return [[(next(flat), count) for count in each] for each in counts]


@torch.no_grad()
def score(
    model: Any,
    rows: Sequence[HeldOut],
    accelerator: Accelerator,
    *,
    share: bool,
    forward_tokens: int = FORWARD_TOKENS,
) -> Score:
    """Score rows, shared out over the processes; afterwards the model trains again if it did before."""
    inner = accelerator.unwrap_model(model)
    was_training = inner.training
    inner.eval()
    nats = tokens = text_nats = size = 0.0
    for _, pool in _pools(rows):
        size += sum(row.bytes for row in pool)
        examples = [row.example for row in pool]
        for numbers, losses in _losses(inner, examples, accelerator, share, forward_tokens):
            is_text = torch.tensor([flag for number in numbers for flag in pool[number].is_text])
            nats += float(losses.sum())
            tokens += len(losses)
            text_nats += float(losses[is_text].sum())
            if not losses.isfinite().all():
                where = f"rows {', '.join(pool[number].example.id for number in numbers)}"
                raise PersonaError("A held-out loss is not a number.", where=where, fix="a lower --learning-rate")
    inner.train(was_training)
    nats, tokens, text_nats = summed(accelerator, [nats, tokens, text_nats])
    return Score(nats, int(tokens), text_nats, int(size))


def _pools(rows: Sequence[T]) -> Iterator[tuple[int, Sequence[T]]]:
    """The rows, `POOL` of them at a time, each time with the number of the first."""
    for first in range(0, len(rows), POOL):
        yield first, list(rows[first : first + POOL])


def _losses(
    model: Any, examples: Sequence[Example], accelerator: Accelerator, share: bool, forward_tokens: int
) -> Iterator[tuple[Sequence[int], torch.Tensor]]:
    """This process's part of the examples: their numbers in the order of a pass, and nats of all trained tokens there.

    All processes make as many passes, since each may hold a part of the base: the last ones are spare for some.
    """
    rank, processes, numbers = accelerator.process_index, accelerator.num_processes, range(len(examples))
    parts = [passes(examples, numbers[each::processes], forward_tokens, share=share) for each in range(processes)]
    for place in range(max(map(len, parts))):
        is_spare = place >= len(parts[rank])
        one = parts[0][0] if is_spare else parts[rank][place]
        for numbers_of_pass, losses in _computed(model, examples, one, accelerator, share):
            if not is_spare:
                yield numbers_of_pass, losses


def _computed(
    model: Any, examples: Sequence[Example], one: Pass, accelerator: Accelerator, share: bool
) -> Iterator[tuple[Sequence[int], torch.Tensor]]:
    """A pass, or smaller ones where it has no memory: its numbers and losses."""
    try:
        losses = token_losses(model, lay_out(examples, one, accelerator.device)).double().cpu()
    except torch.OutOfMemoryError:
        if accelerator.num_processes > 1 or len(one.examples) == 1:
            raise
        losses = None
    if losses is not None:
        yield one.examples, losses
        return
    for smaller in passes(examples, one.examples, one.tokens // 2, share=share):
        yield from _computed(model, examples, smaller, accelerator, share)
