"""What there is to see of a dataset, as one value, and the counts that page, terminal and dataset card share."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest

from data.lengths import Lengths, lengths
from data.split import SPLITS
from persona.base import Base
from persona.card import CharacterCard
from persona.conversation import Conversation

SAMPLES = 12

KINDS = {
    "real": "real lines",
    "greeting": "greetings",
    "example": "examples on the card",
    "lore": "answers from lore",
    "telling": "told unasked",
    "identity": "who they are",
    "unknown": "unknown things",
    "smalltalk": "small talk",
    "teacher": "written by a teacher",
}
"""How people call the origins of rows."""


@dataclass(frozen=True)
class Look:
    """A dataset with everything that was counted on the way to it; all texts may be a stranger's."""

    character: CharacterCard
    rows: Mapping[str, Sequence[Conversation]]
    """By split: train, validation, test."""
    dropped: Sequence[tuple[Conversation, str]]
    """With the reason."""
    steps: Sequence[tuple[str, int]]
    """What was done, and how many rows were left after it, in order."""
    speakers: Sequence[tuple[str, int]]
    """Who speaks in the sources, and how many lines."""
    sources: Sequence[Mapping[str, str]]
    """name, kind, licence, sha256, lines; language where it is known."""
    quarantined: Sequence[tuple[str, str, str]]
    """Source, place, reason."""
    silent_entries: Sequence[str]
    """Lore entries of which no row was made."""
    entries: Sequence[str]
    """The names of all lore entries."""
    personal: Mapping[str, int]
    """Personal data that was replaced, by type."""
    near_duplicates: Sequence[tuple[str, str]]
    """A few pairs of texts."""
    leakage: Mapping[str, int]
    """What was measured between the splits; 0 is good."""
    notes: Sequence[str]

    @property
    def train(self) -> Sequence[Conversation]:
        """The rows that are trained."""
        return self.rows.get("train", ())

    @property
    def kept(self) -> list[Conversation]:
        """The rows of all splits."""
        return [row for split in SPLITS for row in self.rows.get(split, ())]

    @cached_property
    def lengths(self) -> Lengths:
        """Token lengths of the kept rows as the built-in base reads them; takes seconds the first time."""
        return lengths(self.kept, self.character, Base.resolve())

    @property
    def kinds(self) -> dict[str, list[int]]:
        """Rows of each kind in train, validation and test, the commonest kind first."""
        by_split = [Counter(row.origin for row in self.rows.get(split, ())) for split in SPLITS]
        return {kind: [count[kind] for count in by_split] for kind, _ in sum(by_split, Counter()).most_common()}

    @property
    def reasons(self) -> list[tuple[str, int]]:
        """Why rows were left out, the commonest reason first."""
        return Counter(reason for _, reason in self.dropped).most_common()

    @property
    def coverage(self) -> dict[str, int]:
        """Kept rows that were made of each lore entry, in the order of the entries."""
        made = Counter(
            row.notes.get("entry") or (row.scene if row.source in ("lore", "lorebook") else "") for row in self.kept
        )
        return {entry: made[entry] for entry in self.entries}

    def samples(self) -> list[Conversation]:
        """A dozen trained rows, drawn by a fixed seed from every kind in turn."""
        drawn = [
            random.Random(f"look {kind}").sample(rows, min(SAMPLES, len(rows)))
            for kind in self.kinds
            if (rows := [row for row in self.train if row.origin == kind])
        ]
        in_turn = [row for turn in zip_longest(*drawn) for row in turn if row is not None]
        return sorted(in_turn[:SAMPLES], key=lambda row: list(self.kinds).index(row.origin))


def headline(look: Look) -> str:
    """One sentence: what is trained, made from what, what is held out, what was left out."""
    real = sum(len(row.replies) for row in look.train if row.is_real)
    replies = sum(len(row.replies) for row in look.train)
    held_out = len(look.kept) - len(look.train)
    share = f", {real / replies:.0%} of them the character's own lines" if replies else ""
    return (
        f"{counted(len(look.train), 'dialogue')} with {counted(replies, 'reply', 'replies')} of "
        f"{look.character.name} to train on{share}, made from {counted(len(look.sources), 'source')}; "
        f"{counted(held_out, 'dialogue')} held out to test with, {counted(len(look.dropped), 'dialogue')} left out."
    )


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its noun: "1 row", "1,200 rows"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def replies_by_split(look: Look) -> list[int]:
    """Replies of the character in train, validation and test."""
    return [sum(len(row.replies) for row in look.rows.get(split, ())) for split in SPLITS]
