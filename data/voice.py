"""A fact about a character -> the same fact told by the character, by rules that refuse rather than guess.

"Ada keeps bees and sells the honey." -> "I keep bees and sell the honey." What does not convert safely gives None.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from data.grammar import (
    ADVERBS,
    ARTICLES,
    AUXILIARIES,
    CLAUSE_OPENERS,
    COORDINATORS,
    DETERMINERS,
    DITRANSITIVE,
    MODALS,
    NEVER_NOUNS,
    PARTICLES,
    PASTS,
    PREPOSITIONS,
    QUANTITIES,
    SUBORDINATORS,
    TIME_OPENERS,
    TIMES,
    TO_BE,
    TO_BE_YOU,
    VERBS,
    ends_like_third_person,
    is_regular_past,
    may_be_verb,
    plain_form,
    word_set,
)
from data.words import NAME, OWN, Words, mark

_PRONOUNS = {"she": ("she", "her", "hers", "herself"), "he": ("he", "him", "his", "himself")}
_ANYBODY = ("they", "them", "their", "theirs", "themselves")
_PEOPLE = word_set(
    """
    man woman boy girl child baby king queen lord lady prince princess father mother brother sister son daughter
    uncle aunt nephew niece husband wife friend doctor captain baker keeper sailor stranger visitor teacher
    master servant person someone somebody anyone anybody everyone everybody nobody dog cat horse bird boat ship
    """
)


@dataclass(frozen=True, slots=True)
class _Person:
    """The words for the one who is spoken about."""

    subject: str
    object: str
    possessive: str
    own: str
    reflexive: str
    be: dict[str, str]


_FIRST = _Person("I", "me", "my", "mine", "myself", TO_BE)
_SECOND = _Person("you", "you", "your", "yours", "yourself", TO_BE_YOU)


def first_person(sentence: str, names: Sequence[str], pronouns: str = "") -> str | None:
    """The sentence as the character says it, or None when that is not safe.

    `names` are all that the character is called; `pronouns` is "she", "he", "they" or "" (unknown). A sentence that
    does not speak of the character comes back as it is.
    """
    return _retell(sentence, names, pronouns, _FIRST)


def second_person(topic: str, names: Sequence[str]) -> str | None:
    """A topic as one asks the character about it: "Ada's day" -> "your day", "what Ada likes" -> "what you like"."""
    return _retell(topic, names, "", _SECOND)


def _retell(sentence: str, names: Sequence[str], pronouns: str, person: _Person) -> str | None:
    tokens = mark(sentence, names)
    hers = _pronouns_of(pronouns)
    speaks_of_them = any(t in (NAME, OWN) for t in tokens)
    if not speaks_of_them and not any(t.lower() in hers for t in tokens):
        return sentence
    if re.search(r"[\"“”{}\[\]=*]", sentence):
        return None
    words = Words(tokens)
    if not _resolve_pronouns(words, pronouns, hers, person) or not _resolve_names(words, person):
        return None
    text = words.text()
    return text[:1].upper() + text[1:] if sentence[:1].isupper() or sentence.startswith(tuple(names)) else text


def _pronouns_of(pronouns: str) -> frozenset[str]:
    """Every pronoun that may mean the character."""
    if pronouns in _PRONOUNS:
        return frozenset(_PRONOUNS[pronouns])
    both = frozenset(word for forms in _PRONOUNS.values() for word in forms)
    return frozenset(_ANYBODY) | (frozenset() if pronouns == "they" else both)


def _resolve_pronouns(words: Words, pronouns: str, hers: frozenset[str], person: _Person) -> bool:
    """Replace the character's pronouns where nobody else can be meant; False where somebody can."""
    for place in range(len(words)):
        word = words[place].lower()
        if word not in hers:
            continue
        if pronouns not in _PRONOUNS or words[0] != NAME or any(_is_somebody(words[i]) for i in range(1, place)):
            return False
        following = words[place + 1].lower()
        if following in QUANTITIES:
            return False
        owns = following[:1].isalnum() and following not in PREPOSITIONS | ARTICLES | COORDINATORS | SUBORDINATORS
        if word == pronouns:
            words[place] = NAME
        elif word == "herself" or word == "himself":
            words[place] = person.reflexive
        elif word == "hers" or (word == "his" and not owns):
            words[place] = person.own
        elif word == "his" or (word == "her" and owns):
            words[place] = person.possessive
        else:
            words[place] = person.object
    return True


def _is_somebody(word: str) -> bool:
    return word[:1].isupper() or word.lower() in _PEOPLE


def _resolve_names(words: Words, person: _Person) -> bool:
    """Replace the name by the subject or object form and turn the verbs of which it is the subject; False if unsure."""
    for place in range(len(words)):
        if words[place] == OWN:
            if _is_short_for_is(words, place):
                return False
            words[place] = person.possessive if words[place + 1][:1].isalnum() else person.own
    for place in range(len(words)):
        if words[place] != NAME:
            continue
        together = _in_company(words, place, person)
        if together is not None:
            if not together:
                return False
            continue
        verb = _verb_after(words, place)
        if _is_object(words, place, verb):
            words[place] = person.object
        elif verb is None or not _is_subject(words, place, verb):
            return False
        else:
            words[place] = person.subject
            if not _turn_verbs(words, verb, person):
                return False
    return True


