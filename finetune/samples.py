"""The same questions answered again and again while a model learns, so that a person can hear it change."""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from persona.card import CharacterCard
from persona.conversation import Conversation, Message
from persona.prompt import compose
from persona.template import ChatTemplate

if TYPE_CHECKING:
    from accelerate import Accelerator

QUESTIONS = 4
REPLY_TOKENS = 48

Question = tuple[str, tuple[int, ...]]


def sample_prompts(rows: Iterable[Conversation], card: CharacterCard, template: ChatTemplate) -> list[Question]:
    """(words, ids of the prompt) of who the character is, and of the first held-out turns that somebody says to it."""
    asked = (row.messages for row in rows if row.is_real and row.messages[0].role == "user")
    talks = (messages[: [m.role for m in messages].index("assistant")] for messages in asked)
    chosen: dict[tuple[Message, ...], None] = {}
    for talk in chain([(Message("user", "Who are you?"),)], talks):
        chosen[talk] = None
        if len(chosen) == QUESTIONS:
            break
    return [(talk[-1].content, compose(talk, card, template)[0].ids) for talk in chosen]


def answers(model: Any, questions: Sequence[Question], template: ChatTemplate, accelerator: "Accelerator") -> list[str]:
    """The most probable answer to each, as far as `REPLY_TOKENS`; afterwards the model trains again if it did before."""
    import torch

    from finetune.parallel import is_sharded

    inner = accelerator.unwrap_model(model)
    was_training = inner.training
    inner.eval()
    said = []
    with torch.no_grad(), accelerator.autocast():
        for _, ids in questions:
            prompt = torch.tensor([ids], device=accelerator.device)
            made = inner.generate(
                input_ids=prompt,
                attention_mask=torch.ones_like(prompt),
                max_new_tokens=REPLY_TOKENS,
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                use_cache=True,
                eos_token_id=list(template.stop_ids),
                pad_token_id=template.stop_ids[0],
                synced_gpus=is_sharded(inner),
            )
            said.append(template.decode(made[0, len(ids) :].tolist()).strip())
    inner.train(was_training)
    return said
