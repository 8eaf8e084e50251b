"""Rows -> messages that need no card: what other trainers read, made by the function that makes every prompt."""

import dataclasses
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from persona.base import Base
from persona.card import CharacterCard
from persona.conversation import Conversation, Message
from persona.prompt import compose

CONTEXT = 32_768
"""Tokens: other trainers bring other bases, so nothing is cut to the context of the built-in one."""


def render(rows: Sequence[Conversation], card: CharacterCard) -> Iterator[dict[str, Any]]:
    """Each row as `{"id", "messages"}`, the card and its lore in the system message and wherever a prompt has them."""
    template = dataclasses.replace(Base.resolve().template(), context=CONTEXT)
    for row in rows:
        start = len(row.messages)
        while start and row.messages[start - 1].role == "assistant":
            start -= 1
        prompt, _ = compose(row.messages[:start], card, template, lore=row.lore, seed=row.seed)
        reply = Message("assistant", "\n".join(m.content for m in row.messages[start:]))
        yield {"id": row.id, "messages": [m.to_dict() for m in (*_one_system(prompt.messages), reply)]}


def _one_system(messages: Sequence[Message]) -> list[Message]:
    """Later system messages, which many templates refuse, move into the user turn that they stand before."""
    moved = list(messages[:1])
    for before, message in pairwise(messages):
        if before.role == "system" and len(moved) > 1 and message.role == "user":
            moved[-1] = Message("user", f"{before.content}\n{message.content}")
        else:
            moved.append(message)
    return moved
