"""The tensors of a forward pass."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from finetune.attention import Block
from finetune.packing import Pass, Segment
from persona.prompt import IGNORED, Example


@dataclass(frozen=True, slots=True)
class Batch:
    """`input_ids` and `labels` have the shape `(rows, tokens)`.

    Without `blocks` each row is one example, padded on the right: in a causal model nothing looks there, so no mask is
    needed. With them there is a single row; `position_ids` are the places that its tokens have in their own examples.
    """

    ids: tuple[str, ...]
    input_ids: torch.Tensor
    labels: torch.Tensor
    position_ids: torch.Tensor | None = None
    blocks: tuple[Block, ...] | None = None


def collate(examples: Sequence[Example], device: torch.device | str = "cpu") -> Batch:
    """A batch whose rows are these examples."""
    return lay_out(examples, Pass(tuple(range(len(examples))), (), 0), device)


def lay_out(examples: Sequence[Example], one: Pass, device: torch.device | str = "cpu") -> Batch:
    """The batch of a forward pass. Padding is seen by nothing and never trained."""
    names = tuple(examples[number].id for number in one.examples)
    if one.segments:
        return Batch(names, *_row(examples, one.segments, device), _blocks(one.segments))
    rows = [examples[number] for number in one.examples]
    width = max(len(row.ids) for row in rows)
    ids = [[*row.ids, *[0] * (width - len(row.ids))] for row in rows]
    labels = [[*row.labels, *[IGNORED] * (width - len(row.ids))] for row in rows]
    return Batch(names, torch.tensor(ids, device=device), torch.tensor(labels, device=device))


def _row(
    examples: Sequence[Example], segments: Sequence[Segment], device: torch.device | str
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ids, labels and positions of segments one behind the other, in the shape `(1, tokens)`."""
    ids: list[int] = []
    labels: list[int] = []
    positions: list[int] = []
    for each in segments:
        example = examples[each.example]
        ids += example.ids[each.start : each.stop]
        # What stands before a segment in the row is another's: nothing there predicts its first token.
        labels += [IGNORED, *example.labels[each.start + 1 : each.stop]]
        positions += range(each.start, each.stop)
    return tuple(torch.tensor([each], device=device) for each in (ids, labels, positions))  # type: ignore[return-value]


def _blocks(segments: Sequence[Segment]) -> tuple[Block, ...]:
    """Where each segment lies in the row, and what lies behind it."""
    places: list[tuple[int, int]] = []
    begin = 0
    for each in segments:
        places.append((begin, begin + each.stop - each.start))
        begin = places[-1][1]
    return tuple(
        Block((*(places[other] for other in each.behind), place)) for each, place in zip(segments, places, strict=True)
    )
