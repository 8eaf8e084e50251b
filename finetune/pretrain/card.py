"""The model card of a base that the recipe makes: its size, its data with attributions, its figures, and its limits."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from finetune.pretrain.mixture import SEQUENCE, TOKENS_A_STEP
from finetune.pretrain.tokenizer import CONTEXT, VOCABULARY
from persona.files import write_atomic

FIGURES = "figures.json"

_MEASURES = (
    ("bits per byte, held-out replies (Synthetic-Persona-Chat)", "bits_per_byte_replies", "<= 0.72", "{:.3f}"),
    ("bits per byte, replies of other dialogues", "bits_per_byte_others", "", "{:.3f}"),
    ("the true reply chosen among 10", "hits_at_1", ">= 45 %", "{:.1%}"),
    ("facts copied from the system message", "copying", ">= 80 %", "{:.1%}"),
    ("replies that end within 80 tokens", "ended", ">= 97 %", "{:.1%}"),
    ("4-grams repeated within a reply", "repetition", "<= 3 %", "{:.1%}"),
    ("words that stand in the training text", "in_vocabulary", ">= 98 %", "{:.1%}"),
)

_CARD = """\
---
license: mit
language: en
library_name: transformers
pipeline_tag: text-generation
---

# persona-nano

A very small conversational language model, so that the whole road from lore to a talking character can be walked on
any machine in minutes, with no network, no GPU and no account. It knows nothing of the world; it is here so that you
can try the road. It is a stand-in for a real base, not a competitor of one.

- **Architecture:** Llama, {parameters}{layers} layers, hidden size {hidden}, {heads} heads of {size}, {kv} key/value
  head(s), tied embeddings, bfloat16 safetensors.
- **Tokenizer:** byte-level BPE, {vocabulary:,} tokens, each digit one; trained on the same text.
- **Context:** {context:,} tokens; trained on {sequence}, and on whole contexts in the last tenth of the steps.
- **Chat template:** markers `<|system|> <|user|> <|assistant|> <|end|>`.
- **Training:** from scratch, {tokens:.1f} M tokens in {steps:,} steps{minutes}, with Muon and AdamW and the recipe in
  `finetune/pretrain/`, seed {seed}: `python -m finetune.pretrain --corpora DIR --steps {steps}`.{note}

{figures}
## Data

| corpus | what | licence | by |
|---|---|---|---|
| Synthetic-Persona-Chat | conversations between people with a persona | CC BY 4.0 | Jandaghi et al., Google, 2023 |
| Topical-Chat | conversations about topics | CDLA-Sharing-1.0 | Gopalakrishnan et al., Amazon, 2019 |
| Taskmaster-4 | ordering coffee, one order in eight | CC BY 4.0 | Google Research |
| LitBank editions | English novels, public domain | CC BY 4.0 | Bamman et al. |
| ELTeC-eng | English novels, public domain | CC BY 4.0 | COST Action CA16204, Distant Reading for European Literary History |
| invented talk | questions about oneself, written by the grammar in `finetune/pretrain/invented.py` | MIT | this project |

The texts were cleaned: placeholders filled with invented names, verse, headings and front matter removed, direct speech
in novels read as the conversation of two people. No text of the corpora is in this repository.

## What it cannot do

It answers in short, plain sentences, often beside the question, and contradicts itself over a longer conversation. It
knows no facts that can be relied on, cannot calculate, follow instructions, translate or write code, and knows English
alone. Novels of the nineteenth century carry the prejudices of their time, and some of them remain. Nothing it says is
advice. For a character that holds a conversation, train on a real base: `--model Qwen/Qwen3-4B-Instruct-2507`.
"""

_FIGURES = """\
![Bits per byte of held-out replies over the training](training.png)

## Figures

On dialogues whose `int(sha256(id).hexdigest(), 16) % 20` is 0, which no training run sees; {counted:,} replies count in
the first line, and {left_out:,} more that stand verbatim in the training part are left out ({counted_others:,} and
{left_out_others:,} in the second). Measured by `python -m finetune.pretrain --corpora DIR --evaluate`.

{table}

Copied by what was asked: {copied}. The names, places, jobs and likes of these
200 questions and their wording are in no training text that the grammar writes.

## The first {shown} replies to held-out prompts, unselected

At the settings that ship with the base; the line before is the last thing that was said.

{samples}
"""


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A Markdown table: a column for each base, a line for each measure, and the target."""
    heads = [f"{row['steps'] * TOKENS_A_STEP / 1e6:.1f} M tokens ({row['minutes']:.0f} min)" for row in rows]
    lines = [["", *heads, "target"], ["---"] * (len(rows) + 2)]
    for title, key, target, form in _MEASURES:
        lines.append([title, *(form.format(row[key]) for row in rows), target])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_card(folder: Path, beside: Sequence[Mapping[str, Any]] = ()) -> None:
    """README.md of the base in `folder`, from its configuration, `training.json` and, once measured, `figures.json`.

    A `note` in training.json, written by hand, says what else is to be known about the run.
    """
    config, training = _read(folder / "config.json"), _read(folder / "training.json")
    measured = _read(folder / FIGURES)
    text = _CARD.format(
        parameters=f"{measured['parameters'] / 1e6:.2f} M parameters, " if measured else "",
        layers=config["num_hidden_layers"],
        hidden=config["hidden_size"],
        heads=config["num_attention_heads"],
        size=config["hidden_size"] // config["num_attention_heads"],
        kv=config["num_key_value_heads"],
        vocabulary=VOCABULARY,
        context=CONTEXT,
        sequence=SEQUENCE,
        tokens=training["steps"] * TOKENS_A_STEP / 1e6,
        steps=training["steps"],
        minutes=f" ({training['minutes']:.0f} minutes on {training['where']})",
        seed=training["seed"],
        note=f"\n  {training['note']}" if "note" in training else "",
        figures=_figures(measured, [*beside, training | measured]) if measured else "",
    )
    write_atomic(folder / "README.md", text)


def _figures(measured: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    samples = measured["samples"]
    copied = ", ".join(f"{name} {measured[f'copying_{name}']:.0%}" for name in ("name", "place", "job", "like"))
    return _FIGURES.format(
        counted=measured["counted_replies"],
        left_out=measured["left_out_replies"],
        counted_others=measured["counted_others"],
        left_out_others=measured["left_out_others"],
        table=table(rows),
        copied=copied,
        shown=len(samples),
        samples="\n".join(
            f"{n}. {_plain(asked)}\n   **{_plain(answer)}**" for n, (asked, answer) in enumerate(samples, 1)
        ),
    )


def _plain(text: str) -> str:
    """One line of text that Markdown leaves alone."""
    return " ".join(text.split()).replace("*", "\\*").replace("<", "\\<").replace("`", "'")


def _read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
