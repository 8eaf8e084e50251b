"""Near duplicates among the rows of a dataset: which are dropped, and which must stay in one split."""

import re
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from data.filters import normalised
from data.shingles import SHINGLE_CHARACTERS, Pairs, near_pairs
from persona.conversation import Conversation

THRESHOLD = 0.8

LONG_REPLY_CHARACTERS = 40
"""Shorter replies are said again by chance, and join no rows."""


def near_duplicates(texts: Sequence[str], threshold: float = THRESHOLD) -> list[tuple[int, int]]:
    """Pairs (i, j), i < j, in order, whose Jaccard similarity on 5-grams of `normalised` text is `threshold` or more.

    Texts that are equal once normalised are each paired with the first of them, which alone is compared with others. Of
    fewer than five characters only equal ones are near. `threshold` is above 0 and at most 1. See `shingles.CROWD`.
    """
    left, right = _near(texts, threshold)
    place = list(range(len(texts))).__getitem__  # each number once in memory, however many pairs
    return list(zip(map(place, left), map(place, right), strict=True))


def similarity(one: str, other: str) -> float:
    """Jaccard similarity of two texts on the 5-grams of their normalised forms, 0 to 1."""
    a, b = (_comparable(text) for text in (one, other))
    if a == b:
        return 1.0
    first, second = ({t[i : i + SHINGLE_CHARACTERS] for i in range(max(1, len(t) - 4))} for t in (a, b))
    return len(first & second) / len(first | second)


def drop_near_duplicates(
    rows: Sequence[Conversation],
) -> tuple[list[Conversation], list[tuple[Conversation, str]]]:
    """(kept, (dropped, reason)), in order. Of rows that are near in context and in replies the first is kept.

    Each part is compared for itself: a long answer to two different questions is no duplicate. Rows with lore and rows
    without are told apart.
    """
    gone: set[int] = set()
    for lore in (True, False):
        numbers = [i for i, row in enumerate(rows) if row.lore == lore]
        parts = [_parts(rows[i]) for i in numbers]
        wholes = [normalised(" ".join(both)) for both in parts]
        earlier: dict[int, list[int]] = defaultdict(list)
        for i, j in near_duplicates(wholes):
            if all(similarity(a, b) >= THRESHOLD for a, b in zip(parts[i], parts[j], strict=True)):
                earlier[j].append(i)
        for j in sorted(earlier):
            if any(numbers[i] not in gone or wholes[i] == wholes[j] for i in earlier[j]):
                gone.add(numbers[j])
    kept = [row for i, row in enumerate(rows) if i not in gone]
    return kept, [(rows[i], "near duplicate") for i in sorted(gone)]


def cluster_rows(rows: Sequence[Conversation]) -> list[int]:
    """The cluster of each row, counted from 0: a split that keeps clusters whole holds out nothing that is trained.

    Rows are joined when they are near as a whole, or when they have a long reply that is near, whatever was asked.
    """
    whole = _near([" ".join(_parts(row)) for row in rows], THRESHOLD)
    said = [(i, reply) for i, row in enumerate(rows) for reply in row.replies if len(reply) >= LONG_REPLY_CHARACTERS]
    owners = np.array([i for i, _ in said], np.int64)
    left, right = _near([reply for _, reply in said], THRESHOLD)
    return _joined(len(rows), whole, (owners[left], owners[right]))


def _parts(row: Conversation) -> tuple[str, str]:
    """What the others say, and what the character says."""
    return " ".join(m.content for m in row.messages if m.role != "assistant"), " ".join(row.replies)


def _comparable(text: str) -> str:
    return normalised(text) or re.sub(r"\s+", " ", text).strip()


def _near(texts: Sequence[str], threshold: float) -> Pairs:
    """The pairs of `near_duplicates`."""
    seen: dict[str, int] = {}
    first = np.array([seen.setdefault(_comparable(text), i) for i, text in enumerate(texts)], np.int64)
    places = np.array(list(seen.values()), np.int64)
    left, right = near_pairs(list(seen), threshold)
    later = np.flatnonzero(first != np.arange(len(texts)))
    left, right = np.concatenate([first[later], places[left]]), np.concatenate([later, places[right]])
    order = np.lexsort((right, left))
    return left[order], right[order]


def _joined(count: int, *graphs: Pairs) -> list[int]:
    """Union-find over the pairs; every cluster is led by its first member."""
    leader = list(range(count))

    def lead(i: int) -> int:
        while leader[i] != i:
            leader[i] = i = leader[leader[i]]
        return i

    for left, right in graphs:
        for i, j in zip(left, right, strict=True):
            a, b = lead(int(i)), lead(int(j))
            leader[max(a, b)] = min(a, b)
    numbers: dict[int, int] = {}
    return [numbers.setdefault(lead(i), len(numbers)) for i in range(count)]
