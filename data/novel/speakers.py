"""From what narration says beside each turn to who speaks it: tags first, then whose turn it is."""

import re
from collections.abc import Sequence
from itertools import pairwise

from data.novel.people import People
from data.novel.quotations import Quotation
from data.novel.reference import by_narration_above, by_noun, by_pronoun
from data.novel.story import NARRATOR, UNKNOWN, Decision, Story
from data.novel.tags import Tag
from data.novel.turns import Line, Turn
from data.novel.words import word_set

_PAUSE = 3
"""Paragraphs of narration after which a conversation is another one."""
_NEAR = 1_500
_SILENT = re.compile(
    r"\b(?:no (?:answer|reply|response)|nothing|silent|(?:not|n't) (?:answer|reply|speak)|never (?:answered|spoke))\b"
)
_SILENT_CHARACTERS = 300
_FIRST_WORD = re.compile(r"[^\W_]+")
_REPLIES = word_set("no yes well oh ah and but nonsense indeed really never certainly nothing nay ay aye")
_BY_TURN = ("turns", "answer", "other")
"""The rules that go only by whose turn it is in a conversation without narration."""


def decide(
    text: str,
    quotations: Sequence[Quotation],
    turns: Sequence[Turn],
    people: People,
    first_person: bool,
    narrator: int | None,
) -> dict[int, Decision]:
    """The person and the rule for each quotation of the turns, by its number.

    `first_person` where the narrator takes part, `narrator` the number of their name if it is known.
    """
    story = Story(text, quotations, turns, people, first_person, narrator)
    given: list[list[Decision]] = []
    for i, turn in enumerate(turns):
        story.called.append(story.numbers(turn.called + turn.told_to))
        told = _told(story, i) or [_untold(story, i)] * len(turn.lines)
        given.append(told)
        story.speakers.append(told[-1][0])
    _look_ahead(story, given)
    _compare(story, given)
    return {
        line.number: decision
        for turn, decisions in zip(turns, given, strict=True)
        for line, decision in zip(turn.lines, decisions, strict=True)
    }


def _told(story: Story, i: int) -> list[Decision] | None:
    """The speakers of a turn's lines by the tags beside them; None where there is no tag.

    Lines without a tag of their own go with the tag before them in the paragraph, else with the first.
    """
    turn = story.turns[i]
    found: list[Decision | None] = []
    current: Decision | None = None
    for line in turn.lines:
        after = None if _is_addressed(story, i, line) else line.after
        tag = next(
            (tag for form in ("direct", "clause") for tag in (after, line.before) if tag and tag.form == form), None
        )
        if tag and (decision := _by_tag(story, i, tag, current)):
            current = decision
        found.append(current)
    if current is not None:
        first = next(decision for decision in found if decision is not None)
        return [decision or first for decision in found]
    for tag in (turn.lead, turn.lines[0].before):
        if tag is None or tag.subject.weak or (tag is turn.lead and tag.form == "beat"):
            continue
        if turn.loose and tag.form == "beat" and _is_tag_of_last(story, i, tag):
            continue
        decision = _by_tag(story, i, tag, None)
        if decision and decision[0] is not None:
            person, rule = decision
            if tag.form in ("beat", "colon"):
                rule = f"{tag.form}, {'name' if rule in ('name', 'title', 'narrator') else 'other'}"
            return [(person, rule)] * len(turn.lines)
    return None


def _is_addressed(story: Story, i: int, line: Line) -> bool:
    """Whether the sentence after a quotation begins with the one whom it calls: "Ada!" Ada mumbled an answer."""
    if line.after is None or line.after.subject.kind != "name":
        return False
    quotation = story.quotations[line.number]
    begins = not any(c.isalnum() for c in story.text[quotation.end : line.after.subject.at])
    return begins and bool(story.numbers([line.after.subject.words]) & story.numbers(story.turns[i].called))


def _is_tag_of_last(story: Story, i: int, tag: Tag) -> bool:
    """Whether the narration before a turn already says who spoke the turn before it."""
    after = story.turns[i - 1].lines[-1].after if i else None
    return after is not None and after.form != "beat" and after.subject.at == tag.subject.at


def _by_tag(story: Story, i: int, tag: Tag, current: Decision | None) -> Decision | None:
    """The person whom a tag means, None where it means nobody; `current` spoke before in the same paragraph."""
    subject = tag.subject
    if subject.kind == "I":
        return NARRATOR, "narrator"
    if subject.kind == "name":
        person = story.people.find(subject.words)
        if person is None:
            return None
        if person == story.narrator:
            return NARRATOR, "narrator"
        return person, "clause" if tag.form == "clause" else "name"
    if subject.kind == "noun":
        return by_noun(story, i, subject)
    if subject.gender in ("we", "they"):
        return None, "several"
    if current and current[0] is not None and story.may_be(current[0], subject.gender):
        return current
    return by_pronoun(story, i, subject, tag.verb)


def _untold(story: Story, i: int) -> Decision:
    """The speaker of a turn of which narration says nothing: whose turn it is."""
    turn = story.turns[i]
    if i == 0 or turn.gap > _PAUSE:
        return UNKNOWN
    last, back = story.speakers[i - 1], story.speaker(i - 2, _PAUSE)
    barred = story.called[i] | ({last} if last is not None and turn.gap == 0 else set())
    called = [person for person in story.numbers(story.turns[i - 1].called) if person not in barred]
    if turn.gap == 0 and len(called) == 1 and not turn.loose:
        return called[0], "answer"
    if turn.loose and last is not None and _goes_on(story, i):
        return last, "same"
    if turn.gap and (above := by_narration_above(story, i, barred)):
        if not _SILENT.search(story.text, max(turn.since, turn.start - _SILENT_CHARACTERS), turn.start):
            return above
        barred.add(above[0])
    if back is not None and back not in barred:
        return back, "turns" if turn.gap == 0 and story.turns[i - 1].gap == 0 else "turns, gap"
    for person in story.recent(i, turn.start, _NEAR):
        if person not in barred:
            return person, "other" if turn.gap == 0 else "other, gap"
    return (NARRATOR, "other") if story.first_person and NARRATOR not in barred else UNKNOWN


def _goes_on(story: Story, i: int) -> bool:
    """Whether a turn that may be in the paragraph of the turn before sounds like the rest of it: no question, no reply."""
    before = story.quotations[story.turns[i - 1].lines[-1].number].text.rstrip("\"”’' _")
    first = _FIRST_WORD.search(story.quotations[story.turns[i].lines[0].number].text)
    return before[-1:] in (",", "!") and not (first and first[0].lower() in _REPLIES)


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
