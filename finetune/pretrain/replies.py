"""Bits per byte of replies: how surprised a base is by what people really answered.

bits of the replies, given the system message and the true history / their UTF-8 bytes; the end of turn is not counted
"""

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from finetune.pretrain.corpora import Document
from finetune.pretrain.views import plain_view
from persona.conversation import Conversation, Message
from persona.prompt import IGNORED, encode
from persona.template import ChatTemplate

ROWS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class BitsPerByte:
    """`bits` over `size` bytes of `replies`; `known` more stood verbatim in training and were left out."""

    bits: float
    size: int
    replies: int
    known: int

    @property
    def value(self) -> float:
        """Bits a byte."""
        return self.bits / max(1, self.size)


@dataclass(frozen=True, slots=True)
class Row:
    """Ids `(tokens,)`, and as labels the replies that count, of `size` bytes."""

    ids: Sequence[int]
    labels: Sequence[int]
    size: int
    replies: int
    known: int


def views_of(documents: Iterable[Document]) -> Iterator[list[Message]]:
    """Every dialogue twice: each speaker is the character once."""
    for document in documents:
        for speaker in range(2):
            yield plain_view(document, speaker)


def key_of(text: str) -> str:
    """What makes two lines the same."""
    return " ".join(text.lower().split())


def known_lines(documents: Iterable[Document]) -> set[str]:
    """The `key_of` of every line of these documents, with the names that `plain_view` gives."""
    return {key_of(m.content) for view in views_of(documents) for m in view if m.role != "system"}


def rows_of(messages: Sequence[Message], template: ChatTemplate, known: Collection[str] = ()) -> list[Row]:
    """The conversation as it would be trained, with the end of turn and the replies that `known` has taken out.

    A conversation that does not fit the context gives nothing.
    """
    skipped: list[str] = []
    examples = encode(Conversation(tuple(messages), "", lore=False), None, template, on_skip=skipped.append)
    replies = iter(m.content.strip() for m in messages if m.role == "assistant")
    rows = []
    for example in [] if skipped else examples:
        labels = list(example.labels)
        size = counted = left_out = 0
        for start, end in _runs(labels):
            text = next(replies)
            labels[end - len(template.end_of_turn) : end] = [IGNORED] * len(template.end_of_turn)
            if key_of(text) in known:
                labels[start:end] = [IGNORED] * (end - start)
                left_out += 1
            else:
                size, counted = size + len(text.encode()), counted + 1
        rows.append(Row(example.ids, labels, size, counted, left_out))
    return rows


def last_reply(row: Row) -> Row:
    """The row with its last reply alone as labels."""
    start = _runs(row.labels)[-1][0]
    return replace(row, labels=[IGNORED] * start + list(row.labels[start:]))


def _runs(labels: Sequence[int]) -> list[tuple[int, int]]:
    """Where each stretch of labels begins and ends."""
    edges = [place for place in range(len(labels) + 1) if _trained(labels, place) != _trained(labels, place - 1)]
    return list(zip(edges[::2], edges[1::2], strict=True))


def _trained(labels: Sequence[int], place: int) -> bool:
    return 0 <= place < len(labels) and labels[place] != IGNORED


def bits_per_byte(
    model: Any, views: Iterable[Sequence[Message]], template: ChatTemplate, known: Collection[str] = ()
) -> BitsPerByte:
    """Over all replies of the views; `known` holds the `key_of` of lines that do not count."""
    rows = [row for messages in views for row in rows_of(messages, template, known)]
    nats = sum(sum(losses) for losses in losses_of(model, rows))
    counts = (sum(row.size for row in rows), sum(row.replies for row in rows), sum(row.known for row in rows))
    return BitsPerByte(nats / math.log(2), *counts)


def losses_of(model: Any, rows: Sequence[Row]) -> list[list[float]]:
    """Nats of every label that counts, for each row in its place; rows of like length are run together."""
    model.eval()
    losses: list[list[float]] = [[] for _ in rows]
    order = sorted(range(len(rows)), key=lambda place: len(rows[place].ids))
    for start in range(0, len(order), ROWS_AT_ONCE):
        places = order[start : start + ROWS_AT_ONCE]
        longest = max(len(rows[place].ids) for place in places)
        ids = torch.zeros((len(places), longest), dtype=torch.long)
        labels = torch.full((len(places), longest), IGNORED)
        for row, place in enumerate(places):
            ids[row, : len(rows[place].ids)] = torch.tensor(rows[place].ids)
            labels[row, : len(rows[place].ids)] = torch.tensor(rows[place].labels)
        after = labels[:, 1:].to(model.device)
        kept = after != IGNORED
        with torch.no_grad():  # causal attention never looks at the padding behind a row
            hidden = model.model(input_ids=ids.to(model.device), use_cache=False).last_hidden_state[:, :-1][kept]
            each = torch.nn.functional.cross_entropy(model.lm_head(hidden).float(), after[kept], reduction="none")
        for place, part in zip(places, each.cpu().split(kept.sum(1).tolist()), strict=True):
            losses[place] = part.tolist()
    return losses
