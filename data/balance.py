"""How much of each kind is trained: what only supports a character's own lines steps back where there are enough."""

from collections import Counter
from collections.abc import Sequence

from data.filters import normalised
from data.grammar import sentences
from persona.conversation import Conversation

ENOUGH_REAL_REPLIES = 20
"""Below these a character needs every row that there is."""

REAL_SHARE = 0.6
"""Of the trained replies, at least: synthetic answers teach facts in plain words, and plain words wear a voice down."""

ROWS_KEPT_OF_A_SCENE = 2
"""Every lore entry and every answer of the card stays in training, whatever the share; what repeats an answer does not."""

Rows = list[Conversation]
Dropped = list[tuple[Conversation, str]]


def without_examples(rows: Sequence[Conversation]) -> tuple[Rows, Dropped]:
    """(kept, dropped): example lines stand in the prompt word for word, and to train them there teaches to copy."""
    elsewhere = sum(len(row.replies) for row in rows if row.is_real and row.origin != "example")
    if elsewhere < ENOUGH_REAL_REPLIES:
        return list(rows), []
    kept = [row for row in rows if row.origin != "example"]
    return kept, [(row, "example stands in the prompt") for row in rows if row.origin == "example"]


def mostly_real(rows: Sequence[Conversation]) -> tuple[Rows, Dropped]:
    """(kept, dropped): synthetic rows only up to their share; what was said before goes first, then a scene's later rows.

    Said before is an answer that another row gives too, and then one that begins as another does.
    """
    real = sum(len(row.replies) for row in rows if row.is_real)
    if real < ENOUGH_REAL_REPLIES:
        return list(rows), []
    room = int(real * (1 - REAL_SHARE) / REAL_SHARE)
    said: Counter[str] = Counter()
    begun: Counter[str] = Counter()
    repeats: dict[int, tuple[int, int]] = {}
    for place, row in enumerate(rows):
        if not row.is_real:
            answer = normalised(" ".join(row.replies))
            begins = normalised(" ".join(sentences(" ".join(row.replies))[:1]))
            repeats[place] = (said[answer], begun[begins])
            said[answer] += 1
            begun[begins] += 1
    ranked: list[tuple[tuple[int, int], int, int]] = []
    scenes: Counter[tuple[str, str]] = Counter()
    for place in sorted(repeats, key=lambda place: (repeats[place], place)):
        scene = (rows[place].source, rows[place].scene)
        ranked.append((repeats[place], scenes[scene], place))
        scenes[scene] += 1
    # A synthetic row has one reply, so rows are counted.
    too_many = {place for (again, _), rank, place in sorted(ranked)[room:] if again or rank >= ROWS_KEPT_OF_A_SCENE}
    reason = f"synthetic beyond {1 - REAL_SHARE:.0%} of the replies"
    kept = [row for place, row in enumerate(rows) if place not in too_many]
    return kept, [(row, reason) for place, row in enumerate(rows) if place in too_many]
