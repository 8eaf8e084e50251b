"""A base model of a few thousand random weights, made in the test: fast, and nothing learned can hide in it."""

import shutil
from pathlib import Path

from persona.paths import NANO_FOLDER
from persona.prompt import Example

VOCABULARY = 97


def tiny_llama(vocabulary=VOCABULARY, seed=0):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

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
    return LlamaForCausalLM(config)


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
