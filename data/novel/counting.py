"""Turns of which nothing is told: whose they are by counting from those of which something is, and how surely."""

from itertools import pairwise

from data.novel.story import NARRATOR, UNKNOWN, Decision, Story
from data.novel.subjects import subjects_of, tokens_of

_BY_TURN = ("turns", "answer", "answer, far", "other")
"""The rules that go only by whose turn it is in a conversation without narration."""
_SURE = ("name", "narrator", "title", "clause", "relative", "pronoun, only", "pronoun, paragraph")
"""The rules of turns from which those between them may be counted."""
_UNTOLD = (*_BY_TURN, "turns, fitting", "turns, doubtful", "turns, gap", "other, gap", "unknown")
_MET_BEFORE = 4
"""Turns before a conversation without narration in which those who take part may have spoken."""
_MOST_IN_TURN, _MOST_BETWEEN = 2, 3
"""People of a conversation without narration whose turns are counted after a sure one, and between two sure ones."""


def count(story: Story, given: list[list[Decision]]) -> None:
    """Give the turns that go by whose turn it is their final speakers and rules; `given` holds those of every turn's lines.

    Turns of which nothing is told wait for those after them: for the answer that calls somebody by name, and for the next
    one whose speaker is told.
    """
    _look_ahead(story, given)
    _compare(story, given)
    _count_from_sure(story, given)


def _look_ahead(story: Story, given: list[list[Decision]]) -> None:
    """Turns before the first tag of a conversation: the one who is answered by name, or who has the next but one."""
    for i in range(len(given) - 3, -1, -1):
        if given[i][-1] != UNKNOWN or story.turns[i + 1].gap or story.turns[i + 1].loose:
            continue
        answering, called = given[i + 1][0][0], sorted(story.called[i + 1])
        after = given[i + 2][0][0] if story.turns[i + 2].gap == 0 else None
        person = called[0] if len(called) == 1 else after
        if person is not None and person != answering and person not in story.called[i]:
            given[i] = [(person, "other")] * len(given[i])
            story.speakers[i] = person


def _compare(story: Story, given: list[list[Decision]]) -> None:
    """Check turns that alternate against the next one of which narration says who speaks.

    Where they agree they are surer; where they do not, those nearer to the next one go by it.
    """
    i = 0
    while i < len(given):
        if given[i][-1][1] not in _BY_TURN:
            i += 1
            continue
        j = i + 1
        while j < len(given) and story.turns[j].gap == 0 and given[j][0][1] in _BY_TURN:
            j += 1
        known = given[j][0][0] if j < len(given) and story.turns[j].gap == 0 else None
        if known is not None:
            _settle(given, i, j, known)
        i = j


def _settle(given: list[list[Decision]], start: int, stop: int, known: int) -> None:
    """Give the turns from `start` to before `stop` their final rule, when the speaker of turn `stop` is known."""
    speakers = [decisions[-1][0] for decisions in given[start:stop]] + [known]
    others = {person for person in speakers if person not in (None, known)}
    agree = len(others) < 2 and all(one != other for one, other in pairwise(speakers))
    for i in range(start, stop):
        person, rule = given[i][-1]
        if agree and rule == "answer":
            continue
        rule = "turns, fitting" if agree else "turns, doubtful"
        if not agree and (stop - i) * 2 <= stop - start + 1:
            if (stop - i) % 2 == 0:
                person = known
            elif len(others) == 1:
                person = next(iter(others))
        given[i] = [(person, rule)] * len(given[i])


def _count_from_sure(story: Story, given: list[list[Decision]]) -> None:
    """Give a rule of their own to the turns that are counted from turns whose speakers are told, in conversations of few."""
    start = 0
    while start < len(given):
        stop = start + 1
        while stop < len(given) and story.turns[stop].gap == 0 and not story.turns[stop].loose:
            stop += 1
        people = {person for decisions in given[start:stop] for person, _ in decisions}
        if len(people) <= _MOST_BETWEEN:
            met = _met(story, given, start, stop)
            told = [i for i in range(start, stop) if given[i][-1][1] not in _UNTOLD]
            for before, after in pairwise([start - 1, *told, stop]):
                if after - before > 1 and not _contradicted(story, given, max(before, start), min(after + 1, stop)):
                    sure = (
                        before >= start and given[before][-1][1] in _SURE,
                        after < stop and given[after][0][1] in _SURE,
                    )
                    _surer(given, before + 1, after, met, sure, len(people) <= _MOST_IN_TURN)
        start = stop


def _met(story: Story, given: list[list[Decision]], start: int, stop: int) -> set[int | None]:
    """The people who surely speak in a conversation, or did right before it, and those whom it calls by name."""
    first = start
    while first > max(0, start - _MET_BEFORE) and story.turns[first].gap < 2:
        first -= 1
    sure = {person for decisions in given[first:stop] for person, rule in decisions if rule in _SURE}
    return sure.union(*story.called[start:stop])


def _contradicted(story: Story, given: list[list[Decision]], start: int, stop: int) -> bool:
    """Whether some turns do not alternate, or somebody among them speaks of themselves by name, as people do of others."""
    if any(one[-1][0] == other[0][0] for one, other in pairwise(given[start:stop])):
        return True
    return any(_names_itself(story, i, given[i][-1][0]) for i in range(start, stop) if given[i][-1][1] in _UNTOLD)


def _surer(
    given: list[list[Decision]], start: int, stop: int, met: set[int | None], told: tuple[bool, bool], two: bool
) -> None:
    """Give the turns from `start` to before `stop`, of which nothing is told, their final rule.

    `told`: whether the turns before and after them surely are whose they are said to be; `two`: at most two people talk.
    """
    before, after = told
    for i in range(start, stop):
        person, rule = given[i][-1]
        if rule == "answer":
            before = True
        elif before and person in met and ((rule == "turns" and two) or (rule == "turns, fitting" and after)):
            given[i] = [(person, "turns, two" if rule == "turns" else "turns, between")] * len(given[i])


def _names_itself(story: Story, i: int, person: int | None) -> bool:
    """Whether a turn speaks of the one who is taken for its speaker by name, as people do of others."""
    person = story.narrator if person == NARRATOR else person
    if person is None:
        return False
    quotations = (story.quotations[line.number] for line in story.turns[i].lines)
    named = (place.subject for q in quotations for place in subjects_of(tokens_of(story.text, q.start, q.end)))
    return any(subject.kind == "name" and story.people.find(subject.words) == person for subject in named)
