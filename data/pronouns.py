"""A character's pronouns -> those of the one who speaks, where nobody else can be meant."""

from dataclasses import dataclass

from data.grammar import (
    ADVERBS,
    ARTICLES,
    COORDINATORS,
    DITRANSITIVE,
    MODALS,
    PASTS,
    PREPOSITIONS,
    QUANTITIES,
    SUBORDINATORS,
    TO_BE,
    TO_BE_YOU,
    VERBS,
    ends_like_third_person,
    is_regular_past,
    may_be_verb,
    plain_form,
    word_set,
)
from data.people import Mentioned, is_somebody
from data.words import NAME, SUBJECT, Words

_FORMS = {
    "she": word_set("she her hers herself"),
    "he": word_set("he him his himself"),
    "they": word_set("they them their theirs themself themselves"),
}
_OWNED_ALL_THE_SAME = word_set("daily early elderly ever family first friendly lonely lovely only silly ugly weekly")
_NOT_OWNED = word_set(
    """
    alive asleep awake away back cold cry crying dead dry go happy home ill mad safe sick silent smile today tomorrow
    warm weak well wet yesterday
    """
)
"""What stands behind "her" and is not hers: "keeps her warm", "saw her yesterday"."""

_PERCEIVES = word_set("bid feel felt had has have hear heard help let made make saw see watch")
"""Verbs after which "her" does something: in "saw her work" the work is none of hers."""

_REPORTS = word_set(
    "believed believes claims feared fears felt hoped hopes insists knew knows said says swears thinks thought"
)
_SUBJECTS = word_set("she he they")
_REFLEXIVES = word_set("herself himself themself themselves")

_SINGULAR = {"are": "is", "were": "was", "aren't": "isn't", "weren't": "wasn't", "have": "has", "do": "does"}


@dataclass(frozen=True, slots=True)
class Person:
    """The words for the one who speaks or is spoken to; `be` turns the forms of the third person."""

    subject: str
    object: str
    possessive: str
    own: str
    reflexive: str
    be: dict[str, str]
    short_be: str


FIRST = Person("I", "me", "my", "mine", "myself", TO_BE, "m")
SECOND = Person("you", "you", "your", "yours", "yourself", TO_BE_YOU, "re")


def pronouns_of(pronouns: str) -> frozenset[str]:
    """Every form that may mean the character; all there are when its pronoun is not known."""
    return _FORMS[pronouns] if pronouns in _FORMS else frozenset().union(*_FORMS.values())


def resolve_pronouns(words: Words, pronouns: str, person: Person, before: Mentioned) -> bool:
    """Replace the character's pronouns, a subject by `SUBJECT`; False where somebody else may be meant.

    They are the character's behind the name, or in the sentence after one about the character alone; where somebody
    else was named earlier, both must be. Nobody else may stand before them in the sentence. An object must follow a
    reflexive or stand in what is said or known: in "Ada met her" it is another.
    """
    if pronouns not in _FORMS:
        return False
    name = _leading_name(words)
    anybody = any(is_somebody(words, place, pronouns, before.other) for place in range(len(words)))
    somebody = subject = reflexive = False
    for place in range(len(words)):
        word = words[place].lower()
        if word in _FORMS[pronouns]:
            by_name = name is not None and name < place
            known = not before.topic and by_name + before.leads > before.named
            known = known or (by_name and words[place + 1].lower() in before.owned)
            known = (by_name or subject) if word in _REFLEXIVES else known
            # In "when she rows, Nell sings" she may be Nell.
            if not known or somebody or (anybody and place and not by_name) or (pronouns == "they" and place):
                return False
            form = _first_form(words, place, person)
            reported = by_name and _is_reported(words, name or 0, place)
            if form is None or (form == person.object and not (reflexive or reported)):
                return False
            subject, reflexive = subject or form == SUBJECT, reflexive or form == person.reflexive
            words[place] = form
            if word == "they" and not _singular(words, place):
                return False
        somebody = somebody or is_somebody(words, place, pronouns, before.other)
    return True


def _leading_name(words: Words) -> int | None:
    """Where the character's name stands as the first subject: "Ada rows", "Now Ada rows", "In winter, Ada rows"."""
    place = next((place for place in range(len(words)) if words[place] == NAME), None)
    before = words[place - 1].lower() if place else ""
    return place if before in ("", ",") or (place == 1 and before in ADVERBS | {"then"}) else None


def _is_reported(words: Words, name: int, place: int) -> bool:
    """Whether the pronoun at `place` is in what the one named at `name` says or knows: "Ada says that it wakes her"."""
    between = [words[at].lower() for at in range(name + 2, place)]
    if words[name + 1].lower() not in _REPORTS or any(word in COORDINATORS | {",", SUBJECT} for word in between):
        return False
    return between[:1] == ["that"] or any(
        word in PASTS or word in TO_BE or word in MODALS or is_regular_past(word) for word in between
    )


def _first_form(words: Words, place: int, person: Person) -> str | None:
    """What stands for the pronoun at `place`; None where it is not clear whether it owns what follows."""
    word, following = words[place].lower(), words[place + 1].lower()
    if word in _SUBJECTS:
        return SUBJECT
    if word in _REFLEXIVES:
        return person.reflexive
    if following in QUANTITIES:
        return None
    owns = following[:1].isalnum() and following not in PREPOSITIONS | ARTICLES | COORDINATORS | SUBORDINATORS
    if word in ("his", "their"):
        return person.possessive if owns else person.own
    if word in ("hers", "theirs"):
        return person.own
    if word != "her" or not owns or following in _NOT_OWNED:
        return person.object
    if (following in ADVERBS or following.endswith("ly")) and following not in _OWNED_ALL_THE_SAME:
        return person.object
    verb = words[place - 1].lower()
    runs_on = verb in PREPOSITIONS and may_be_verb(following) and not ends_like_third_person(following)
    gives = verb in DITRANSITIVE or plain_form(verb) in DITRANSITIVE
    perceives = (verb in _PERCEIVES or plain_form(verb) in _PERCEIVES) and following in VERBS
    return None if runs_on or gives or perceives else person.possessive


def _singular(words: Words, place: int) -> bool:
    """Put the verb of "they" at `place` into the form that "she" has; False where more than one verb would need it."""
    verb = place + 1
    while words[verb].lower() in ADVERBS:
        verb += 1
    word = words[verb].lower()
    if word in _SINGULAR:
        words[verb] = _SINGULAR[word]
    elif word in VERBS:
        ending = "es" if word.endswith(("s", "sh", "ch", "x", "z", "o")) else "s"
        words[verb] = f"{word[:-1]}ies" if word.endswith("y") and word[-2] not in "aeou" else word + ending
    return not any(words[at].lower() in _SINGULAR for at in range(verb + 1, len(words)))
