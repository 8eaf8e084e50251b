"""The name of a novel's first-person narrator: the one with which the others answer "I said"."""

from collections import Counter
from collections.abc import Sequence

from data.novel.people import People
from data.novel.turns import Turn

_LEAST_SHARE = 0.01
"""The share of turns that must be the narrator's own for a novel to be told in the first person."""
_HARDLY_TOLD = 5
"""The narrator's name stands so many times more often in quotations than in narration, which says "I"."""


def is_told_by_speaker(turns: Sequence[Turn]) -> bool:
    """Whether the narrator says things in the novel: "I said"."""
    return sum(map(_is_own, turns)) > _LEAST_SHARE * len(turns)


def find_narrator(turns: Sequence[Turn], people: People) -> int | None:
    """The number of the narrator, None where no name is clearly theirs.

    Names with which turns beside those of the narrator address somebody are counted. The first of them must hardly
    stand in narration, must be frequent (or, in a short text, stand beside every sixth turn of the narrator), and must
    leave the others behind, so that where several narrate none is taken.
    """
    own = [_is_own(turn) for turn in turns]
    heard: Counter[int] = Counter()
    for i, turn in enumerate(turns):
        after = i > 0 and own[i - 1] and turn.gap < 2
        before = i + 1 < len(turns) and own[i + 1] and turns[i + 1].gap < 2
        if not own[i] and (after or before):
            heard.update({person for words in turn.called if (person := people.find(words)) is not None})
    ranked = [(count, p) for p, count in heard.most_common() if people.told[p] * _HARDLY_TOLD <= people.quoted[p]]
    if not ranked:
        return None
    count, narrator = ranked[0]
    names = set(people.names[narrator].lower().split())
    rival = next((n for n, p in ranked[1:] if names.isdisjoint(people.names[p].lower().split())), 0)
    often = count >= 5 and count * 50 >= sum(own) and rival * 5 < count * 2
    always = count >= 2 and count * 6 >= sum(own) and rival * 2 <= count and people.told[narrator] == 0
    return narrator if often or always else None


def _is_own(turn: Turn) -> bool:
    tags = (tag for line in turn.lines for tag in (line.after, line.before))
    return any(tag and tag.form == "direct" and tag.subject.kind == "I" for tag in tags)
