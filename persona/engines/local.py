"""The model on this machine: transformers and PEFT, in 4 bits or whole, one base with many adapters."""

import os
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from tokenizers.decoders import DecodeStream
from transformers import AutoModelForCausalLM, BitsAndBytesConfig
from transformers.generation import logits_process as processors
from transformers.utils import logging

from persona.base import Base
from persona.engines.protocol import Finish, Piece
from persona.engines.stops import StopStrings
from persona.errors import PersonaError
from persona.generation import GenerationSettings
from persona.prompt import Prompt

if TYPE_CHECKING:
    from peft import PeftModel

Quantization = Literal["nf4", "none"]

_LARGE_BYTES = 2_000_000_000
"""Weights above this are kept in 16 bits on a CPU too; below it 32 bits are as fast and more exact."""


def best_device() -> torch.device:
    """CUDA, else Apple's GPU, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def best_dtype(device: torch.device, base: Base) -> torch.dtype:
    """bf16 where the GPU computes in it (compute capability 8.0), fp16 on older ones; on a CPU by size."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16
    if device.type == "mps":
        return torch.float16
    return torch.float32 if _is_small(base) else torch.bfloat16


def _is_small(base: Base) -> bool:
    weights = sum(file.stat().st_size for file in base.folder.glob("*.safetensors"))
    return 0 < weights <= _LARGE_BYTES


@contextmanager
def _no_bar(silent: bool) -> Iterator[None]:
    """A progress bar is for a long wait: a small base is there at once."""
    if not silent or not logging.is_progress_bar_enabled():
        yield
        return
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.enable_progress_bar()


def load_model(
    base: Base,
    *,
    quantization: Quantization = "none",
    device: torch.device | None = None,
    dtype: torch.dtype | None = None,
) -> Any:
    """The base's weights on one device, in NF4 with double quantization (Dettmers et al., 2023) or in `dtype`.

    Only safetensors are read and no code of the model's repository is run.
    """
    device = device or best_device()
    dtype = dtype or best_dtype(device, base)
    quantized = None
    if quantization == "nf4":
        quantized = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
        )
    try:
        with _no_bar(_is_small(base)):
            model: Any = AutoModelForCausalLM.from_pretrained(
                base.location,
                revision=base.revision,
                dtype=dtype,
                device_map={"": str(device)},
                quantization_config=quantized,
                use_safetensors=True,
            )
    except (OSError, ValueError, ImportError) as error:
        first = str(error).strip().split("\n")[0][:300]
        raise PersonaError(f"{base.name} could not be loaded: {first}", fix="check --model, or take another") from error
    for module in model.modules():
        # On CPUs with AVX512-BF16 bitsandbytes repacks 4-bit weights in blocks of 64 x 32 and fails on other shapes.
        if hasattr(module, "support_avx512bf16_for_cpu") and (module.in_features % 64 or module.out_features % 32):
            module.support_avx512bf16_for_cpu = False
    return model


