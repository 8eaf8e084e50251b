"""Cross entropy of the trained tokens alone, through the model's own forward."""

from typing import Any

import torch
from torch.nn import functional

from finetune.attention import uses_segments
from finetune.batches import Batch
from persona.prompt import IGNORED


def token_losses(model: Any, batch: Batch) -> torch.Tensor:
    """Nats per trained token in float32, shape `(trained,)`, dialogue by dialogue in the order of the batch.

    The boolean `logits_to_keep` (transformers 5) makes the model compute only the logits that are needed, while its
    own scales, soft caps and hooks still apply. Logits at one place predict the label of the next.
    """
    targets = batch.labels[:, 1:]
    trained = targets != IGNORED
    row = {}
    if batch.blocks:
        if not uses_segments(getattr(model, "module", model)):  # behind DistributedDataParallel
            raise ValueError("a row of segments, and a model whose attention knows none")
        # A mask of four dimensions keeps the model from making one: the blocks say what is seen, and this one is not read.
        unread = torch.zeros(1, 1, 1, 1, dtype=torch.bool, device=batch.input_ids.device)
        row = {"attention_mask": unread, "position_ids": batch.position_ids, "blocks": batch.blocks}
    logits = model(
        input_ids=batch.input_ids,
        logits_to_keep=functional.pad(trained, (0, 1)),
        use_cache=False,
        **row,
    ).logits
    return functional.cross_entropy(logits.float(), targets[trained], reduction="none")
