"""The tensors of a forward pass, laid out from packed rows, and whether a base computes shared rows exactly."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from finetune.packing import Pack
from persona.prompt import IGNORED, Example

PADDING = -1


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows padded on the right: `input_ids` and `labels` have the shape `(rows, tokens)`.

    Without `segments` each row is one example, and no mask is needed: in a causal model nothing looks to the right,
    where the padding is. `segments`, of the same shape, are 0 in a row's shared prefix, the number of the dialogue from
    1 behind it, and `PADDING`; `position_ids` are the places that the tokens have in their own examples.
    """

    ids: tuple[str, ...]
    input_ids: torch.Tensor
    labels: torch.Tensor
    position_ids: torch.Tensor | None = None
    segments: torch.Tensor | None = None


def collate(examples: Sequence[Example], device: torch.device | str = "cpu") -> Batch:
    """A batch of examples by themselves."""
    return lay_out(examples, [Pack((row,), 0, len(example.ids)) for row, example in enumerate(examples)], device)


def lay_out(examples: Sequence[Example], packs: Sequence[Pack], device: torch.device | str = "cpu") -> Batch:
    """The batch whose rows are `packs` of `examples`. Padding is seen by nothing and never trained."""
    width = max(row.tokens for row in packs)
    rows = [_row(examples, row, width) for row in packs]
    ids, labels, positions, segments = (torch.tensor(each, device=device) for each in zip(*rows, strict=True))
    names = tuple(examples[number].id for row in packs for number in row.examples)
    shares = any(row.prefix for row in packs)
    return Batch(names, ids, labels, positions if shares else None, segments if shares else None)


def _row(examples: Sequence[Example], row: Pack, width: int) -> tuple[list[int], list[int], list[int], list[int]]:
    """Ids, labels, positions and segments of a row."""
    ids = list(examples[row.examples[0]].ids[: row.prefix])
    labels, positions, segments = [IGNORED] * row.prefix, list(range(row.prefix)), [0] * row.prefix
    for number, example in enumerate((examples[each] for each in row.examples), 1):
        ids += example.ids[row.prefix :]
        labels += example.labels[row.prefix :]
        positions += range(row.prefix, len(example.ids))
        segments += [number] * (len(example.ids) - row.prefix)
    missing = width - len(ids)
    return (
        ids + [0] * missing,
        labels + [IGNORED] * missing,
        positions + [0] * missing,
        segments + [PADDING] * missing,
    )


def attention_mask(segments: torch.Tensor, attention: str, dtype: torch.dtype) -> torch.Tensor:
    """What each token sees, in the shape `(rows, 1, tokens, tokens)`: itself and, before it, its prefix and its dialogue.

    True where it sees for scaled dot product attention; for `eager`, which adds the mask to the scores, 0 there and the
    lowest number elsewhere.
    """
    tokens = segments.shape[1]
    before = torch.ones(tokens, tokens, dtype=torch.bool, device=segments.device).tril()
    own = segments[:, :, None] == segments[:, None, :]
    seen = (before & (own | (segments == 0)[:, None, :]))[:, None]
    if attention != "eager":
        return seen
    return torch.zeros(seen.shape, dtype=dtype, device=segments.device).masked_fill(~seen, torch.finfo(dtype).min)


def shares_exactly(config: Any, longest: int) -> bool:
    """Whether rows with a shared prefix can be exact in a model of this configuration, for examples up to `longest` tokens.

    A mask of our own takes the place of a sliding window, so no example may reach beyond one; linear and chunked
    attention have no mask. Flash attention takes none either.
    """
    text = config.get_text_config()
    kinds = set(getattr(text, "layer_types", None) or ["full_attention"])
    window = getattr(text, "sliding_window", None) if getattr(text, "use_sliding_window", True) else None
    return (
        kinds <= {"full_attention", "sliding_attention"}
        and (window is None or longest <= window)
        and text._attn_implementation in ("sdpa", "eager")
    )