class LocalEngine:
    """Speaks with one base and any number of adapters; replies of several threads take turns, token by token."""

    def __init__(
        self, base: Base, *, quantization: Quantization = "none", adapters: Mapping[str, Path] | None = None
    ) -> None:
        # With as many threads as cores OpenMP collapses as soon as anything else runs.
        torch.set_num_threads(max(1, (os.cpu_count() or 2) - 1))
        self.model = load_model(base, quantization=quantization).eval()
        self._tokenizer = base.template().tokenizer
        self._lock = threading.Lock()
        self._adapted: PeftModel | None = None
        for name, folder in (adapters or {}).items():
            self.add_adapter(name, folder)

    def add_adapter(self, name: str, folder: Path) -> None:
        """Load a LoRA adapter, which prompts then name."""
        from peft import PeftModel

        if not (folder / "adapter_model.safetensors").is_file():
            # PEFT would read a pickled adapter_model.bin instead, which can run any program.
            raise PersonaError(
                "The adapter has no adapter_model.safetensors.", where=str(folder), fix="persona train NAME"
            )
        try:
            if self._adapted is None:
                self._adapted = PeftModel.from_pretrained(self.model, str(folder), adapter_name=name).eval()
            else:
                self._adapted.load_adapter(str(folder), adapter_name=name)
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            first = str(error).strip().split("\n")[0][:300]
            raise PersonaError(f"The adapter could not be loaded: {first}", where=str(folder)) from error

    def stream(self, prompt: Prompt, settings: GenerationSettings, cancelled: threading.Event) -> Iterator[Piece]:
        """Sample token by token; each piece is whole characters, and nothing of a stop string is let out."""
        decoder, stops = DecodeStream(skip_special_tokens=True), StopStrings(settings.stop_strings)
        count = 0
        finish: Finish = "length"
        for token in self._tokens(prompt, settings):
            if cancelled.is_set():
                finish = "cancelled"
                break
            if token in prompt.stop_ids:
                finish = "stop"
                break
            count += 1
            text = stops.push(decoder.step(self._tokenizer, token) or "")
            if text:
                yield Piece(text, None, count)
            if stops.met:
                finish = "stop"
                break
        yield Piece(stops.rest(), finish, count)

    def close(self) -> None:
        """Forget the weights."""
        self._adapted = self.model = None

    @torch.inference_mode()
    def _tokens(self, prompt: Prompt, settings: GenerationSettings) -> Iterator[int]:
        device = self.model.device
        seed = secrets.randbits(63) if settings.seed is None else settings.seed
        generator = torch.Generator(device if device.type == "cuda" else "cpu").manual_seed(seed)
        warp: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = _warpers(settings)
        seen = torch.tensor([prompt.ids], device=device)  # (1, tokens so far)
        fresh, cache = seen, None
        for _ in range(settings.max_new_tokens):
            # Held for a step and never across a yield: a reply that nobody reads on must not block the next.
            with self._lock, self._speaking_as(prompt.adapter) as model:
                output = model(input_ids=fresh, past_key_values=cache, use_cache=True, logits_to_keep=1)
            cache = output.past_key_values
            scores = warp(seen, output.logits[:, -1].float())  # (1, vocabulary)
            if settings.temperature == 0:
                fresh = scores.argmax(-1, keepdim=True)
            else:
                chances = scores.softmax(-1).to(generator.device)
                fresh = torch.multinomial(chances, 1, generator=generator).to(device)
            seen = torch.cat([seen, fresh], dim=1)
            yield int(fresh)

    def _speaking_as(self, adapter: str | None) -> Any:
        """The model with one adapter switched on, or with none."""
        if self._adapted is None:
            return nullcontext(self.model)
        if adapter is None:
            return _WithoutAdapter(self._adapted)
        if self._adapted.active_adapter != adapter:
            self._adapted.set_adapter(adapter)
        return nullcontext(self._adapted)


class _WithoutAdapter:
    """`with` gives the model itself while its adapters are off; PEFT's own context gives nothing."""

    def __init__(self, model: "PeftModel") -> None:
        self._model, self._context = model, model.disable_adapter()

    def __enter__(self) -> "PeftModel":
        self._context.__enter__()
        return self._model

    def __exit__(self, *error: Any) -> None:
        self._context.__exit__(*error)


def _warpers(settings: GenerationSettings) -> Any:
    """transformers' own processors in the order of its `generate`."""
    chain = processors.LogitsProcessorList()
    if settings.repetition_penalty != 1.0:
        chain.append(processors.RepetitionPenaltyLogitsProcessor(settings.repetition_penalty))
    if settings.temperature not in (0, 1.0):
        chain.append(processors.TemperatureLogitsWarper(settings.temperature))
    if settings.temperature == 0:
        return chain
    if settings.top_k:
        chain.append(processors.TopKLogitsWarper(settings.top_k))
    if settings.top_p < 1.0:
        chain.append(processors.TopPLogitsWarper(settings.top_p))
    if settings.min_p:
        chain.append(processors.MinPLogitsWarper(settings.min_p))
    return chain
