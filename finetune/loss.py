"""Cross entropy of the trained tokens alone, through the model's own forward."""

from typing import Any

import torch
from torch.nn import functional

from finetune.batches import Batch, attention_mask
from persona.prompt import IGNORED


def token_losses(model: Any, batch: Batch) -> torch.Tensor:
    """Nats per trained token in float32, shape `(trained,)`, dialogue by dialogue in the order of the batch.

    The boolean `logits_to_keep` (transformers 5) makes the model compute only the logits that are needed, while its
    own scales, soft caps and hooks still apply. Logits at one place predict the label of the next.
    """
    targets = batch.labels[:, 1:]
    trained = targets != IGNORED
    shared = {}
    if batch.segments is not None:
        inner = getattr(model, "module", model)  # behind DistributedDataParallel
        mask = attention_mask(batch.segments, inner.config.get_text_config()._attn_implementation, inner.dtype)
        shared = {"attention_mask": mask, "position_ids": batch.position_ids}
    logits = model(
        input_ids=batch.input_ids,
        logits_to_keep=functional.pad(trained, (0, 1)),
        use_cache=False,
        **shared,
    ).logits
    return functional.cross_entropy(logits.float(), targets[trained], reduction="none")
