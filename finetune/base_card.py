"""The model card of a base that `finetune.pretrain` makes: its data with attributions, its size, and its limits."""

_CARD = """\
---
license: mit
language: en
library_name: transformers
pipeline_tag: text-generation
---

# persona-nano

A very small conversational language model, so that the whole road from lore to a talking character can be walked on
any machine in minutes, with no network, no GPU and no account. It is a stand-in for a real base, not a competitor of one.

- **Architecture:** Llama, {millions:.2f} M parameters (6 layers, hidden size 288, 6 heads, 3 key/value heads, tied
  embeddings), bfloat16 safetensors.
- **Tokenizer:** byte-level BPE, {vocabulary:,} tokens, trained on the same text.
- **Context:** {context:,} tokens.
- **Chat template:** markers `<|system|> <|user|> <|assistant|> <|end|>`.
- **Training:** {made}
- **Held-out data:** {held_out}

## Data

| corpus | what | licence | by |
|---|---|---|---|
| Synthetic-Persona-Chat | conversations between people with a persona | CC BY 4.0 | Jandaghi et al., Google, 2023 |
| Topical-Chat | conversations about topics | CDLA-Sharing-1.0 | Gopalakrishnan et al., Amazon, 2019 |
| Taskmaster-4 | ordering coffee | CC BY 4.0 | Google Research |
| LitBank editions | English novels, public domain | CC BY 4.0 | Bamman et al. |
| ELTeC-eng | English novels, public domain | CC BY 4.0 | COST Action CA16204, Distant Reading for European Literary History |

The texts were cleaned: placeholders filled with invented names or left out, verse and headings removed, direct speech
in novels read as conversation. No text of the corpora is in this repository.

## What it cannot do

It answers in short, often plain sentences, and often ignores its system message. It knows no facts that can be relied
on, cannot calculate, follow instructions, translate or write code, and knows English alone. Novels of the nineteenth
century carry the prejudices of their time, and some of them remain. Nothing it says is advice. For a character that
holds a conversation, train on a real base: `--model Qwen/Qwen3-4B-Instruct-2507`.
"""


def base_card(*, parameters: int, vocabulary: int, context: int, made: str, held_out: str) -> str:
    """README.md in the Hub's form; `made` and `held_out` are sentences."""
    return _CARD.format(millions=parameters / 1e6, vocabulary=vocabulary, context=context, made=made, held_out=held_out)
