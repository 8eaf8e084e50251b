"""Examples packed into rows that compute their common beginning once: every dialogue of a row sees the shared persona
prompt and itself, and never its neighbours. Exact, because a mask says so and positions restart behind the prefix.

    example 1: P P P P a a a            row:       P P P P a a a b b
    example 2: P P P P b b              positions: 0 1 2 3 4 5 6 4 5
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from persona.prompt import IGNORED, Example

ROW_TOKENS = 2_048
"""A row's length, at most, where several dialogues share it: attention over a row grows with its square."""

FEWEST_SHARED = 16
"""Tokens: a shorter common beginning is not worth a mask."""


@dataclass(frozen=True, slots=True)
class Pack:
    """One row of a batch: examples by their numbers, whose first `prefix` tokens are the same and stand there once."""

    examples: tuple[int, ...]
    prefix: int
    tokens: int


def pack(examples: Sequence[Example], rows: Sequence[int], *, share: bool) -> list[Pack]:
    """The examples numbered `rows` as rows of a batch, with the fewest tokens that sharing beginnings allows.

    Sorted by their ids, examples with a common beginning are neighbours, and the best cut into runs of neighbours is
    found from left to right. Without `share` every example is a row of its own. Time grows with the square of `rows`.
    """
    if not share:
        return [Pack((row,), 0, len(examples[row].ids)) for row in rows]
    order = sorted(rows, key=lambda row: (examples[row].ids, row))
    lengths = [len(examples[row].ids) for row in order]
    # The token behind a prefix is context in every dialogue: nothing in the prefix predicts it.
    bounds = [_context(examples[row]) - 1 for row in order]
    common = [_common(examples[a].ids, examples[b].ids) for a, b in pairwise(order)]
    best = [0]  # the fewest tokens of the first examples, and where their last row begins
    begins = [0]
    for end in range(1, len(order) + 1):
        prefix, own = bounds[end - 1], 0
        ways = []
        for start in range(end - 1, -1, -1):
            prefix = min(prefix, bounds[start], *common[start : start + 1] if start < end - 1 else ())
            own += lengths[start]
            tokens = own - (end - start - 1) * prefix
            if start < end - 1 and (prefix < FEWEST_SHARED or tokens > ROW_TOKENS):
                break
            ways.append((best[start] + tokens, start))
        tokens, start = min(ways)
        best.append(tokens)
        begins.append(start)
    packs: list[Pack] = []
    end = len(order)
    while end:
        start = begins[end]
        prefix = min([*bounds[start:end], *common[start : end - 1]]) if end - start > 1 else 0
        packs.append(Pack(tuple(order[start:end]), prefix, best[end] - best[start]))
        end = start
    return packs[::-1]


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens two sequences begin with alike."""
    return next(
        (i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )


def _context(example: Example) -> int:
    """How many tokens stand before the first trained one."""
    return next((place for place, label in enumerate(example.labels) if label != IGNORED), len(example.labels))


def forwards(packs: Sequence[Pack], budget: int) -> list[list[Pack]]:
    """The rows of a step, shared out to forward passes of at most `budget` tokens with their padding, longest first.

    A row that is longer than the budget has a pass of its own.
    """
    passes: list[list[Pack]] = []
    for row in sorted(packs, key=lambda each: (-each.tokens, each.examples)):
        # Rows come longest first, so a pass is as wide as its first row.
        fitting = [each for each in passes if (len(each) + 1) * each[0].tokens <= budget]
        if fitting:
            min(fitting, key=lambda each: each[0].tokens - row.tokens).append(row)
        else:
            passes.append([row])
    return passes
