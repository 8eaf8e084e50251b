"""The base on every process: whole where one device holds it, else in parts, with torch's `fully_shard`."""

from typing import TYPE_CHECKING, Any, Literal

import torch

from finetune.checks import FEWEST_TOKENS
from finetune.memory import RECKONED, Holding, main_memory, needs
from finetune.model import Loaded, adapted, check_gradient, load, probe_losses
from finetune.parallel import is_first_process, least, processes_here, summed
from finetune.settings import FinetuneSettings
from persona.base import Base
from persona.errors import PersonaError

if TYPE_CHECKING:
    from accelerate import Accelerator
    from torch.distributed.device_mesh import DeviceMesh

Way = Literal["ddp", "fsdp"]

LARGEST_DIFFERENCE = 1e-3
LARGEST_DIFFERENCE_16_BITS = 0.5
"""Nats of a token, whole on the CPU against parts on another device; parts on the CPU compute the same bits.

Measured with the built-in base: 0.08 between bfloat16 and float32, from 1.3 to 12 where half of one matrix is wrong.
"""


def prepared(
    base: Base,
    settings: FinetuneSettings,
    accelerator: "Accelerator",
    *,
    dtype: torch.dtype,
    holding: Holding,
    before: Way | None = None,
) -> tuple[Loaded, Any]:
    """The base with its adapter, and the model that training calls, shared by all processes one way or the other.

    `before` is the way of the run to go on with. Raises `PersonaError` as `finetune.model.load` does, and where the
    parts of the base compute something else than the whole.
    """
    if _way(base, settings, accelerator, dtype=dtype, holding=holding, before=before) == "ddp":
        loaded = load(base, settings, accelerator.device, dtype=dtype, holding=holding)
        return loaded, accelerator.prepare(loaded.model)
    loaded = load_in_parts(base, settings, accelerator, dtype=dtype, holding=holding)
    return loaded, loaded.model


def _way(
    base: Base,
    settings: FinetuneSettings,
    accelerator: "Accelerator",
    *,
    dtype: torch.dtype,
    holding: Holding,
    before: Way | None,
) -> Way:
    """As asked for, else as before, else in parts where some device has no room for the whole base and few tokens."""
    if accelerator.num_processes == 1:
        return "ddp"
    if settings.parallel != "auto":
        return settings.parallel
    if before:
        return before
    from finetune.probe import size

    nf4 = holding.quantization == "nf4"
    need = needs(size(base.config), nf4=nf4, number_bytes=dtype.itemsize, rank=settings.rank).bytes(FEWEST_TOKENS)
    return "ddp" if need / RECKONED <= least(accelerator, _free_bytes(accelerator.device)) else "fsdp"


def _free_bytes(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return main_memory()[0] / processes_here()


def load_in_parts(
    base: Base, settings: FinetuneSettings, accelerator: "Accelerator", *, dtype: torch.dtype, holding: Holding
) -> Loaded:
    """The base with its adapter, of which each process holds a part, and the adapter whole.

    It is read into main memory, for no device has room, by one process of a machine after the other, and goes from
    there to the devices layer by layer. Raises `PersonaError` where a few tokens have other losses afterwards.
    """
    from torch.distributed.device_mesh import init_device_mesh

    mesh = init_device_mesh(accelerator.device.type, (accelerator.num_processes,))
    whole: list[float] = []
    for turn in range(accelerator.num_processes):
        if turn == accelerator.local_process_index:
            loaded = adapted(base, settings, torch.device("cpu"), dtype=dtype, holding=holding)
            if is_first_process():
                whole = _losses(loaded.model)
            shard(loaded.model, mesh, accelerator.device, dtype)
        accelerator.wait_for_everyone()
    parts = _losses(loaded.model)
    whole = summed(accelerator, whole or [0.0] * len(parts))
    elsewhere = accelerator.device.type != "cpu" and dtype != torch.float32
    limit = LARGEST_DIFFERENCE_16_BITS if elsewhere else LARGEST_DIFFERENCE
    if not all(abs(a - b) <= limit for a, b in zip(whole, parts, strict=True)):  # not so for NaN
        raise PersonaError(
            f"{base.name} in parts computes something else than whole, so training it would go wrong.",
            where=f"mean losses {sum(parts) / len(parts):.4g} and {sum(whole) / len(whole):.4g} nats",
            fix="--parallel ddp with a base that fits one device, and report your versions of torch and bitsandbytes",
        )
    check_gradient(loaded.model, base.name)
    return loaded


@torch.no_grad()
def _losses(model: Any) -> list[float]:
    return [float(loss) for loss in probe_losses(model)]


def shard(model: Any, mesh: "DeviceMesh", device: torch.device, dtype: torch.dtype) -> None:
    """Leave each process its part of every layer of a base with an adapter, on `device`, in place.

    Layers are put together when they are used, forward and backward, by all processes at once: each must make as many
    passes as the others, `generate` included. Raises `PersonaError` where transformers names no layers.
    """
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    base_model = model.get_base_model()
    kinds = set(base_model._no_split_modules or ())
    layers = [module for module in base_model.modules() if type(module).__name__ in kinds]
    if not layers:
        raise PersonaError("This base cannot be cut into layers.", fix="--parallel ddp, or another base")
    # The adapter stays whole on every process: with its optimizer it is small beside the base, so that weights,
    # moments, checkpoints and clipping are those of one device, and only gradients are summed, by `average_gradients`.
    adapter = {parameter for parameter in model.parameters() if parameter.requires_grad}
    for parameter in adapter:
        parameter.data = parameter.data.to(device)
    _hold_4bit_weights_as(dtype, model, device)
    for layer in layers:
        fully_shard(layer, mesh=mesh, ignored_params=adapter)
    fully_shard(model, mesh=mesh, ignored_params=adapter)
    register_fsdp_forward_method(model, "generate")


def _hold_4bit_weights_as(dtype: torch.dtype, model: Any, device: torch.device) -> None:
    """Make 4-bit weights plain parameters of `dtype` (bnb_4bit_quant_storage), which can be cut like all others.

    The bytes stay. The scales, 1/32 of them, stay whole with the layer, where bitsandbytes finds them again.
    """
    from bitsandbytes.nn import Linear4bit

    for module in model.modules():
        if isinstance(module, Linear4bit):
            packed: Any = module.weight
            packed.quant_state.to(device)
            module.quant_state = packed.quant_state
            module.weight = torch.nn.Parameter(packed.data.flatten().view(dtype).unsqueeze(1), requires_grad=False)
