"""From what narration says beside each turn to who speaks it: tags first, then whose turn it is."""

import re
from collections.abc import Iterator, Sequence

from data.novel.counting import count
from data.novel.people import People
from data.novel.quotations import Quotation
from data.novel.reference import by_narration_above, by_noun, by_pronoun
from data.novel.story import NARRATOR, THOUGHT, UNKNOWN, Decision, Story
from data.novel.tags import Tag, main_subjects
from data.novel.turns import Line, Turn
from data.novel.words import word_set

_PAUSE = 3
"""Paragraphs of narration after which a conversation is another one."""
_HEARD = 4
"""Turns ago somebody spoke who is still in the conversation."""
_NEAR = 1_500
_SILENT = re.compile(
    r"\b(?:no (?:answer|reply|response)|nothing|silent|(?:not|n't) (?:answer|reply|speak)|never (?:answered|spoke))\b"
)
_SILENT_CHARACTERS = 300
_SENTENCE_END = re.compile(r"(?<!\bMrs)(?<!\bMr)(?<!\bDr)(?<!\bSt)[.!?](?!\w)")
_FIRST_WORD = re.compile(r"[^\W_]+")
_REPLIES = word_set("no yes well oh ah and but nonsense indeed really never certainly nothing nay ay aye")


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
    count(story, given)
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
    found: list[tuple[Decision | None, bool]] = []
    current: Decision | None = None
    silent = False
    outside: tuple[Decision | None, bool] = (None, "brackets"), False  # the speaker before a bracket
    for number, line in enumerate(turn.lines):
        between = _between(story, turn, number)
        before = line.before
        if number and ")" in between.partition("(")[0]:
            current, silent, before = *outside, None
        elif current is not None and _goes_on_after(story, turn.lines[number - 1], line, between):
            found.append((current, silent))
            continue
        if "(" in between.rpartition(")")[2]:
            outside = current, silent
        after = None if _is_addressed(story, i, line) else line.after
        forms = ("direct", "clause", "joins") if current else ("direct", "clause")
        tag = next((tag for form in forms for tag in (after, before) if tag and tag.form == form), None)
        if tag and (decision := _by_tag(story, i, tag, current)):
            current, silent = decision, tag.silent
        found.append((current, silent))
    if current is not None:
        first = next(said for said in found if said[0] is not None)
        return [_unheard(*(said if said[0] is not None else first)) for said in found]
    return _by_beat(story, i)


def _by_beat(story: Story, i: int) -> list[Decision] | None:
    """The speaker of a turn by whoever acts right before it, or in a paragraph that ends with a colon."""
    turn = story.turns[i]
    for tag in (turn.lead, turn.lines[0].before):
        if tag is None or tag.subject.weak or (tag is turn.lead and tag.form == "beat"):
            continue
        if turn.loose and tag.form == "beat" and _is_tag_of_last(story, i, tag):
            continue
        decision = _by_tag(story, i, tag, None)
        if decision and decision[0] is not None:
            person, rule = decision
            if tag.form not in ("direct", "clause"):
                form = "colon" if tag.form == "colon" else "beat"
                rule = f"{form}, {'name' if rule in ('name', 'title', 'narrator') else 'other'}"
            return [(person, rule)] * len(turn.lines)
    return None


def _between(story: Story, turn: Turn, number: int) -> str:
    """The narration before a line of a turn, from the line before it on."""
    start = story.quotations[turn.lines[number - 1].number].end if number else turn.start
    return story.text[start : story.quotations[turn.lines[number].number].start].rstrip(" _\r\n")


def _goes_on_after(story: Story, before: Line, line: Line, between: str) -> bool:
    """Whether a quotation is the rest of the sentence that "said Ada," interrupts: so small a letter begins it."""
    said, going_on = story.quotations[before.number], story.quotations[line.number]
    interrupted = said.text.rstrip("\"”’'» _")[-1:] != "." and between[-1:] in (",", ";", ":", "-", "—")
    if not interrupted or before.after is None or before.after.form not in ("direct", "clause"):
        return False
    return going_on.text.lstrip("\"“‘'`«„ _")[:1].islower() and not _SENTENCE_END.search(between)


def _unheard(decision: Decision | None, silent: bool) -> Decision:
    """A decision, with the rule of its own that thoughts have."""
    person, rule = decision or UNKNOWN
    return (person, THOUGHT) if silent and person is not None else (person, rule)


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
    if tag.form == "joins":
        person = story.people.find(subject.words) if subject.kind == "name" else None
        return person, "beat, name" if person is not None else "several"
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
        return called[0], "answer" if _is_there(story, i, called[0]) else "answer, far"
    if turn.loose and last is not None and _goes_on(story, i):
        return last, "same"
    if turn.gap and (above := by_narration_above(story, i, barred)):
        if not _SILENT.search(story.text, max(turn.since, turn.start - _SILENT_CHARACTERS), turn.start):
            return above
        barred.add(above[0])
    if back is not None and back not in barred:
        return back, "turns" if turn.gap == 0 and story.turns[i - 1].gap == 0 else "turns, gap"
    for person in _partners(story, i):
        if person not in barred:
            return person, "other" if turn.gap == 0 else "other, gap"
    return UNKNOWN


def _partners(story: Story, i: int) -> Iterator[int]:
    """Those who may answer in turn `i`: who spoke a few turns ago, a narrator who takes part, who was named."""
    recent = list(story.recent(i, story.turns[i].start, _NEAR))
    heard = story.speakers[max(0, i - _HEARD) : i]
    yield from (person for person in recent if person in heard)
    if story.first_person:
        yield NARRATOR
    yield from recent


def _is_there(story: Story, i: int, called: int) -> bool:
    """Whether the one whom turn `i - 1` calls was near before it, and nobody else is about to answer."""
    last = story.turns[i - 1]
    said = story.quotations[last.lines[-1].number].end
    for subject in main_subjects(story.text, said, last.end) if last.end > said else ():
        person = story.people.find(subject.words) if subject.kind == "name" else None
        if person not in (None, called, story.speakers[i - 1]):
            return False
    return called == NARRATOR or called in story.recent(i, story.turns[i].start, _NEAR)


def _goes_on(story: Story, i: int) -> bool:
    """Whether a turn that may be in the paragraph of the turn before sounds like the rest of it: no question, no reply."""
    before = story.quotations[story.turns[i - 1].lines[-1].number].text.rstrip("\"”’' _")
    first = _FIRST_WORD.search(story.quotations[story.turns[i].lines[0].number].text)
    return before[-1:] in (",", "!") and not (first and first[0].lower() in _REPLIES)
