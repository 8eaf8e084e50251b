"""Whom narration means by "he", "the doctor" or "his wife"."""

from data.novel.story import NARRATOR, Decision, Story
from data.novel.subjects import OWNERS, Subject
from data.novel.tags import main_subjects
from data.novel.words import word_set

_NEAR, _FAR = 1_500, 6_000
"""Characters back to somebody whom a pronoun, or a title without a name, may mean."""
_ABOVE = 600
"""Characters of narration above a turn in which the one who acts is looked for."""
_MORE_THAN_A_TAG = 80
"""Characters between a quotation and the next paragraph that are more than who said it."""
_MUCH_NARRATION = 200
"""Characters before a quotation in its paragraph in which somebody else may come in."""
_CONTINUE = word_set("added continued resumed proceeded pursued concluded went finished")
_PASSING = word_set(
    "butler footman waiter porter maid housemaid coachman policeman constable landlord landlady hostess host nun monk"
)
"""People who come in, say one thing and go."""
_RELATIVES = {"wife": "mrs", "lady": "mrs", "husband": "mr", "mother": "mrs", "father": "mr"}
_TITLES = {
    "doctor": "dr", "captain": "captain", "colonel": "colonel", "major": "major", "general": "general",
    "professor": "professor", "inspector": "inspector", "detective": "inspector", "sergeant": "sergeant",
    "lieutenant": "lieutenant", "king": "king", "queen": "queen", "prince": "prince", "princess": "princess",
    "duke": "duke", "duchess": "duchess", "count": "count", "countess": "countess", "baron": "baron",
    "squire": "squire", "judge": "judge", "bishop": "bishop", "parson": "parson", "nurse": "nurse", "baronet": "sir",
}  # fmt: skip


def by_noun(story: Story, i: int, subject: Subject) -> Decision:
    """The person whom a noun means in turn `i`: by relation, by title, else somebody known by the noun alone."""
    determiner, *words = subject.words
    noun = words[-1].lower()
    if noun in _RELATIVES and len(words) == 1 and (person := _relative(story, i, subject)) is not None:
        return person, "relative"
    if title := _TITLES.get(noun):
        for _, person in story.people.before(subject.at, max(0, subject.at - _FAR)):
            if title in story.people.titles[person]:
                return person, "title"
        bearers = [person for person, own in enumerate(story.people.titles) if title in own]
        if len(bearers) == 1:
            return bearers[0], "title"
    if (other := _in_turn(story, i, subject)) is not None and noun not in _PASSING:
        return other, "noun, turns"
    own = determiner if determiner in OWNERS or determiner in ("their", "our") or determiner[0].isupper() else "the"
    person = story.people.somebody(" ".join((own, *words)), subject.gender)
    return person, "vague noun" if subject.weak else "noun"


def _relative(story: Story, i: int, subject: Subject) -> int | None:
    """ "his wife" by his surname: he is whom she speaks to, or the last man named."""
    noun, owner = subject.words[-1].lower(), subject.words[0]
    if owner not in ("his", "her"):
        return None
    near = [*sorted(story.called[i]), *story.recent(i, subject.at, _NEAR)]
    other = next((person for person in near if story.is_of(person, OWNERS[owner])), None)
    if other is None or ("mrs" in story.people.titles[other]) != (noun == "husband"):
        return None
    title = _RELATIVES[noun]
    found = story.people.find((title, story.people.surnames[other]))
    return found if found not in (None, other) and title in story.people.titles[found] else None


def _in_turn(story: Story, i: int, subject: Subject) -> int | None:
    """The one of a conversation whose turn it is, where a noun may mean them: "the girl", "her mother"."""
    if story.turns[i].gap or i < 2:
        return None
    last, back = story.speaker(i - 1, 0), story.speaker(i - 2, 0)
    if back in (None, NARRATOR, last) or back in story.called[i] or not subject.gender:
        return None
    return back if story.is_of(back, subject.gender) and not story.people.names[back].islower() else None


def by_pronoun(story: Story, i: int, subject: Subject, verb: str) -> Decision:
    """Whom "he" or "she" means in turn `i`: somebody in the paragraph, the other one of a conversation, the last named."""
    turn, gender = story.turns[i], subject.gender
    opening = story.quotations[turn.lines[0].number].start
    barred = set(story.called[i])
    person, rival = _first_of(story, i, turn.start, min(subject.at, opening), gender, barred)
    if person is not None:
        return person, "pronoun, above" if turn.loose else "pronoun, rival" if rival else "pronoun, paragraph"
    last, back = (story.speaker(i - 1, 99), story.speaker(i - 2, 1)) if i else (None, None)
    if i and verb in _CONTINUE and last not in barred and story.is_of(last, gender):
        said = story.quotations[story.turns[i - 1].lines[-1].number].end
        if turn.gap or turn.start - said > _MORE_THAN_A_TAG:
            return last, "pronoun, continues"
    if turn.gap == 0 and i:
        asked = [person for person in story.called[i - 1] if person not in barred and story.is_of(person, gender)]
        if len(asked) == 1:
            return asked[0], "pronoun, answer"
        barred |= {last} if last is not None and not turn.loose else set()
    recent = [p for p in story.recent(i, subject.at, _NEAR) if p not in barred and story.may_be(p, gender)]
    only = len(recent) == 1
    told = opening - turn.start > _MUCH_NARRATION
    if turn.gap == 0 and back not in barred and story.is_of(back, gender):
        return back, ("pronoun, rival" if rival else "pronoun, only") if only and not told else "pronoun, turns"
    if turn.gap:
        above = max(turn.since, turn.start - _ABOVE)
        person, rival = _first_of(story, i, above, turn.start, gender, barred)
        if person is not None:
            return person, ("pronoun, rival" if rival else "pronoun, only") if only else "pronoun, above"
    known = [person for person in recent if story.is_of(person, gender)]
    return ((known or recent)[0], "pronoun, near") if recent else (None, "pronoun")


def _first_of(story: Story, i: int, start: int, end: int, gender: str, barred: set[int]) -> tuple[int | None, bool]:
    """The last one of a gender whom a stretch of narration is about, and who may speak.

    Also whether the stretch is about somebody after them whose gender is open, such as "the prisoner".
    """
    rival = False
    for subject in main_subjects(story.text, start, end):
        person, rule = None, ""
        if subject.kind == "name":
            person = story.people.find(subject.words)
        elif subject.kind == "noun" and not subject.weak:
            person, rule = by_noun(story, i, subject)
        if person not in barred and story.is_of(person, gender):
            return person, rival
        rival = rival or (rule == "noun" and person is not None and not story.people.genders[person])
    return None, rival


def by_narration_above(story: Story, i: int, barred: set[int]) -> tuple[int, str] | None:
    """Whom the narration above turn `i` is about, with the rule."""
    turn = story.turns[i]
    for subject in main_subjects(story.text, max(turn.since, turn.start - _ABOVE), turn.start):
        person: int | None = None
        if subject.weak or subject.kind == "I":
            continue
        if subject.kind == "name":
            person = story.people.find(subject.words)
        elif subject.kind == "noun":
            person, _ = by_noun(story, i, subject)
        else:
            person, _ = by_pronoun(story, i, subject, "")
        if person is not None and person not in barred:
            return person, "above"
    return None
