"""The tokenizer of the base: byte-level BPE with the markers of its chat template as tokens 0 to 4."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from persona.files import write_atomic, write_json
from persona.template import ChatTemplate

if TYPE_CHECKING:
    from tokenizers import Tokenizer

VOCABULARY = 6144
CONTEXT = 2048
PAD, SYSTEM, USER, ASSISTANT, END = MARKERS = ("<|pad|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>")
PAD_ID, SYSTEM_ID, END_ID = MARKERS.index(PAD), MARKERS.index(SYSTEM), MARKERS.index(END)
TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content | trim }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def train_tokenizer(texts: Iterable[str]) -> "Tokenizer":
    """Byte-level BPE (Sennrich et al., 2016; bytes as in GPT-2); every digit is a token, so that numbers are copied."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    digits, words = pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, words])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(MARKERS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def chat_template(tokenizer: "Tokenizer") -> ChatTemplate:
    """The template as the finished base will have it; it shows no date."""
    return ChatTemplate(tokenizer, TEMPLATE, {"eos_token": END, "pad_token": PAD}, CONTEXT, date="2000-01-01")


def save_tokenizer(tokenizer: "Tokenizer", folder: Path) -> None:
    """`tokenizer.json`, its configuration and the chat template, as transformers reads them."""
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(
        folder / "tokenizer_config.json",
        {
            "backend": "tokenizers",
            "eos_token": END,
            "pad_token": PAD,
            "extra_special_tokens": [SYSTEM, USER, ASSISTANT],
            "model_max_length": CONTEXT,
            "tokenizer_class": "TokenizersBackend",
        },
    )
    write_atomic(folder / "chat_template.jinja", TEMPLATE)
