"""Talk with a lorebook, as its tests write it."""

import random

from persona.conversation import Message
from persona.formats.macros import expand as expand_macros
from persona.lorebook import LoreEntry


def words(text):
    return len(text.split())


def expand(text):
    return expand_macros(text, char="Ada", user="Tom", rng=random.Random(0))


def talk(*lines):
    """Turns that end with the user's; a line "Ada: ..." is the character's."""
    return [
        Message("assistant", line.removeprefix("Ada: ")) if line.startswith("Ada: ") else Message("user", line)
        for line in lines
    ]


def scan(book, *lines, standing=(), turn=0, budget=1000, seed=0, **more):
    messages = [line if isinstance(line, Message) else talk(line)[0] for line in lines]
    return book.scan(
        messages, standing=frozenset(standing), turn=turn, char="Ada", user="Tom", expand=expand,
        count_tokens=words, token_budget=budget, seed=seed, **more,
    )  # fmt: skip


def entry(keys="lamp", content="The lamp is lit at dusk.", **fields):
    return LoreEntry(**{"keys": keys, "content": content, "name": str(keys), **fields})


def reason(book, *lines, **more):
    (decision,) = scan(book, *lines, **more)
    return decision.included, decision.reason


def names(decisions):
    return [d.name for d in decisions if d.included]


def constants(book, budget=1000, seed=0):
    return book.constants(expand=expand, count_tokens=words, token_budget=budget, seed=seed)
