"""A base model of a few thousand random weights, made in the test: fast, and nothing learned can hide in it."""

import shutil
import threading
from pathlib import Path

from persona.paths import NANO_FOLDER
from persona.prompt import Example

VOCABULARY = 97


def tiny_llama(vocabulary=VOCABULARY, seed=0):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from finetune.attention import use_segments

    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        bos_token_id=None,
        eos_token_id=4,
        pad_token_id=0,
    )
    torch.manual_seed(seed)
    model = LlamaForCausalLM(config)
    assert use_segments(model)
    return model


def save_tiny_base(folder: Path) -> Path:
    """A local base: random weights behind the built-in base's tokenizer and template."""
    tiny_llama(vocabulary=6144).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(NANO_FOLDER / name, folder / name)
    return folder


def tiny_examples(count=12, seed=0):
    """Sequences of different lengths, with some context tokens and some trained ones in each."""
    import torch

    dice = torch.Generator().manual_seed(seed)
    examples = []
    for number in range(count):
        length = int(torch.randint(6, 20, (1,), generator=dice))
        ids = torch.randint(5, VOCABULARY, (length,), generator=dice).tolist()
        context = int(torch.randint(1, length - 2, (1,), generator=dice))
        labels = [-100] * context + ids[context:]
        examples.append(Example(f"row-{number}", tuple(ids), tuple(labels)))
    return examples


def tiny_training(
    model,
    examples,
    accelerator,
    *,
    epochs=2,
    rows_per_step=4,
    rate=5e-3,
    seed=3,
    stop=None,
    share=True,
    forward_tokens=4096,
):
    """(the steps of a training to come, its position): as a run makes them, without a character around it."""
    from finetune.loop import start, train
    from finetune.rows import plan_epoch
    from finetune.schedule import rate as rate_of

    lengths = [len(example.ids) for example in examples]
    plan = [plan_epoch(lengths, seed=seed, epoch=epoch, rows_per_step=rows_per_step) for epoch in range(epochs)]
    total = sum(map(len, plan))
    model = accelerator.prepare(model)
    position = start(model, forward_tokens)
    steps = train(
        model,
        examples,
        accelerator,
        plan,
        position,
        rate=lambda number: rate_of("cosine", number, total, rate),
        share=share,
        seed=seed,
        stop=stop or threading.Event(),
    )
    return steps, position
