"""Dataset rows as training examples, and their order: a pure function of rows and seed."""

import hashlib
import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from finetune.encoded import on_disk
from persona.card import CharacterCard
from persona.conversation import Conversation
from persona.errors import PersonaError
from persona.prompt import IGNORED, Example, encode
from persona.template import ChatTemplate

_POOL = 16
"""Steps whose rows are sorted together: they are alike, and still in another mix in every epoch."""

_DISCORD = re.compile(r"(?<![a-z])discord(?![a-z])", re.IGNORECASE)


def read_split(dataset: Path, split: str, name: str) -> Iterator[Conversation]:
    """The rows of `dataset`/`split`.jsonl, read one at a time; none where the builder made no such file.

    Raises `PersonaError` for a row that is none, and for text that came from Discord.
    """
    file = dataset / f"{split}.jsonl"
    if not file.is_file() and split != "train":
        return
    if not file.is_file():
        raise PersonaError(
            f"There is no dataset for {name!r} yet.", where=str(file), fix=f"python -m data {quote(name)}"
        )
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                where = f"{file}, line {number}"
                try:
                    row = Conversation.from_row(json.loads(line), where)
                except (ValueError, TypeError) as error:
                    raise PersonaError(
                        f"A dataset row cannot be read: {error}", where=where, fix=f"python -m data {quote(name)}"
                    ) from error
                _refuse_discord(row, where)
                yield row


def _refuse_discord(row: Conversation, where: str) -> None:
    provenance = [row.source, *(f"{key}: {value}" for key, value in row.notes.items() if key != "entry")]
    if any(_DISCORD.search(text) for text in provenance):
        raise PersonaError(
            f"Row {row.id!r} comes from Discord, whose Developer Policy (21) forbids training on message content.",
            where=where,
            fix="remove that source and build the dataset again",
        )


def encode_rows(
    rows: Iterable[Conversation], card: CharacterCard, template: ChatTemplate
) -> tuple[Sequence[Example], list[str], Counter[str]]:
    """Ids and labels of every row, on disk; the replies that do not fit the context; what prompts had to cut or alter.

    The last are counted in rows. Raises `PersonaError` naming the first row that would train nothing at all.
    """
    skipped: list[str] = []
    notes: Counter[str] = Counter()

    def encoded() -> Iterator[Example]:
        for row in rows:
            reasons: list[str] = []
            told: list[str] = []
            made = encode(row, card, template, on_skip=reasons.append, on_note=told.append)
            trained = [example for example in made if trained_tokens(example)]
            if not trained:
                raise PersonaError(
                    f"Row {row.id!r} has no trained token: "
                    f"{reasons[0] if reasons else f'it holds no reply of {card.name}'}.",
                    where=f"context of {template.context} tokens",
                    fix="remove the row, or train with a longer --context if the base has one",
                )
            skipped.extend(f"{row.id}: {reason}" for reason in reasons)
            notes.update(dict.fromkeys(told, 1))
            yield from trained

    return on_disk(encoded()), skipped, notes


def trained_tokens(example: Example) -> int:
    """How many tokens of an example the loss is taken over; its first token has nothing before it to predict it."""
    return sum(label != IGNORED for label in example.labels[1:])


def digest_of(*groups: Sequence[Example]) -> str:
    """SHA-256 over ids and labels: it changes with rows, card, lore, template and how prompts are composed."""
    digest = hashlib.sha256()
    for group in groups:
        digest.update(f"group of {len(group)}\n".encode())
        for example in group:
            digest.update(json.dumps([example.id, example.ids, example.labels]).encode())
    return digest.hexdigest()


def plan_epoch(likeness: Sequence[Any], *, seed: int, epoch: int, rows_per_step: int) -> list[list[int]]:
    """The steps of one epoch, each a list of row numbers; every row occurs once, and one step holds what remains.

    Rows of a step are alike in `likeness`, a value a row: their lengths, so that there is little padding, or their ids,
    so that their prompts can be shared. It is asked for where it is needed, and not held for the whole epoch.
    """
    rng = random.Random(f"{seed} order {epoch}")
    rows = list(range(len(likeness)))
    rng.shuffle(rows)
    steps = []
    for start in range(0, len(rows), rows_per_step * _POOL):
        pool = sorted(rows[start : start + rows_per_step * _POOL], key=lambda row: (likeness[row], row))
        steps += [pool[first : first + rows_per_step] for first in range(0, len(pool), rows_per_step)]
    rng.shuffle(steps)
    return steps
