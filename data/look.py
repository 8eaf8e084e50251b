"""What there is to see of a dataset, as one value, and the counts that page, terminal and dataset card share."""

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest

from data.authored import entry_name
from data.filters import normalised
from data.grammar import sentences
from data.lengths import Lengths, lengths
from data.lore import lore_prose
from data.names import first_name, labels_of, names_of
from data.split import PASSAGE_WORDS, SPLITS
from persona.base import Base
from persona.card import CharacterCard
from persona.conversation import REAL_ORIGINS, Conversation
from persona.formats.folder import LINES_FILE

SAMPLES = 12

COPY = "copy"
"""The kind of a row that is another's with the user's side varied, whatever its origin."""

KINDS = {
    "real": "real lines",
    COPY: "copies, user side varied",
    "greeting": "greetings",
    "example": "examples on the card",
    "lore": "answers from lore",
    "telling": "told unasked",
    "identity": "who they are",
    "unknown": "unknown things",
    "smalltalk": "small talk",
    "teacher": "written by a teacher",
}
"""How people call the kinds of rows: their origins, and copies."""

ON_THE_CARD = ("greeting", "mes_example", "description", "lorebook")
"""Sources of real lines that no speaker of a file is counted for."""

HELD_OUT_LINES = "held-out real replies"
"""The measure between the splits that is a total and no leak."""

LEAKS = {
    "also trained": "of them trained",
    f"share {PASSAGE_WORDS} words in a row with training": f"sharing {PASSAGE_WORDS} words in a row with a trained one",
}

TOLD_SHARE = 0.6
"""Of the longer words of a sentence, those that one reply must hold to tell it: on the two sample characters this
agrees with the retelling in the first person on 376 of 378 sentences, and it needs no grammar."""

_STEM = 4


@dataclass(frozen=True, slots=True)
class RealLines:
    """What became of the character's own lines; a copy of a row counts for nothing, `different` is without repeats."""

    found: int
    trained: int
    held_out: int
    different: int
    """Different ones that are trained."""

    without_dialogue: int = 0
    """Of those left out, the ones that no row was made of: it is not sure whose they are, or the review dropped them."""

    @property
    def left_out(self) -> int:
        """Neither trained nor held out."""
        return self.found - self.trained - self.held_out


