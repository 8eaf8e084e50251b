"""Where a long scene is cut: windows around the character's lines, and blocks of windows that can be held out."""

from collections.abc import Iterator, Sequence

from data.source import Utterance

WINDOW_TURNS = 12
"""Turns of a scene cut from a script without scenes of its own."""

CONTEXT_TURNS = 3
"""Turns of others that such a scene may begin with."""

GAP_TURNS = 4
"""A character who is silent for longer than this has left the scene."""

WINDOW_CHARACTERS = 3_000

BLOCKS = 12

APART_TURNS = 12
"""Windows with so much between them, a window's length, do not touch."""

Span = tuple[int, int, int]
"""Scene, first turn, turn behind the last."""


def windows(turns: Sequence[Utterance], speaks: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """Bounds of the scenes around the turns that `speaks` marks: bounded, never overlapping, ending on one."""
    free = 0
    for first, mine in enumerate(speaks):
        if not mine or first < free:
            continue
        start = max(free, first - CONTEXT_TURNS)
        end = first + 1
        characters = sum(len(turn.text) for turn in turns[start:end])
        for place in range(end, min(start + WINDOW_TURNS, len(turns))):
            characters += len(turns[place].text)
            if place - end >= GAP_TURNS or characters > WINDOW_CHARACTERS:
                break
            if speaks[place]:
                end = place + 1
        yield _without_strangers(turns, start, first, end), end
        free = end


def _without_strangers(turns: Sequence[Utterance], start: int, first: int, end: int) -> int:
    """Where a window begins without those who neither are answered nor speak again: they belong to the scene before."""
    present = {turn.speaker for turn in turns[max(first - 1, start) : end]}
    while start < first - 1 and turns[start].speaker not in present:
        start += 1
    return start


def blocks_of(spans: Sequence[Span]) -> list[int]:
    """The block of every window: about `BLOCKS` of them in all. A block ends where the character is away for long,
    else every few windows, and then its last window touches the next block."""
    size = max(2, len(spans) // BLOCKS)
    blocks: list[int] = []
    block = filled = 0
    for place, span in enumerate(spans):
        if filled and (filled >= size or not touches(spans[place - 1], span)):
            block, filled = block + 1, 0
        blocks.append(block)
        filled += 1
    return blocks


def touches(window: Span, following: Span) -> bool:
    """Whether one window continues the other, so that it tells what is said there."""
    return window[0] == following[0] and following[1] - window[2] < APART_TURNS
