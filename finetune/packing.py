"""Examples laid into forward passes so that what they begin with in common is computed once: a tree of segments, each of
which sees those behind it and itself, and never its neighbours.

    example 1: P P P P Q Q a a     segments:  P P P P  Q Q  a a  b b  c c c
    example 2: P P P P Q Q b b     behind it:          P    P Q  P Q  P
    example 3: P P P P c c c       positions: 0 1 2 3  4 5  6 7  6 7  4 5 6
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from persona.prompt import IGNORED, Example

GRAIN = 16
"""Common beginnings are cut at multiples of so many tokens: a shorter segment is not worth an attention of its own."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Tokens `start` to `stop` of an example, and the numbers of the segments that hold what stands before them."""

    example: int
    start: int
    stop: int
    behind: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Pass:
    """One forward pass: examples by their numbers in the order of their trained tokens, and what it computes.

    With `segments` it is one row of them, without any padding. Without, each example is a row, as wide as the longest.
    """

    examples: tuple[int, ...]
    segments: tuple[Segment, ...]
    tokens: int


def passes(examples: Sequence[Example], rows: Sequence[int], budget: int, *, share: bool) -> list[Pass]:
    """The examples numbered `rows` in forward passes of at most `budget` tokens, with their padding where they have any.

    With `share` they are sorted by how they begin, and common beginnings are computed once in a pass; the last trained
    tokens of all are those of the examples alone. An example that is longer than the budget has a pass of its own.
    """
    return _shared(examples, rows, budget) if share else _padded(examples, rows, budget)


def _padded(examples: Sequence[Example], rows: Sequence[int], budget: int) -> list[Pass]:
    """Rows of one example each: best fit, the longest first."""
    groups: list[list[int]] = []
    lengths = {row: len(examples[row].ids) for row in rows}
    for row in sorted(rows, key=lambda each: (-lengths[each], each)):
        # Rows come longest first, so a pass is as wide as its first row.
        fitting = [group for group in groups if (len(group) + 1) * lengths[group[0]] <= budget]
        if fitting:
            min(fitting, key=lambda group: lengths[group[0]] - lengths[row]).append(row)
        else:
            groups.append([row])
    return [Pass(tuple(group), (), len(group) * lengths[group[0]]) for group in groups]


def _shared(examples: Sequence[Example], rows: Sequence[int], budget: int) -> list[Pass]:
    """Neighbours in the order of their beginnings, as many as fit."""
    openings = {row: _opening(examples[row]) for row in rows}
    order = sorted(rows, key=lambda row: (openings[row], row))
    lengths = [len(examples[row].ids) for row in order]
    common = [_common(openings[a], openings[b]) for a, b in pairwise(order)]
    made: list[Pass] = []
    first, tokens = 0, 0
    for place, length in enumerate(lengths):
        more = length - (common[place - 1] if place > first else 0)
        if place > first and tokens + more > budget:
            made.append(_tree(order, lengths, common, first, place, tokens))
            first, tokens, more = place, 0, length
        tokens += more
    return [*made, _tree(order, lengths, common, first, len(order), tokens)] if order else []


def _opening(example: Example) -> tuple[int, ...]:
    """What may be shared: the context, but its last token, which predicts the first trained one."""
    context = next((place for place, label in enumerate(example.labels) if label != IGNORED), len(example.labels))
    return tuple(example.ids[: max(0, context - 1) // GRAIN * GRAIN])


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens two sequences begin with alike, in whole grains."""
    shorter = min(len(first), len(second))
    alike = next((i for i in range(shorter) if first[i] != second[i]), shorter)
    return alike // GRAIN * GRAIN


def _tree(
    order: Sequence[int], lengths: Sequence[int], common: Sequence[int], first: int, last: int, tokens: int
) -> Pass:
    """The pass of the neighbours `first` to `last`: `common` is what each begins with like the next."""
    segments: list[Segment] = []
    groups: list[tuple[int, int, int, tuple[int, ...]]] = [(first, last, 0, ())]
    while groups:
        begin, end, start, behind = groups.pop()
        if end - begin == 1:
            segments.append(Segment(order[begin], start, lengths[begin], behind))
            continue
        shared = min(common[begin : end - 1])
        if shared > start:
            behind = (*behind, len(segments))
            segments.append(Segment(order[begin], start, shared, behind[:-1]))
        # Where neighbours have no more than this in common, one group ends and the next begins.
        borders = [begin, *(place + 1 for place in range(begin, end - 1) if common[place] == shared), end]
        groups += [(a, b, shared, behind) for a, b in reversed(list(pairwise(borders)))]
    return Pass(tuple(order[first:last]), tuple(segments), tokens)
