"""The recipe as a whole: prepare, train or go on training, and write the base where everything else finds it."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from finetune.interrupt import stop_on_signals
from finetune.pretrain.card import write_card
from finetune.pretrain.memory import keep_memory
from finetune.pretrain.mixture import TOKENS_A_STEP, batches
from finetune.pretrain.model import new_model
from finetune.pretrain.picture import draw_training
from finetune.pretrain.prepare import prepare
from finetune.pretrain.replies import bits_per_byte, views_of
from finetune.pretrain.tokenizer import END_ID, chat_template, save_tokenizer
from finetune.pretrain.training import train
from persona.conversation import Message
from persona.errors import PersonaError
from persona.files import replace_folder, write_json
from persona.template import ChatTemplate

if TYPE_CHECKING:
    from tokenizers import Tokenizer

WATCHED = 12
"""Held-out dialogues that are scored while training goes on."""

GENERATION = {"do_sample": True, "temperature": 0.5, "top_p": 0.9, "repetition_penalty": 1.1, "max_new_tokens": 80}


def make_base(corpora: Path, out: Path, *, run: Path, steps: int, seed: int, stop_after: int | None = None) -> bool:
    """Train for so many steps in all, from where `run` left off, and put the base into `out`; False if it was stopped.

    Raises `PersonaError`.
    """
    keep_memory()
    settings = {"steps": steps, "seed": seed, "corpora": _fingerprint(corpora)}
    _refuse_other_run(run, settings)
    print("reading, rendering and encoding: about a minute", flush=True)
    material = prepare(corpora, seed)
    run.mkdir(parents=True, exist_ok=True)
    write_json(run / "settings.json", settings)
    for kind, pool in material.pools.items():
        print(f"  {kind:9s} {len(pool):8,} documents  {len(pool.ids):11,} tokens", flush=True)
    model = new_model(seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    watched = list(views_of([d for d in material.held_out if d.kind == "persona"][:WATCHED]))
    print(
        f"{model.num_parameters():,} parameters, {steps:,} steps of {TOKENS_A_STEP:,} tokens, on {device}", flush=True
    )
    with stop_on_signals() as stop, _attention(model, "blocked" if device.type == "cpu" else "sdpa"):
        log = train(
            model,
            batches(material.pools, steps, seed),
            steps,
            folder=run,
            device=device,
            score=lambda current: _score(current, watched, chat_template(material.tokenizer)),
            stopped=lambda step: stop.is_set() or step == stop_after,
        )
    if len(log) < steps:
        print(f"stopped after step {len(log)}; the same command goes on from there", flush=True)
        return False
    save(out, model, material.tokenizer, settings, log, _machine(device))
    print(f"saved: {out}", flush=True)
    return True


def _score(model: Any, watched: list[list[Message]], template: ChatTemplate) -> float:
    with _attention(model, "sdpa"):
        return bits_per_byte(model, watched, template).value


@contextmanager
def _attention(model: Any, name: str) -> Iterator[None]:
    """Another attention for a while: the blocked one knows neither padding nor odd lengths."""
    before = model.config._attn_implementation
    model.set_attn_implementation(name)
    yield
    model.set_attn_implementation(before)


def _machine(device: torch.device) -> str:
    """Where it was trained, as the model card says it."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"{os.cpu_count()} CPU cores"


def _fingerprint(corpora: Path) -> dict[str, int]:
    return {file.name: file.stat().st_size for file in sorted(corpora.glob("*.parquet"))}


def _refuse_other_run(run: Path, settings: dict[str, Any]) -> None:
    """A folder of checkpoints belongs to one set of settings. Raises `PersonaError` when these are others."""
    file = run / "settings.json"
    before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else settings
    if before != settings:
        raise PersonaError(
            f"The run in this folder has other settings: {before}.",
            where=str(run),
            fix="give another --run, or delete it",
        )


def save(
    folder: Path, model: Any, tokenizer: "Tokenizer", settings: dict[str, Any], log: list[dict[str, float]], where: str
) -> None:
    """Weights in bfloat16 safetensors, tokenizer, template, settings and model card, in the place of an older base."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".pretrain.", dir=folder.parent) as holder:
        temporary = Path(holder) / "base"
        model.generation_config.update(**GENERATION)
        model.generation_config.eos_token_id = END_ID
        model.to("cpu", torch.bfloat16).save_pretrained(temporary)
        save_tokenizer(tokenizer, temporary)
        scored = {str(entry["step"]): round(entry["bits_per_byte"], 4) for entry in log if "bits_per_byte" in entry}
        took = {"minutes": round(log[-1]["seconds"] / 60, 1), "where": where, "bits_per_byte": scored}
        write_json(temporary / "training.json", settings | took)
        draw_training(temporary / "training.png", log)
        write_card(temporary)
        replace_folder(temporary, folder)
