"""The architecture of the base, and two operations that a CPU does faster this way.

transformers' Llama is used as it is; attention is registered with it, and the loss takes its last hidden states.
"""

import math
from typing import TYPE_CHECKING, Any

import torch
from transformers import AttentionInterface, LlamaConfig, LlamaForCausalLM

from finetune.pretrain.tokenizer import CONTEXT, END_ID, PAD_ID, VOCABULARY
from persona.prompt import IGNORED

if TYPE_CHECKING:
    from torch import Tensor

ARCHITECTURE: dict[str, Any] = {
    "hidden_size": 320,
    "intermediate_size": 768,
    "num_hidden_layers": 6,
    "num_attention_heads": 5,
    "num_key_value_heads": 1,
    "tie_word_embeddings": True,
}
"""All sizes are multiples of 64: bitsandbytes' fast 4-bit path on CPUs needs that."""

_QUERY_BLOCK = 256
_LOSS_BLOCK = 512


def new_model(seed: int) -> LlamaForCausalLM:
    """The architecture with random weights; the projections back into the residual stream begin small (GPT-2)."""
    AttentionInterface.register("blocked", blocked_attention)
    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            max_position_embeddings=CONTEXT,
            bos_token_id=None,
            eos_token_id=END_ID,
            pad_token_id=PAD_ID,
            **ARCHITECTURE,
        )
    )
    small = 0.02 / math.sqrt(2 * model.config.num_hidden_layers)
    for layer in model.model.layers:
        torch.nn.init.normal_(layer.self_attn.o_proj.weight, std=small)
        torch.nn.init.normal_(layer.mlp.down_proj.weight, std=small)
    return model


class _BlockAttention(torch.autograd.Function):
    """Softmax attention of a block of queries, with the probabilities kept for the way back.

    torch's own kernel for CPUs recomputes them and took 43 ms a layer for 8 x 512 tokens and 4 heads of 64, this one 13
    (one core with AVX512-BF16).
    """

    @staticmethod
    def forward(ctx: Any, q: "Tensor", k: "Tensor", v: "Tensor", mask: "Tensor", scale: float) -> "Tensor":
        p = torch.softmax(torch.baddbmm(mask, q, k.transpose(1, 2), alpha=scale), -1)
        ctx.save_for_backward(q, k, v, p)
        ctx.scale = scale
        return p @ v

    @staticmethod
    def backward(ctx: Any, *gradients: "Tensor") -> tuple["Tensor | None", ...]:
        (g,) = gradients
        q, k, v, p = ctx.saved_tensors
        scores = torch._softmax_backward_data(g @ v.transpose(1, 2), p, -1, p.dtype).mul_(ctx.scale)
        return scores @ k, scores.transpose(1, 2) @ q, p.transpose(1, 2) @ g, None, None


def blocked_attention(
    module: Any, query: "Tensor", key: "Tensor", value: "Tensor", attention_mask: object, scaling: float, **_: object
) -> tuple["Tensor", None]:
    """Causal attention in bfloat16 without padding, `(batch, heads, tokens, size)` to `(batch, tokens, heads, size)`."""
    batch, heads, tokens, size = query.shape
    groups = heads // key.shape[1]
    q, k, v = (x.to(torch.bfloat16) for x in (query, key, value))
    k, v = (x.repeat_interleave(groups, 1).reshape(-1, tokens, size) for x in (k, v))
    q = q.reshape(-1, tokens, size)
    mask = torch.full((1, tokens, tokens), -1e4, dtype=q.dtype, device=q.device).triu(1)
    blocks = []
    for start in range(0, tokens, _QUERY_BLOCK):
        end = start + _QUERY_BLOCK
        seen = (k[:, :end], v[:, :end], mask[:, start:end, :end])
        blocks.append(_BlockAttention.apply(q[:, start:end].contiguous(), *seen, scaling))
    return torch.cat(blocks, 1).reshape(batch, heads, tokens, size).transpose(1, 2).contiguous(), None


class _HeadLoss(torch.autograd.Function):
    """Mean cross entropy of the output head, block by block: the logits of a batch never stand in memory at once.

    The gradients are computed on the way forward, as in Liger Kernel (Hsu et al., 2024, arXiv:2410.10989).
    """

    @staticmethod
    def forward(ctx: Any, hidden: "Tensor", weight: "Tensor", labels: "Tensor") -> "Tensor":
        w = weight.to(hidden.dtype)
        to_hidden, to_weight = torch.empty_like(hidden), torch.zeros_like(weight, dtype=torch.float32)
        kept = labels != IGNORED
        count, total = kept.sum(), torch.zeros((), device=hidden.device)
        for start in range(0, len(hidden), _LOSS_BLOCK):
            part = slice(start, start + _LOSS_BLOCK)
            x, target = hidden[part], labels[part].clamp_min(0)[:, None]
            logits = (x @ w.T).float()
            log_sum = logits.logsumexp(-1)
            total += ((log_sum - logits.gather(1, target)[:, 0]) * kept[part]).sum()
            p = logits.sub_(log_sum[:, None]).exp_().scatter_add_(1, target, torch.full_like(logits[:, :1], -1.0))
            g = (p * (kept[part] / count)[:, None]).to(hidden.dtype)
            to_hidden[part] = g @ w
            to_weight += (g.T @ x).float()
        ctx.save_for_backward(to_hidden, to_weight)
        return total / count

    @staticmethod
    def backward(ctx: Any, *gradients: "Tensor") -> tuple["Tensor | None", ...]:
        (g,) = gradients
        to_hidden, to_weight = ctx.saved_tensors
        return to_hidden * g, to_weight * g, None


def mean_loss(model: Any, layers: Any, ids: "Tensor", labels: "Tensor") -> "Tensor":
    """Nats a token over the labels `(batch, tokens)` that are not `IGNORED`; `labels[i]` follows `ids[i]`.

    `layers` is the model's body, compiled or not. The embedding stays outside of it: compiled for a CPU, its gradient
    is summed in whatever order the threads come, and no two runs are the same.
    """
    with torch.autocast(ids.device.type, torch.bfloat16):
        embedded = model.model.embed_tokens(ids)
        hidden = layers(inputs_embeds=embedded, use_cache=False).last_hidden_state.to(torch.bfloat16)
        return _HeadLoss.apply(hidden.reshape(-1, hidden.shape[-1]), model.lm_head.weight, labels.reshape(-1))
