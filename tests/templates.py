"""Chat templates of many families, from the trl package, each with a tokenizer that knows its markers."""

import re
from functools import cache
from importlib.resources import files

from tokenizers import AddedToken, Tokenizer

from persona.paths import NANO_FOLDER
from persona.template import ChatTemplate

IMAGE_MODELS = {"idefics3", "smolvlm", "llava_next"}
"""They want a list of typed parts where text models have text."""

_MARKERS = re.compile(
    r"<\|[\w ./-]+\|?>|<｜[^｜\n]+｜>|</?[a-z_]{3,}>|\[/?[A-Z_]{3,}\]|<\|?[A-Z_]+_TOKEN\|?>|<(?:bos|eos|turn\||\|turn)>"
)


def names():
    folder = files("trl") / "chat_templates"
    stems = [f.name.removesuffix(".jinja") for f in folder.iterdir() if f.name.endswith(".jinja")]
    return sorted(s for s in stems if not s.endswith("_training") and s not in IMAGE_MODELS)


@cache
def chat_template(name, context=1024):
    source = (files("trl") / "chat_templates" / f"{name}.jinja").read_text(encoding="utf-8")
    return from_source(source, context)


def from_source(source, context=1024, **changes):
    tokenizer = Tokenizer.from_file(str(NANO_FOLDER / "tokenizer.json"))
    markers = sorted({*_MARKERS.findall(source), "<s>", "</s>"})
    tokenizer.add_special_tokens([AddedToken(marker, special=True, normalized=False) for marker in markers])
    values = {
        "tokenizer": tokenizer,
        "source": source,
        "variables": {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<|pad|>"},
        "context": context,
        "date": "2026-01-02",
    }
    return ChatTemplate(**(values | changes))
