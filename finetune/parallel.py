"""One process or many: the device of each, and sums over all of them. Two processes train what one would."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator

    from finetune.settings import FinetuneSettings


def is_first_process() -> bool:
    """Whether this is the process that writes and prints; known from the launcher, before torch is loaded."""
    return int(os.environ.get("RANK", "0")) == 0


def processes() -> int:
    """How many processes train together; known from the launcher, before torch is loaded."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def start(settings: "FinetuneSettings", folder: Path) -> "Accelerator":
    """The Accelerator: device, launch and autocast; trackers write into `folder`.

    Its accumulation stays 1, because ours weighs by trained tokens.
    """
    import torch
    from accelerate import Accelerator, PartialState

    device = PartialState().device
    if device.type == "cpu":
        torch.set_num_threads(settings.threads or threads_per_process())
    elif settings.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(settings.deterministic)
    tracker = None if settings.tracker == "none" else settings.tracker
    precision = "bf16" if uses_bfloat16(settings.dtype, device) else "no"
    return Accelerator(mixed_precision=precision, log_with=tracker, project_dir=folder if tracker else None)


def uses_bfloat16(dtype: str, device: "torch.device") -> bool:
    """Whether the base computes in bfloat16: asked for, or `auto` on a processor that has units for it.

    Others only imitate it, slower than they compute in float32.
    """
    import torch

    if dtype != "auto":
        return dtype == "bfloat16"
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu":
        return False
    units: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(units.get("avx512_bf16") or units.get("amx_bf16"))


def threads_per_process() -> int:
    """CPU threads so that the processes of this machine share its cores.

    Launchers set OMP_NUM_THREADS=1 to be careful, which would leave the other cores idle.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def summed(accelerator: "Accelerator", values: Sequence[float]) -> list[float]:
    """Element-wise sums over all processes, in float64."""
    if accelerator.num_processes == 1:
        return list(values)
    import torch

    totals = accelerator.reduce(torch.tensor(values, dtype=torch.float64, device=accelerator.device), "sum")
    return [float(total) for total in totals]
