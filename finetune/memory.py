"""What training takes of a device's memory, reckoned before anything is loaded, and how the base is held to fit it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

NF4_BYTES = 0.52
"""Bytes a parameter: 4 bits, and scales of 8 bits for every 64 of them (double quantization)."""
LORA_BYTES = 16
"""Bytes a trained parameter: weight, gradient and two moments in float32."""
ACTIVATIONS = 1.5
"""Numbers kept for the backward pass, for each token, by the inputs and outputs of its linear layers.

Counted with torch's saved_tensors_hooks: 1.0 to 1.6 for Llama, Qwen3 and Gemma 3 shapes in float32 and bfloat16, and
1.2 to 1.7 where ten segments of 96 tokens look back at 512 shared ones.
"""
LIBRARIES_BYTES = 2**30
"""torch, transformers, peft and bitsandbytes in memory, and what they work in."""
RECKONED = 0.9
"""Share of the real need that `needs` knows of: logits of the trained tokens and gaps between tensors come on top."""

Held = Literal["nf4", "none"]


@dataclass(frozen=True, slots=True)
class Needs:
    """Bytes that training takes: `fixed` whatever is trained on, and `per_token` of a forward pass."""

    fixed: float
    per_token: float

    def bytes(self, forward_tokens: int) -> float:
        """Of a run whose forward passes have so many tokens."""
        return self.fixed + forward_tokens * self.per_token


@dataclass(frozen=True, slots=True)
class Holding:
    """How the frozen base is held, and why in half a sentence: empty where nothing was left to choose."""

    quantization: Held
    why: str = ""


def needs(size: Mapping[str, int], *, nf4: bool, number_bytes: int, rank: int) -> Needs:
    """Reckoned from the numbers of the base (see `finetune.probe.size`); `number_bytes` as the base computes.

    --gradient-checkpointing needs less: who asks for it has no room, and is better off with 4 bits than with a guess.
    """
    rest = size["parameters"] - size["linear"]
    weights = size["linear"] * (NF4_BYTES if nf4 else number_bytes) + rest * number_bytes
    lora = rank * size["width"] * LORA_BYTES
    return Needs(weights + lora + LIBRARIES_BYTES, ACTIVATIONS * size["width"] * number_bytes)


def choose_holding(
    size: Mapping[str, int],
    device: str,
    free: float,
    *,
    refused: str,
    number_bytes: int,
    rank: int,
    forward_tokens: int,
) -> Holding:
    """What `--quantization auto` means on a type of `device` with `free` bytes, where 4 bits work or are `refused`.

    On a GPU, the whole base where it has room beside its activations: nothing is rounded, and no weight is unpacked in
    every layer of every pass. Elsewhere 4 bits. On a CPU too they cost little: a step of 8 x 300 tokens of the built-in
    base takes 1.07 times as long as in bfloat16 and 1.05 times as long as in float32 (one thread, medians of 5).
    """
    if refused:
        return Holding("none", f"4-bit training does not work here: {refused}")
    if device != "cuda":
        return Holding("nf4", "it takes a quarter of the memory and little more time")
    need = needs(size, nf4=False, number_bytes=number_bytes, rank=rank).bytes(forward_tokens) / RECKONED
    compared = f"{gib(need)} of {free / 2**30:.1f} free"
    bits = f"the base in {8 * number_bytes} bits"
    if need > free:
        return Holding("nf4", f"{bits} would need {compared}")
    return Holding("none", f"{bits} needs {compared}")


def main_memory() -> tuple[int, int]:
    """Free and total bytes of main memory: the machine's, or this container's where it has less."""
    import psutil

    whole = psutil.virtual_memory()
    try:
        limit, used = (int(Path(f"/sys/fs/cgroup/memory.{part}").read_text()) for part in ("max", "current"))
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        return whole.available, whole.total
    return min(whole.available, max(0, limit - used)), min(whole.total, limit)


def gib(count: float) -> str:
    """Bytes as people read them."""
    return f"{count / 2**30:.1f} GiB"
