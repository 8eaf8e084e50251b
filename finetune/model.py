"""The base with LoRA matrices on it, ready to be trained, and the guard against a silent error of 4-bit training on CPU."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from finetune.memory import Held, Holding, choose_holding
from finetune.settings import FinetuneSettings
from persona.base import Base
from persona.errors import PersonaError

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator


PROBE_SCALE = 1024.0
"""So that the gradient of the check does not vanish in float16, where it is small; elsewhere it changes nothing."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A base with its adapter: `parameters` counts the base's own; `why` it is held so, where that was chosen."""

    model: Any
    quantization: str
    dtype: str
    parameters: int
    why: str = ""


def load(
    base: Base, settings: FinetuneSettings, device: "torch.device", *, dtype: "torch.dtype", holding: Holding
) -> Loaded:
    """The base on `device`, held so and computing in `dtype`, with a fresh adapter in front of it, checked once.

    Raises `PersonaError` when the base cannot be trained.
    """
    loaded = adapted(base, settings, device, dtype=dtype, holding=holding)
    check_gradient(loaded.model, base.name)
    return loaded


def adapted(
    base: Base, settings: FinetuneSettings, device: "torch.device", *, dtype: "torch.dtype", holding: Holding
) -> Loaded:
    """The same, not checked yet."""
    from persona.engines.local import load_model

    base_model = load_model(base, quantization=holding.quantization, device=device, dtype=dtype)
    parameters = int(base_model.num_parameters())
    guard_4bit(base_model)
    model = add_lora(base_model, settings)
    return Loaded(model, holding.quantization, str(dtype).removeprefix("torch."), parameters, holding.why)


def hold(
    base: Base,
    settings: FinetuneSettings,
    accelerator: "Accelerator",
    *,
    dtype: "torch.dtype",
    before: Held | None = None,
) -> Holding:
    """How a run holds the base, on all its processes alike: as asked for, else as `before`, else what memory allows.

    `before` is how the run to go on with held it: the memory that happens to be free must not change its numbers.
    Raises `PersonaError` when 4 bits were asked for and do not work here.
    """
    import torch

    from finetune.parallel import least
    from finetune.probe import size

    device = accelerator.device
    if settings.quantization != "auto":
        return Holding(choose_quantization(settings.quantization, device))
    refused = _why_not_4bit(device)
    if before == "none" or (before == "nf4" and not refused):
        return Holding(before, "as this run began")
    on_gpu = device.type == "cuda"
    return choose_holding(
        size(base.config) if on_gpu else {},
        device.type,
        least(accelerator, torch.cuda.mem_get_info(device)[0]) if on_gpu else 0.0,
        refused=refused,
        number_bytes=dtype.itemsize,
        rank=settings.rank,
        forward_tokens=settings.forward_tokens,
    )


def choose_quantization(wanted: str, device: "torch.device") -> Held:
    """`auto` is nf4 where bitsandbytes works on this device. Raises `PersonaError` when nf4 is asked for in vain."""
    if wanted == "none":
        return "none"
    reason = _why_not_4bit(device)
    if reason and wanted == "nf4":
        raise PersonaError(f"4-bit training does not work here: {reason}", where=str(device), fix="--quantization none")
    return "none" if reason else "nf4"


def _why_not_4bit(device: "torch.device") -> str:
    import torch

    if device.type not in ("cpu", "cuda", "xpu"):
        return f"bitsandbytes has no 4-bit kernels for {device.type}."
    try:
        from bitsandbytes.functional import dequantize_4bit, quantize_4bit

        numbers = torch.linspace(-1, 1, 128, device=device)
        restored = dequantize_4bit(*quantize_4bit(numbers, quant_type="nf4", compress_statistics=True))
    except (ImportError, RuntimeError, AttributeError, OSError, NotImplementedError) as error:
        return str(error).split("\n")[0]
    return (
        ""
        if float((restored - numbers).abs().max()) < 0.2
        else "bitsandbytes restores other numbers than it was given."
    )


def guard_4bit(model: Any) -> None:
    """Keep bitsandbytes from repacking 4-bit weights in evaluation mode on CPUs with AVX512-BF16.

    Repacked weights go through an inference kernel that has no gradient: after one evaluation pass, training would go
    on with wrong gradients and a plausible loss.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def add_lora(model: Any, settings: FinetuneSettings) -> Any:
    """LoRA matrices on all linear layers but the output head (Hu et al., 2021), trained in float32.

    bfloat16 matrices would lose most small updates to rounding.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    model.config.use_cache = False
    model.requires_grad_(False)
    if settings.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    torch.manual_seed(settings.seed)
    adapted = get_peft_model(model, config)
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return adapted


def check_gradient(model: Any, base_name: str) -> None:
    """The gradient of a few tokens must be the same before and after an evaluation pass, and must not be zero.

    Raises `PersonaError` when it is not, when it is more than float16 can hold, or when the base's forward cannot
    compute chosen logits alone.
    """
    import torch

    from finetune.loss import computes_in

    try:
        before = _probe(model)
        model.eval()
        with torch.no_grad():
            probe_losses(model)
        after = _probe(model)
    except (TypeError, IndexError, ValueError) as error:
        raise PersonaError(
            f"{base_name} cannot be trained: {str(error).splitlines()[0]}",
            fix="choose another base, or update transformers",
        ) from error
    finally:
        model.train()
    if computes_in(model) == torch.float16 and not before.isfinite().all():
        raise PersonaError(
            f"{base_name} computes numbers that float16 cannot hold: it ends at 65504.",
            fix="--dtype float32, which takes twice the memory, or another base",
        )
    if not float(before.norm()) > 0 or not float((after - before).norm()) <= 1e-2 * float(before.norm()):
        raise PersonaError(
            f"The gradient of {base_name} changes with an evaluation pass, so training it would go wrong.",
            where=f"|before| = {float(before.norm()):.3g}, |after| = {float(after.norm()):.3g}",
            fix="--quantization none, and report your bitsandbytes version",
        )


def _probe(model: Any) -> "torch.Tensor":
    """Gradient of all LoRA B matrices (the A ones are zero at the start) for a fixed sequence, without dropout."""
    import torch

    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.eval()
    model.zero_grad(set_to_none=True)
    (PROBE_SCALE * probe_losses(model).mean()).backward()
    gradients = [p.grad.flatten().float() for n, p in model.named_parameters() if p.grad is not None and "lora_B" in n]
    model.zero_grad(set_to_none=True)
    return torch.cat(gradients) / PROBE_SCALE


def probe_losses(model: Any) -> "torch.Tensor":
    """Nats of each token of a short sequence that is the same for every base, with its gradient."""
    import torch

    from finetune.batches import Batch
    from finetune.loss import token_losses
    from persona.prompt import IGNORED

    device = next(model.parameters()).device
    ids = torch.arange(3, 27, device=device).reshape(2, 12) % model.config.get_text_config().vocab_size
    labels = ids.clone()
    labels[:, :4] = IGNORED
    return token_losses(model, Batch(("probe", "probe"), ids, labels))


def default_learning_rate(parameters: int) -> float:
    """By the size of the base: LoRA's best rate falls with width, and small models bear large steps."""
    for limit, rate in ((50e6, 4e-3), (1.7e9, 5e-4), (5e9, 3e-4)):
        if parameters < limit:
            return rate
    return 2e-4
