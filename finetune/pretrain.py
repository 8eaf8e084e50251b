"""`python -m finetune.pretrain --corpora DIR --out DIR`: the recipe of the built-in base, from text files to its folder.

A byte-level BPE tokenizer, then a small Llama on random windows of conversations, direct speech and prose, with ever
more conversation towards the end.
"""

import argparse
import datetime
import math
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.corpora import Kind, Text, read_corpora
from persona.errors import PersonaError
from persona.files import replace_folder, write_atomic, write_json
from persona.template import ChatTemplate

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

PAD, END = "<|pad|>", "<|end|>"
MARKERS = (PAD, "<|system|>", "<|user|>", "<|assistant|>", END)
TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content | trim }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
VOCABULARY = 6144
CONTEXT = 2048
SEQUENCE, BATCH = 512, 16
NOVEL_SAMPLE = 50_000
"""Characters of each novel that the tokenizer is trained on."""
MUON_RATE, ADAM_RATE, WARM_UP_STEPS, DECAY = 0.02, 3e-3, 20, 0.4
MIX_FIRST: dict[Kind, float] = {"talk": 0.45, "speech": 0.30, "prose": 0.25}
MIX_LAST: dict[Kind, float] = {"talk": 0.70, "speech": 0.25, "prose": 0.05}
ARCHITECTURE: dict[str, Any] = {
    "hidden_size": 288,
    "intermediate_size": 768,
    "num_hidden_layers": 6,
    "num_attention_heads": 6,
    "num_key_value_heads": 3,
    "tie_word_embeddings": True,
}

Pools = Mapping[Kind, "torch.Tensor"]


def train_tokenizer(texts: Sequence[Text]) -> "Tokenizer":
    """Byte-level BPE (Sennrich et al., 2016) with the chat markers as special tokens 0 to 4."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(MARKERS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    learned = [text for text in texts if not text.held_out]
    samples = [m.content for text in learned for m in text.messages] + [t.plain[:NOVEL_SAMPLE] for t in learned]
    tokenizer.train_from_iterator(samples, trainer)
    return tokenizer


def chat_template(tokenizer: "Tokenizer") -> ChatTemplate:
    """The template as the finished base will have it."""
    date = datetime.date.today().isoformat()
    return ChatTemplate(tokenizer, TEMPLATE, {"eos_token": END, "pad_token": PAD}, CONTEXT, date)


def pack(texts: Sequence[Text], tokenizer: "Tokenizer", *, held_out: bool) -> dict[Kind, "torch.Tensor"]:
    """One long row of ids per kind; a document ends with the end of turn."""
    import torch

    template = chat_template(tokenizer)
    pools: dict[Kind, torch.Tensor] = {}
    for kind in MIX_FIRST:
        written = [
            template.render(text.messages, add_generation_prompt=False) if text.messages else text.plain + END
            for text in texts
            if text.kind == kind and text.held_out is held_out
        ]
        random.Random(kind).shuffle(written)
        encoded = tokenizer.encode_batch_fast(written, add_special_tokens=False)
        pools[kind] = torch.tensor([i for e in encoded for i in e.ids], dtype=torch.int32)
    return pools


def windows(pools: Pools, steps: int, rng: random.Random) -> Iterator["torch.Tensor"]:
    """Batches `(BATCH, SEQUENCE + 1)` of random windows, drawn from the kinds by a mix that moves with the steps."""
    import torch

    kinds = [kind for kind in pools if len(pools[kind]) > SEQUENCE + 1]
    for step in range(steps):
        part = step / steps
        weights = [MIX_FIRST[kind] * (1 - part) + MIX_LAST[kind] * part for kind in kinds]
        rows = []
        for kind in rng.choices(kinds, weights, k=BATCH):
            start = rng.randrange(len(pools[kind]) - SEQUENCE - 1)
            rows.append(pools[kind][start : start + SEQUENCE + 1])
        yield torch.stack(rows).long()


def new_model(seed: int) -> Any:
    """The architecture with random weights."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    end, pad = MARKERS.index(END), MARKERS.index(PAD)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            max_position_embeddings=CONTEXT,
            bos_token_id=None,
            eos_token_id=end,
            pad_token_id=pad,
            **ARCHITECTURE,
        )
    )


def rate(step: int, steps: int) -> float:
    """Share of the full learning rate: a short warm-up, then flat, then down to zero over the last part."""
    return min(1.0, (step + 1) / WARM_UP_STEPS, (steps - step) / max(1.0, DECAY * steps))


