"""Whether a base computes rows with shared prompts exactly: tried, not believed."""

from typing import Any

import torch

from finetune.attention import forget_segments, use_segments
from finetune.batches import collate, lay_out
from finetune.loss import token_losses
from finetune.packing import GRAIN, passes
from persona.prompt import IGNORED, Example

LARGEST_DIFFERENCE = 0.1
"""Nats, on average: in bfloat16, with the built-in base, another order of additions moves losses by 0.004 (0.1 at most)."""


@torch.no_grad()
def shares_exactly(model: Any) -> bool:
    """Whether a few examples have the same losses in a row of segments as alone; if so, `model` now takes such rows."""
    base = getattr(model, "get_base_model", lambda: model)()
    if not use_segments(base):
        return False
    was_training = model.training
    model.eval()
    examples = _examples(model.config.get_text_config().vocab_size)
    device = next(model.parameters()).device
    (together,) = passes(examples, range(len(examples)), 10 * GRAIN, share=True)
    try:
        shared = token_losses(model, lay_out(examples, together, device))
        alone = torch.cat([token_losses(model, collate([examples[each]], device)) for each in together.examples])
        exact = float((shared - alone).abs().mean()) <= LARGEST_DIFFERENCE
    except torch.OutOfMemoryError:
        raise
    except (TypeError, ValueError, RuntimeError):
        exact = False
    model.train(was_training)
    if not exact:
        forget_segments(base)
    return exact


def _examples(vocabulary: int) -> list[Example]:
    """Two that begin alike, and one that does not."""
    ids = [tuple((start + 7 * place) % vocabulary for place in range(2 * GRAIN)) for start in (3, 4)]
    made = [ids[0], (*ids[0][: GRAIN + 1], *ids[1][GRAIN + 1 :]), ids[1]]
    return [Example("probe", each, (IGNORED,) * (GRAIN + 2) + each[GRAIN + 2 :]) for each in made]