def _is_short_for_is(words: Words, place: int) -> bool:
    """Whether "Ada's" may mean "Ada is" or "Ada has", or stands for a thing of hers that is the subject."""
    word = words[place + 1].lower()
    stem = word.removesuffix("ing")
    runs_on = stem != word and (stem in VERBS or f"{stem}e" in VERBS)
    verb = word in TO_BE or word in AUXILIARIES or word in MODALS or word in {"are", "were", "been", "am"}
    ends = _opens_clause(words, place) and words[place + 2] in {".", "!", "?", ","}
    small = word in ARTICLES | PREPOSITIONS | ADVERBS and _opens_clause(words, place)
    return runs_on or verb or ends or small or word in {"a", "an", "the", "not"}


def _in_company(words: Words, place: int, person: _Person) -> bool | None:
    """Handle "Ada and Bram play" and "Bram and Ada play"; None when the name stands alone, False when unsure."""
    if words[place + 1] == "and" and words[place + 2][:1].isupper() and _opens_clause(words, place):
        words[place], words[place + 2] = words[place + 2], person.subject
        return NAME not in words[place] and not ends_like_third_person(words[place + 3])
    if words[place - 1] == "and" and place > 1 and words[place - 2][:1].isupper():
        if ends_like_third_person(words[place + 1]) or words[place + 1] in TO_BE | AUXILIARIES:
            return None  # "... and Ada keeps": a clause of its own
        before = words[place - 3].lower() if place > 2 else ""
        if before in PREPOSITIONS:
            words[place] = person.object
            return True
        opens = _opens_clause(words, place - 2)
        words[place] = person.subject
        return opens and words[place + 1].isalpha()
    return None


def _opens_clause(words: Words, place: int) -> bool:
    before = words[place - 1].lower() if place else ""
    return not before or before in CLAUSE_OPENERS or not (before[0].isalnum() or before in (NAME, OWN))


def _verb_after(words: Words, place: int) -> int | None:
    """Where the verb of a subject at `place` stands, past adverbs; None when no verb can follow."""
    verb = place + 1
    while words[verb].lower() in ADVERBS or (words[verb].lower().endswith("ly") and words[verb].lower() not in VERBS):
        verb += 1
    word = words[verb].lower()
    nothing = not word or not word[0].isalpha() or word in PREPOSITIONS | COORDINATORS | DETERMINERS | SUBORDINATORS
    return None if nothing or words[verb][0].isupper() else verb


def _is_object(words: Words, place: int, verb: int | None) -> bool:
    """Whether the name at `place` is what something is done to: "to Ada", "gives Ada lessons", "loves Ada."."""
    before = words[place - 1].lower() if place else ""
    if before in PREPOSITIONS and before != "than":
        return before not in PARTICLES or verb is None or not may_be_verb(words[verb])
    if _opens_clause(words, place):
        return False
    if before in DITRANSITIVE or (before.endswith("s") and plain_form(before) in DITRANSITIVE):
        return True
    return verb is None and (
        before in VERBS or plain_form(before) in VERBS or before in PASTS or is_regular_past(before)
    )


def _is_subject(words: Words, place: int, verb: int) -> bool:
    """Whether the name at `place` certainly does what the word at `verb` says.

    It opens its clause, or follows an adverb or a time. In a list ("finds Bram loud and Ada odd") a word that may be a
    noun or an adjective is not taken for a verb.
    """
    before, word = words[place - 1].lower() if place else "", words[verb].lower()
    if not (_opens_clause(words, place) or before in ADVERBS or _follows_time(words, place)) or not may_be_verb(word):
        return False
    if before not in COORDINATORS and before != ",":
        return True
    if is_regular_past(word):
        return words[verb + 1][:1].isalnum()
    return word in TO_BE | AUXILIARIES or not ends_like_third_person(word) or plain_form(word) in VERBS


def _follows_time(words: Words, place: int) -> bool:
    """Whether a phrase such as "every summer" or "on Fridays" stands before the name."""
    time = words[place - 1].lower() if place > 1 else ""
    return (time in TIMES or time.removesuffix("s") in TIMES) and words[place - 2].lower() in TIME_OPENERS


def _turn_verbs(words: Words, verb: int, person: _Person) -> bool:
    """Turn the verb at `verb` and those coordinated with it up to the next subject; False when one is unclear."""
    _turn(words, verb, person)
    own_clause = True
    for place in range(verb + 1, len(words)):
        word = words[place].lower()
        if word == NAME:
            return True
        own_clause = own_clause and word not in SUBORDINATORS
        if word not in COORDINATORS and word != ",":
            continue
        candidate = place + 1
        while words[candidate].lower() in ADVERBS:
            candidate += 1
        certain = _coordinated_verb(words, candidate, after_adverb=candidate > place + 1)
        if certain is None or (certain and not own_clause):
            return False
        if certain:
            _turn(words, candidate, person)
    return True


def _turn(words: Words, place: int, person: _Person) -> None:
    """Put the verb at `place` into the person's form; a past tense or a modal is the same in every person."""
    word = words[place].lower()
    if word in person.be:
        words[place] = person.be[word]
    elif word in AUXILIARIES or (ends_like_third_person(word) and word not in PASTS):
        words[place] = plain_form(word)


def _coordinated_verb(words: Words, place: int, *, after_adverb: bool) -> bool | None:
    """Whether the word after "and" is a verb in the third person: True, False (a noun, a past), None (unclear)."""
    word, following = words[place].lower(), words[place + 1].lower()
    if word in TO_BE or word in AUXILIARIES:
        return True
    if not ends_like_third_person(word):
        return False
    takes_object = following in DETERMINERS
    if plain_form(word) in NEVER_NOUNS:
        return True
    sure = after_adverb or takes_object
    if plain_form(word) in VERBS and not sure:
        return True if following in PREPOSITIONS or words[place + 1][:1].isupper() else None
    return sure