def optimizers(model: Any) -> "list[torch.optim.Optimizer]":
    """Muon (Jordan et al., 2024) for the matrices inside the layers, AdamW for embeddings and norms."""
    import torch

    matrices = [p for p in model.model.layers.parameters() if p.ndim == 2]
    inside = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in inside]
    return [
        torch.optim.Muon(matrices, lr=MUON_RATE, weight_decay=0.0),
        torch.optim.AdamW(others, lr=ADAM_RATE, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def pretrain(model: Any, pools: Pools, *, minutes: float, seed: int) -> int:
    """Train for about so many minutes; the first steps tell how many there will be. Returns the tokens seen."""
    import torch

    both = optimizers(model)
    full = [optimizer.param_groups[0]["lr"] for optimizer in both]
    model.train()
    probing, steps, began = 5, 10**6, time.monotonic()
    batches = windows(pools, probing, random.Random(f"{seed} probe"))
    step, losses = 0, []
    while step < steps:
        batch = next(batches, None)
        if batch is None:
            per_step = (time.monotonic() - began) / probing
            steps = max(2 * probing, int(60 * minutes / per_step))
            print(f"{per_step:.2f} s a step, {steps} steps of {BATCH * SEQUENCE:,} tokens", flush=True)
            batches = windows(pools, steps, random.Random(seed))
            continue
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, peak in zip(both, full, strict=True):
            optimizer.param_groups[0]["lr"] = peak * rate(step, steps)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        losses.append(float(loss.detach()))
        step += 1
        if step % 25 == 0:
            print(
                f"step {step:5d}/{steps}  loss {sum(losses[-25:]) / 25:.3f}  {time.monotonic() - began:.0f} s",
                flush=True,
            )
    return step * BATCH * SEQUENCE


def bits_per_byte(model: Any, pool: "torch.Tensor", tokenizer: "Tokenizer", windows_scored: int = 64) -> float:
    """On windows evenly spread over held-out ids; the bytes are those of the text, markers count as none."""
    import torch

    model.eval()
    nats, size = 0.0, 0
    stride = max(1, (len(pool) - SEQUENCE - 1) // windows_scored)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        for start in range(0, len(pool) - SEQUENCE - 1, stride):
            ids = pool[start : start + SEQUENCE + 1].long()[None]
            nats += float(model(input_ids=ids, labels=ids).loss) * SEQUENCE
            size += len(tokenizer.decode(ids[0, 1:].tolist()).encode())
    return nats / math.log(2) / max(1, size)


def save(folder: Path, model: Any, tokenizer: "Tokenizer", card: str) -> None:
    """Weights in bfloat16 safetensors, tokenizer, template, settings and model card, in the place of an older base."""
    import torch

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".pretrain.", dir=folder.parent) as holder:
        temporary = Path(holder) / "base"
        model.generation_config.update(do_sample=True, temperature=0.7, top_p=0.9, repetition_penalty=1.15)
        model.generation_config.eos_token_id = MARKERS.index(END)
        model.to(torch.bfloat16).save_pretrained(temporary)
        tokenizer.save(str(temporary / "tokenizer.json"))
        write_json(
            temporary / "tokenizer_config.json",
            {
                "backend": "tokenizers",
                "eos_token": END,
                "pad_token": PAD,
                "extra_special_tokens": list(MARKERS[1:4]),
                "model_max_length": CONTEXT,
                "tokenizer_class": "TokenizersBackend",
            },
        )
        write_atomic(temporary / "chat_template.jinja", TEMPLATE)
        write_atomic(temporary / "README.md", card)
        replace_folder(temporary, folder)


def model_card(parameters: int, tokens: int, minutes: float, scores: Mapping[str, float]) -> str:
    """README.md of the base; the shared part is the card that the built-in base ships with."""
    from finetune.base_card import base_card

    results = ", ".join(f"{name} {score:.3f}" for name, score in scores.items())
    made = f"{tokens / 1e6:.1f} M tokens in sequences of {SEQUENCE}, {minutes:.0f} minutes on a CPU, seed and recipe in `finetune/pretrain.py`."
    held = f"One document in twenty is held out by its id; bits per byte on those: {results}."
    return base_card(parameters=parameters, vocabulary=VOCABULARY, context=CONTEXT, made=made, held_out=held)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the recipe; the exit status is 2 for a problem that the user can solve."""
    parser = argparse.ArgumentParser(prog="finetune.pretrain", description="Train the built-in base from scratch.")
    parser.add_argument("--corpora", type=Path, required=True, help="Folder with dialogues.parquet and novels.parquet.")
    parser.add_argument("--out", type=Path, required=True, help="Folder of the base; an older one is replaced.")
    parser.add_argument(
        "--minutes", type=float, default=12.0, help="Training time, without reading and tokenizing. [12]"
    )
    parser.add_argument("--seed", type=int, default=0, help="Draws the weights and the order. [0]")
    arguments = parser.parse_args(argv)
    try:
        run(arguments.corpora, arguments.out, minutes=arguments.minutes, seed=arguments.seed)
    except PersonaError as error:
        print(f"pretrain: {error}", file=sys.stderr)
        return 2
    return 0


def run(corpora: Path, out: Path, *, minutes: float, seed: int) -> None:
    """Read, tokenize, train, score, save."""
    texts = list(read_corpora(corpora))
    counts = {kind: sum(text.kind == kind for text in texts) for kind in MIX_FIRST}
    print("documents: " + ", ".join(f"{count:,} {kind}" for kind, count in counts.items()), flush=True)
    tokenizer = train_tokenizer(texts)
    pools, held = (pack(texts, tokenizer, held_out=flag) for flag in (False, True))
    print("tokens: " + ", ".join(f"{len(ids):,} {kind}" for kind, ids in pools.items()), flush=True)
    model = new_model(seed)
    parameters = model.num_parameters()
    seen = pretrain(model, pools, minutes=minutes, seed=seed)
    scores: dict[str, float] = {kind: bits_per_byte(model, ids, tokenizer) for kind, ids in held.items()}
    print("held out, bits per byte: " + ", ".join(f"{k} {v:.3f}" for k, v in scores.items()), flush=True)
    save(out, model, tokenizer, model_card(parameters, seen, minutes, scores))
    print(f"saved: {out}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
