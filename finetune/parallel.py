"""One process or many: the device of each, and sums over all of them. Two processes train what one would."""

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from persona.errors import PersonaError

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator

    from finetune.settings import FinetuneSettings

PATIENCE = timedelta(hours=2)
"""How long a process waits for the others: those of a machine read a large base one after the other."""

CUDA_SPARE_BYTES = 2**28
"""Left to the driver and the screen."""

_REFUSED = {"ACCELERATE_USE_DEEPSPEED": "DeepSpeed", "ACCELERATE_USE_FSDP": "accelerate's own FSDP"}


def is_first_process() -> bool:
    """Whether this is the process that writes and prints; known from the launcher, before torch is loaded."""
    return int(os.environ.get("RANK", "0")) == 0


def processes() -> int:
    """How many processes train together; known from the launcher, before torch is loaded."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def processes_here() -> int:
    """How many of them are on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def check_launch(settings: "FinetuneSettings") -> None:
    """Raises `PersonaError` where the launcher asks for another trainer's work, or the settings for other processes."""
    for variable, name in _REFUSED.items():
        if os.environ.get(variable, "").lower() in ("1", "true", "yes", "on", "y", "t"):
            raise PersonaError(
                f"{name} is not used here: where a base is too large for one device, --parallel fsdp shares it out.",
                where=f"{variable}, from the configuration of accelerate",
                fix="accelerate launch --config_file finetune/launch/several_gpus.yaml finetune NAME --parallel fsdp",
            )
    if os.name == "nt" and processes() > 1:
        raise PersonaError(
            "Several processes cannot train together on Windows: torch has no NCCL there.",
            fix="accelerate launch --num_processes 1 finetune NAME",
        )
    if settings.parallel == "fsdp" and processes() == 1:
        raise PersonaError(
            "--parallel fsdp shares a base out over several processes, and this is the only one.",
            fix="accelerate launch --config_file finetune/launch/several_gpus.yaml finetune NAME --parallel fsdp",
        )


def start(settings: "FinetuneSettings", folder: Path) -> "Accelerator":
    """The Accelerator: device and launch; trackers write into `folder`.

    Its accumulation stays 1, because ours weighs by trained tokens. Its mixed precision would copy all logits to float32,
    and for float16 bring a scaler that skips steps and has a state of its own: `finetune.loss` and `finetune.loop` take
    its place.
    """
    import torch
    from accelerate import Accelerator, PartialState
    from accelerate.tracking import get_available_trackers
    from accelerate.utils import parse_flag_from_env

    found = torch.accelerator.current_accelerator(check_available=True)
    # Not told so, accelerate leaves processes without a GPU each to itself: all would train the same, side by side.
    cpu = processes() > 1 and (found is None or found.type == "mps")
    device = PartialState(cpu=cpu or parse_flag_from_env("ACCELERATE_USE_CPU"), timeout=PATIENCE).device
    if device.type == "cpu":
        torch.set_num_threads(settings.threads or threads_per_process())
    if device.type == "cuda":
        _set_up_cuda()
    if settings.deterministic and device.type != "cpu":
        # Read at the first product, which is yet to come. Attention follows the mode below by itself: no cuDNN, and
        # backward passes that do not add up in the order of chance.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(settings.deterministic)
    tracker = None if settings.tracker == "none" else settings.tracker
    if tracker and tracker not in map(str, get_available_trackers()):
        raise PersonaError(f"{tracker} is not installed.", fix=f"pip install {tracker}, or leave --tracker out")
    return Accelerator(mixed_precision="no", log_with=tracker, project_dir=folder if tracker else None)


def _set_up_cuda() -> None:
    """Keep out what would make training slow without a word."""
    import torch

    # cuDNN's attention, the first choice on the GPUs of data centres, makes a plan for each new shape, in up to a second
    # (https://github.com/modelscope/FunASR/issues/3704), and every segment of a row has another shape.
    torch.backends.cuda.enable_cudnn_sdp(False)
    if os.name == "nt" or "microsoft" in platform.release().lower():
        # There the driver goes on in main memory, many times slower, instead of saying that its own is full.
        free, total = torch.cuda.mem_get_info()
        torch.cuda.set_per_process_memory_fraction(max(0.0, free - CUDA_SPARE_BYTES) / total)


def compute_dtype(wanted: str, device: "torch.device") -> "torch.dtype":
    """What the base computes in: as asked for, or for `auto` the best of what the hardware has units for.

    bfloat16 on GPUs from compute capability 8.0 on and on CPUs with AVX512-BF16 or AMX, which others only imitate,
    slower than they compute in float32. float16 on older GPUs that make it at twice the rate of float32 or more:
    from 5.3 on but for 6.1, with its 2 results a clock against 128 (CUDA programming guide, throughput of native
    arithmetic instructions).
    """
    import torch

    if wanted != "auto":
        named: torch.dtype = getattr(torch, wanted)
        return named
    if device.type == "cuda":
        capability = torch.cuda.get_device_capability(device)
        older = torch.float16 if capability >= (5, 3) and capability != (6, 1) else torch.float32
        return torch.bfloat16 if capability >= (8, 0) else older
    units: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)() if device.type == "cpu" else {}
    return torch.bfloat16 if units.get("avx512_bf16") or units.get("amx_bf16") else torch.float32


def least(accelerator: "Accelerator", value: float) -> float:
    """The lowest value of all processes."""
    if accelerator.num_processes == 1:
        return value
    import torch

    return float(accelerator.gather(torch.tensor([value], dtype=torch.float64, device=accelerator.device)).min())


def threads_per_process() -> int:
    """CPU threads so that the processes of this machine share its cores.

    Launchers set OMP_NUM_THREADS=1 to be careful, which would leave the other cores idle.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // processes_here())


def summed(accelerator: "Accelerator", values: Sequence[float]) -> list[float]:
    """Element-wise sums over all processes, in float64."""
    if accelerator.num_processes == 1:
        return list(values)
    import torch

    totals = accelerator.reduce(torch.tensor(values, dtype=torch.float64, device=accelerator.device), "sum")
    return [float(total) for total in totals]


def is_sharded(model: Any) -> bool:
    """Whether each process holds a part of the base (`finetune.parts`), so that all take part in every forward pass."""
    if processes() == 1:
        return False
    from torch.distributed.fsdp import FSDPModule

    return isinstance(model, FSDPModule)


def average_gradients(model: Any, accelerator: "Accelerator") -> None:
    """The mean over all processes, of a sharded base's adapter: what DistributedDataParallel does by itself."""
    if is_sharded(model):
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter.grad = accelerator.reduce(parameter.grad, "mean")
