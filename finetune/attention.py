"""Attention over a row of segments: each sees the segments behind it and itself, and its neighbours cost it nothing.

The model's own attention computes every segment by itself, so the result is the one of separate examples.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import eager_mask, sdpa_mask

_MASKS: dict[str, Callable[..., Any]] = {"sdpa": sdpa_mask, "eager": eager_mask}
_PREFIX = "segments_"


@dataclass(frozen=True, slots=True)
class Block:
    """A segment in its row: `places` are (begin, end) of all that it sees, from the left, itself last."""

    places: tuple[tuple[int, int], ...]
    _masks: dict[tuple[Any, ...], torch.Tensor] = field(default_factory=dict, repr=False, compare=False)

    def mask(self, window: int | None, like: torch.Tensor) -> torch.Tensor:
        """What is added to the scores of its tokens, shape `(1, 1, tokens, seen)`; one tensor for all layers alike.

        A token sees what stands behind the segment and, of the segment, what stands to its left; in a layer with a
        window no further back than that.
        """
        key = (window, like.dtype, like.device)
        if key not in self._masks:
            self._masks[key] = self._mask(window, like)
        return self._masks[key]

    def _mask(self, window: int | None, like: torch.Tensor) -> torch.Tensor:
        tokens, total = self.places[-1][1] - self.places[-1][0], sum(end - begin for begin, end in self.places)
        own = torch.arange(total - tokens, total, device=like.device)[:, None]
        seen = torch.arange(total, device=like.device)[None, :]
        visible = seen <= own if window is None else (seen <= own) & (own - seen < window)
        # Rows begin at multiples of 16 numbers, or kernels of GPUs would make a copy for every layer.
        room = like.new_full((1, 1, tokens, -(-total // 16) * 16), torch.finfo(like.dtype).min)
        return room[..., :total].masked_fill_(visible, 0.0)


def attend(
    kind: str,
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    blocks: Sequence[Block] | None = None,
    **given: Any,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """An attention function of transformers, its `kind` "sdpa" or "eager", over blocks where there are any.

    `query`, `key` and `value` have the shape `(1, heads, tokens, size)`; what comes back has `(1, tokens, heads, size)`.
    """
    own: Callable[..., tuple[torch.Tensor, torch.Tensor | None]] = (
        _sdpa if kind == "sdpa" else sys.modules[type(module).__module__].eager_attention_forward
    )
    if blocks is None:
        if attention_mask is not None and attention_mask.shape[2:] == (1, 1) and query.shape[2] > 1:
            raise TypeError("the model keeps the blocks of a row from its attention")
        return own(module, query, key, value, attention_mask, **given)
    parts = []
    for block in blocks:
        begin, end = block.places[-1]
        seen = [_gathered(each, block.places) for each in (key, value)]
        window = given.get("sliding_window")
        # None stands for what is causal anyway.
        is_causal = kind == "sdpa" and len(block.places) == 1 and (window is None or end - begin <= window)
        mask = None if is_causal else block.mask(window, query)
        parts.append(own(module, query[:, :, begin:end], *seen, mask, **given)[0])
    return torch.cat(parts, 1), None


def _sdpa(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    **given: Any,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """transformers' own, with heads that share a key and value as the heads of a batch of their own.

    So the shared ones are seen from several heads without a copy for each, and every kernel takes them. Told of groups,
    torch 2.13 has but one fast kernel on GPUs, which needs compute capability 8.0, 16 bits, and not Windows.
    """
    batch, heads, tokens, _ = query.shape
    shared = key.shape[1]
    if heads == shared or tokens == 1 or (mask is not None and mask.shape[:2] != (1, 1)):
        return sdpa_attention_forward(module, query, key, value, mask, **given)

    def folded(states: torch.Tensor) -> torch.Tensor:
        return states.reshape(batch * shared, -1, *states.shape[2:])

    keys, values = (folded(each).expand(-1, heads // shared, -1, -1) for each in (key, value))
    given = {"is_causal": getattr(module, "is_causal", True)} | given
    made, _ = sdpa_attention_forward(_UNGROUPED, folded(query), keys, values, mask, **given)
    return made.unflatten(0, (batch, shared)).transpose(1, 2).flatten(2, 3), None


_UNGROUPED = torch.nn.Identity()
"""In the place of an attention layer, which would speak of its groups."""


def _gathered(states: torch.Tensor, places: Sequence[tuple[int, int]]) -> torch.Tensor:
    """The tokens at `places`, side by side: copied only where there are several pieces."""
    pieces = [states[:, :, begin:end] for begin, end in places]
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces, 2)


def use_segments(model: Any) -> bool:
    """Let `model` compute rows of segments from now on; False, and unchanged, where its attention cannot.

    Linear, convolutional and chunked layers see a row as it lies there; so do attentions that transformers cannot exchange.
    """
    text = model.config.get_text_config()
    kind = text._attn_implementation
    kinds = set(getattr(text, "layer_types", None) or ["full_attention"])
    if kind not in _MASKS or not kinds <= {"full_attention", "sliding_attention"}:
        return uses_segments(model)
    AttentionInterface.register(_PREFIX + kind, partial(attend, kind))
    AttentionMaskInterface.register(_PREFIX + kind, _MASKS[kind])
    model.set_attn_implementation(_PREFIX + kind)
    return uses_segments(model)


def uses_segments(model: Any) -> bool:
    """Whether `use_segments` has been here."""
    return bool(model.config.get_text_config()._attn_implementation.startswith(_PREFIX))


def forget_segments(model: Any) -> None:
    """Give `model` its own attention back."""
    model.set_attn_implementation(model.config.get_text_config()._attn_implementation.removeprefix(_PREFIX))
