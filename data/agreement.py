"""Verbs in the third person -> the person of another subject: the first of a clause, and those that go on from it."""

from data.grammar import (
    ADVERBS,
    AUXILIARIES,
    COORDINATORS,
    DETERMINERS,
    DITRANSITIVE,
    NEVER_NOUNS,
    PASTS,
    PREPOSITIONS,
    SUBORDINATORS,
    TIMES,
    TO_BE,
    VERBS,
    ends_like_third_person,
    is_regular_past,
    plain_form,
    word_set,
)
from data.pronouns import Person
from data.words import NAME, SUBJECT, Words, is_short

_THINGS = word_set(
    """
    animals apples bees berries birds books boots bottles candles cards cats chickens children clothes coins cows deer
    dogs ducks ears eels eggs eyes feathers flowers forms freckles friends games ghosts glasses gloves goats guests gulls hares hats herbs herrings
    horses jewels knives lanterns letters mice mountains mushrooms news nuts onions oranges others owls pastries pears
    pearls people pies pigs poems potatoes potions rabbits ravens riddles rivers scars seals sheep ships shoes socks songs
    squirrels stars stones stories strangers strawberries swords things tides trees vegetables windows wings wolves words
    """
)
"""Nouns in the plural that are told from verbs in a list: "likes cats and dogs"."""

_TELLS_NO_VERB = word_set("all another any both each four many me more most somebody that three two twenty us you")
"""Of the determiners those that also follow a noun: "shells and pearls that shine"."""

_BEHIND_NOUNS = PREPOSITIONS | COORDINATORS | SUBORDINATORS | {"like"}
_BORDERS = COORDINATORS | {",", ";", ":", "(", "–", "—", "-", "&", "yet", "nor", "plus"}
PARTICIPLES = word_set(
    """
    become begun broken chosen come done drawn driven drunk eaten fallen forgotten forgiven frozen given gone grown
    hidden known ridden risen run seen set shaken shown shut spoken stolen sung sunk sworn swum taken torn thrown woken
    worn woven written
    """
)
_PASSIVES = DITRANSITIVE | word_set("asked called considered elected given made named offered promised shown")
"""Participles that take an object after "is" too: "she's called a witch"."""


def turn_verbs(words: Words, verb: int, person: Person) -> bool:
    """Turn the verb at `verb` and those coordinated with it up to the next subject; False when one is unclear."""
    if is_short(words[verb]) and not _turn_short(words, verb, person):
        return False
    _turn(words, verb, person)
    own_clause = True
    for place in range(verb + 1, len(words)):
        word = words[place].lower()
        if word in (NAME, SUBJECT):
            return True
        own_clause = own_clause and word not in SUBORDINATORS
        if word not in _BORDERS:
            continue
        candidate = past_adverbs(words, place + 1)
        certain = _coordinated_verb(words, candidate, place)
        if certain is None or (certain and not own_clause):
            return False
        if certain:
            _turn(words, candidate, person)
    return True


def past_adverbs(words: Words, place: int) -> int:
    """The first place from `place` on where no adverb stands."""
    while words[place].lower() in ADVERBS or (
        words[place].lower().endswith("ly") and words[place].lower() not in VERBS
    ):
        place += 1
    return place


def _turn(words: Words, place: int, person: Person) -> None:
    """Put the verb at `place` into the person's form; a past tense or a modal is the same in every person."""
    word = words[place].lower()
    if word in person.be:
        words[place] = person.be[word]
    elif word in AUXILIARIES or (ends_like_third_person(word) and word not in PASTS):
        words[place] = plain_form(word)


def _turn_short(words: Words, place: int, person: Person) -> bool:
    """Turn the shortened verb at `place`; False where "she's" may be "she is" and "she has"."""
    sign, short = words[place][0], words[place][1:].lower()
    if short not in ("s", "re"):
        return short != "m"
    after = past_adverbs(words, place + 1)
    after = past_adverbs(words, after + 1) if words[after].lower() == "not" else after
    word = words[after].lower()
    has = word in ("been", "got", "had")
    participle = word in PASTS or word in PARTICIPLES or is_regular_past(word)
    if participle and short == "s" and not has:
        has = words[after + 1].lower() in DETERMINERS and word not in _PASSIVES
        if not has:
            return False
    words[place] = sign + ("ve" if has else person.short_be)
    return words[place + 1][:1].isalnum()


def _coordinated_verb(words: Words, place: int, border: int) -> bool | None:
    """Whether the word at `place` behind the "and" at `border` is a verb in the third person: True, False (a noun, a
    past), None (unclear)."""
    word, following = words[place].lower(), words[place + 1].lower()
    if word in TO_BE or word in AUXILIARIES:
        return True
    if word in PREPOSITIONS:
        return None if _hides_a_verb(words, place) else False
    if not ends_like_third_person(word) or words[place][0].isupper():
        return False
    plain = plain_form(word)
    if plain in NEVER_NOUNS:
        return True
    if word in _THINGS or word.removesuffix("s") in TIMES:
        ends = not following[:1].isalnum() or following in _BEHIND_NOUNS
        return False if ends else None
    if following in DETERMINERS - _TELLS_NO_VERB:
        return True
    if plain not in VERBS:
        return None
    two_nouns = ends_like_third_person(words[border - 1].lower())
    follows = following in PREPOSITIONS | ADVERBS | _THINGS or words[place + 1][:1].isupper()
    return True if place > border + 1 or (follows and not two_nouns) else None


def _hides_a_verb(words: Words, place: int) -> bool:
    """Whether a verb may follow the phrase that the preposition at `place` begins: "and in winter sells honey"."""
    for at in range(place + 1, len(words)):
        word = words[at].lower()
        if word in _BORDERS or word in SUBORDINATORS or word == NAME:
            return False
        if ends_like_third_person(word) and plain_form(word) in VERBS:
            return True
    return False
