"""Everything between the text and the first step: the documents, the tokenizer trained on them, and pools of ids.

The result depends on the corpora and the seed alone.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.pretrain.corpora import Document, read_corpora
from finetune.pretrain.invented import invent
from finetune.pretrain.mixture import Pool, encode
from finetune.pretrain.tokenizer import END, chat_template, train_tokenizer
from finetune.pretrain.views import random_view
from persona.conversation import Message
from persona.template import ChatTemplate

if TYPE_CHECKING:
    from tokenizers import Tokenizer

VIEWS = {"persona": 6, "topics": 2, "speech": 2, "orders": 1}
"""How often a dialogue is rendered, with other names, another speaker as the character, another system message."""

INVENTED = 60_000
TOKENIZER_PROSE, TOKENIZER_INVENTED = 20_000, 4_000
"""Characters of each novel, and invented conversations, that the tokenizer is trained on beside all dialogues."""


@dataclass(frozen=True, slots=True)
class Material:
    """What training takes, and the documents that it never sees."""

    tokenizer: "Tokenizer"
    pools: Mapping[str, Pool]
    trained: Sequence[Document]
    held_out: Sequence[Document]


def prepare(corpora: Path, seed: int) -> Material:
    """Read the corpora, train the tokenizer, render and encode. Raises `PersonaError`."""
    documents = list(read_corpora(corpora))
    trained = [document for document in documents if not document.held_out]
    rng = random.Random(f"{seed} invented")
    invented = [invent(rng) for _ in range(INVENTED)]
    tokenizer = train_tokenizer(_tokenizer_texts(trained, invented))
    template = chat_template(tokenizer)
    pools = {"invented": encode([_rendered(talk, template) for talk in invented], tokenizer)}
    for kind, times in VIEWS.items():
        rng = random.Random(f"{seed} {kind}")
        of_kind = [document for document in trained if document.kind == kind]
        views = [random_view(document, rng) for _ in range(times) for document in of_kind]
        pools[kind] = encode([_rendered(view, template) for view in views], tokenizer)
    prose = [document.text + END for document in trained if document.kind == "prose"]
    pools["prose"] = encode(prose, tokenizer, "cut")
    pools["repeated"] = replace(pools["prose"], form="repeated")
    return Material(tokenizer, pools, trained, [document for document in documents if document.held_out])


def _rendered(messages: Sequence[Message], template: ChatTemplate) -> str:
    return template.render(messages, add_generation_prompt=False)


def _tokenizer_texts(trained: Sequence[Document], invented: Sequence[Sequence[Message]]) -> Iterable[str]:
    for document in trained:
        yield from (turn.text for turn in document.turns)
        yield from (sentence for sentences in document.personas for sentence in sentences)
        yield document.text[:TOKENIZER_PROSE]
    for talk in invented[:TOKENIZER_INVENTED]:
        yield from (message.content for message in talk)