@dataclass(frozen=True, slots=True)
class Covered:
    """How much of a lore entry is in rows: `trained` and `held_out` rows, `told` of its `sentences` in trained ones."""

    trained: int
    held_out: int
    told: int = 0
    sentences: int = 0


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
    """What was measured between the splits: how many real replies are held out, and of these the leaks, 0 where all is
    well."""
    notes: Sequence[str]
    labels: frozenset[str] = frozenset()
    """What the character is called in the sources beside its names on the card, in lower case."""

    @property
    def train(self) -> Sequence[Conversation]:
        """The rows that are trained."""
        return self.rows.get("train", ())

    @property
    def held_out(self) -> list[Conversation]:
        """The rows of the other splits."""
        return [row for split in SPLITS[1:] for row in self.rows.get(split, ())]

    @property
    def kept(self) -> list[Conversation]:
        """The rows of all splits."""
        return [*self.train, *self.held_out]

    @cached_property
    def lengths(self) -> Lengths:
        """Token lengths of the kept rows as the built-in base reads them; takes seconds the first time."""
        return lengths(self.kept, self.character, Base.resolve())

    @cached_property
    def kinds(self) -> dict[str, list[tuple[int, int]]]:
        """(dialogues, replies) of each kind in train, validation and test.

        First what the character's author wrote, then copies of it, then the others; the commonest before rarer ones.
        """
        commonest = Counter(map(kind_of, self.kept)).most_common()
        ordered = sorted(commonest, key=lambda kind: 0 if kind[0] in REAL_ORIGINS else 1 if kind[0] == COPY else 2)
        return {
            kind: [_size(row for row in self.rows.get(split, ()) if kind_of(row) == kind) for split in SPLITS]
            for kind, _ in ordered
        }

    @property
    def totals(self) -> list[tuple[int, int]]:
        """(dialogues, replies) of all kinds in train, validation and test."""
        return [_size(self.rows.get(split, ())) for split in SPLITS]

    @property
    def whole_road(self) -> list[tuple[str, int]]:
        """The steps, from the dialogues on that were left out before the first of them."""
        copies = sum(kind_of(row) == COPY for row in self.kept)
        begun = len(self.kept) - copies + len(self.dropped)
        earlier = bool(self.steps) and begun > self.steps[0][1]
        return [*([("found in the sources, or written", begun)] if earlier else []), *self.steps]

    @property
    def reasons(self) -> list[tuple[str, int]]:
        """Why rows were left out, the commonest reason first."""
        return Counter(reason for _, reason in self.dropped).most_common()

    def is_own(self, speaker: str) -> bool:
        """Whether a label of the sources is the character's."""
        return speaker.casefold() in self.labels | labels_of(self.character, first_name(self.character))

    @cached_property
    def real_lines(self) -> RealLines:
        """What became of the character's lines in the sources and on the card."""
        train, held_out, dropped = (
            [row for row in rows if row.is_real and kind_of(row) != COPY]
            for rows in (self.train, self.held_out, [row for row, _ in self.dropped])
        )
        trained = [reply for row in train for reply in row.replies]
        kept = len(trained) + _size(held_out)[1]
        spoken = sum(lines for name, lines in self.speakers if self.is_own(name))
        on_card = _size(row for row in (*train, *held_out, *dropped) if row.source in ON_THE_CARD)[1]
        found = max(spoken + on_card, kept)
        return RealLines(
            found,
            len(trained),
            kept - len(trained),
            len(set(map(normalised, trained))),
            max(found - kept - _size(dropped)[1], 0),
        )

    @cached_property
    def coverage(self) -> dict[str, Covered]:
        """How much of each lore entry is in rows, in the order of the entries."""
        trained = [row for row in self.train if _entry_of(row)]
        counts = [Counter(map(_entry_of, rows)) for rows in (trained, self.held_out)]
        replies: dict[str, list[frozenset[str]]] = {}
        names = names_of(self.character, first_name(self.character))
        for row in trained:
            replies.setdefault(_entry_of(row), []).extend(_stems(reply, names) for reply in row.replies)
        said: dict[str, list[frozenset[str]]] = {}
        book = self.character.character_book
        for place, entry in enumerate(book.entries if book else ()):
            prose = sentences(lore_prose(entry, self.character.spoken_name))
            said.setdefault(entry_name(entry, place), []).extend(_stems(sentence, names) for sentence in prose)
        covered = {}
        for name in self.entries:
            told = [any(_tells(r, s) for r in replies.get(name, ())) for s in said.get(name, ())]
            covered[name] = Covered(counts[0][name], counts[1][name], sum(told), len(told))
        return covered

    @property
    def leaks(self) -> dict[str, int]:
        """What was measured between the splits, each of which should be 0."""
        return {LEAKS.get(what, what): count for what, count in self.leakage.items() if what != HELD_OUT_LINES}

    def samples(self) -> list[Conversation]:
        """A dozen trained rows, drawn by a fixed seed from every kind in turn; of a row and its copy only one."""
        drawn = [
            random.Random(f"look {kind}").sample(rows, min(SAMPLES, len(rows)))
            for kind in self.kinds
            if (rows := [row for row in self.train if kind_of(row) == kind])
        ]
        taken: list[Conversation] = []
        seen: set[str] = set()
        for row in (row for turn in zip_longest(*drawn) for row in turn if row is not None):
            family = row.notes.get("parent", row.id)
            if family not in seen and len(taken) < SAMPLES:
                seen.add(family)
                taken.append(row)
        return taken

    def lines_of(self, source: Mapping[str, str]) -> str:
        """How many lines a source has; of lines.md, what of all lines is no other source's."""
        if source.get("lines") or source.get("name") != LINES_FILE:
            return source.get("lines", "")
        others = sum(int(lines) for each in self.sources if (lines := each.get("lines", "").replace(",", "")).isdigit())
        return f"{sum(lines for _, lines in self.speakers) - others:,}"


def kind_of(row: Conversation) -> str:
    """The origin of a row, or that it is a copy."""
    return COPY if "parent" in row.notes else row.origin


def headline(look: Look) -> str:
    """What became of the character's lines, and of what the trained replies are made up."""
    lines = look.real_lines
    kinds = {kind: counts[0][1] for kind, counts in look.kinds.items()}
    dialogues, replies = look.totals[0]
    written = replies - lines.trained - kinds.get(COPY, 0)
    return (
        f"{look.character.name} has {counted(lines.found, 'line')} in {counted(len(look.sources), 'source')}: "
        f"{lines.trained:,} trained, {lines.held_out:,} held out to test with, {lines.left_out:,} left out. "
        f"To train on there are {counted(dialogues, 'dialogue')} with {counted(replies, 'reply', 'replies')}: "
        f"{counted(lines.trained, 'real line')}, {kinds.get(COPY, 0):,} in copies with the user's side varied, "
        f"{written:,} written from card and lore."
    )


def leak_words(look: Look) -> list[tuple[str, bool]]:
    """Each measure between the splits in words, to be read behind a number of held-out replies; whether it is a leak."""
    return [(f"{count:,} {what}" if count else f"none {what}", count > 0) for what, count in look.leaks.items()]


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its noun: "1 row", "1,200 rows"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _size(rows: Iterable[Conversation]) -> tuple[int, int]:
    """(dialogues, replies)."""
    replies = [len(row.replies) for row in rows]
    return len(replies), sum(replies)


def _entry_of(row: Conversation) -> str:
    """The lore entry that a row was made of, or ""."""
    return row.notes.get("entry") or (row.scene if row.source in ("lore", "lorebook") else "")


def _stems(text: str, names: Iterable[str]) -> frozenset[str]:
    """The beginnings of the longer words of a text: "keeps" and "keep" are one. The character's names say nothing."""
    own = {word for name in names for word in normalised(name).split()}
    return frozenset(word[:_STEM] for word in normalised(text).split() if len(word) >= _STEM and word not in own)


def _tells(reply: frozenset[str], sentence: frozenset[str]) -> bool:
    return len(sentence & reply) >= TOLD_SHARE * len(sentence)
