"""Who is spoken of in prose beside the character, and so might be meant by "she", "he" or "they"."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from data.grammar import (
    ADVERBS,
    ARTICLES,
    AUXILIARIES,
    COORDINATORS,
    MODALS,
    NOT_VERBS,
    TIME_OPENERS,
    TIMES,
    TO_BE,
    VERBS,
    ends_like_third_person,
    word_set,
)
from data.words import NAME, OWN, SUBJECT, Words, is_short, mark

_WOMEN = word_set(
    """
    woman girl queen lady princess mother mum mom sister daughter aunt niece wife girlfriend bride widow witch
    sorceress enchantress priestess goddess nun maid maiden mistress duchess countess baroness empress heroine hag
    crone grandmother grandma stepmother hostess actress waitress nymph dryad mermaid siren mrs ms miss madam madame dame ship boat
    """
)
_MEN = word_set(
    """
    man boy king lord prince father dad brother son uncle nephew husband boyfriend bridegroom widower wizard monk god
    duke baron emperor grandfather grandpa stepfather mr sir
    """
)
_ANYBODY = word_set(
    """
    adult agent angel animal anybody anyone apprentice assassin baby bard bear beast bird bishop boss captain cat
    chief child client colleague companion comrade cook cousin cow creature crow demon devil dog dragon dwarf elf
    enemy fairy fox friend ghost giant goblin goose guard guardian guest guide half-elf heir hen hero horse human
    infant judge kid knight magician mage mate mentor merchant monster neighbour neighbor nurse oracle orc orphan owl
    parent patient person pet pig pilgrim pirate poet priest prophet pupil puppy raven rival robot rogue saint seer
    servant sheep sibling slave somebody someone spirit spouse spy student thief troll twin vampire warden wolf youth
    """
)
_ENDS_LIKE_A_PERSON = re.compile(r"\w{2,}(?:er|or|ist|smith)|\w+(?:wo)?man")
_NO_PERSON = word_set(
    """
    amber anchor anger answer armor banner barrier better border boulder butter cancer chamber chapter cider
    clover computer copper corner cupboard dagger danger darkness dinner disaster door error fever fiber finger
    fist flavor flavour floor flower folder frontier gender ginger hammer harbor honor horror humor hunger
    illness interior ladder later laughter lavender layer leather less letter list liver lobster louder manner
    manor master matter mirror mist motor murder number older order oyster paper pepper poster powder power
    printer quarter razor river roster rotor saucer scepter shelter shoulder shower shutter silver slaughter
    slipper splinter sugar summer supper sweater temper terror theater thunder timber tower tremor trigger twist
    vigor wafer water weather whisker winter wonder wrist younger
    """
)
_PLACES = word_set(
    """
    abbey academy bay beach bridge castle cave church city coast college country court desert forest garden gate glade
    hall harbour harbor hill house inn island isle kingdom lake land lands market mill mountain mountains palace park
    port quay realm river road rock sea square street tavern temple tower town university valley village wood woods
    """
)
"""What makes a name that of a place, as its first or last word, or before "of"."""

_RULERS = word_set("defender guardian king mayor protector queen ruler warden")
"""What one is of a place."""

_LOCATIVES = word_set("in into inside outside across throughout beyond")
_TRUSTS = word_set("believe believes believed confide confides confided trust trusts trusted faith interest interested")
"""Words after which "in" has a person behind it."""

_OTHERS = {"she": _MEN, "he": _WOMEN}
"""Whom a pronoun cannot mean."""

_GROUPS = word_set("children couple crew crowd family folk guild men order pair people police team they them women")
_MONTHS_AND_NAMES = word_set("april august dawn june may summer")
_BEING = word_set("is was isn't wasn't be been being become becomes became remains remained 's ’s")
_NO_NAMES = (
    NOT_VERBS
    | COORDINATORS
    | MODALS
    | TIME_OPENERS
    | word_set(
        "born dislikes gender he her here him i likes no nor not she they there today unlike we yet forever neither rather together whether"
    )
)
"""Words that are no name although a sentence may begin with them."""

_TOPICS = word_set(
    """
    abilities age appearance background backstory beliefs biography birthday body childhood clothes clothing death
    dreams education face faith family fears food future goals habits hair health history hobbies home job likes
    lore love magic manners marriage music occupation origin past personality powers profession profile quirks
    relationships romance scars school secrets skills sleep speech summary tea voice weapons work youth
    """
)
"""Titles that name nobody."""

_NAME_AT_THE_BEGINNING = re.compile(r"[A-Z]\w+(?: [A-Z]\w+){0,3}")
_LONGEST_NAME = 6
_MOST_OWNED = 100

LONGEST = 1_000
"""Characters of a sentence; what is longer is none, and nobody knows whom it speaks of."""


@dataclass(frozen=True, slots=True)
class Mentioned:
    """Who was spoken of before a sentence.

    `named`: somebody else in an earlier sentence; `topic`: somebody else in the title, or meant by a pronoun; `leads`:
    in the sentence before the character and nobody else; `owned`: what was called the character's; `other`: the name,
    in small letters, of somebody whom another pronoun goes with.
    """

    named: bool = False
    topic: bool = False
    leads: bool = False
    owned: frozenset[str] = frozenset()
    other: frozenset[str] = frozenset()


def before_the_first(sentences: Sequence[str], names: Sequence[str], pronouns: str, title: str) -> Mentioned:
    """Who is spoken of by the title of these sentences.

    "The Glade" is taken for a thing, as is a title that the sentences write small.
    """
    words, other = Words(mark(title, names)), _other(sentences[:2], names, pronouns)
    small = frozenset(re.findall(r"\b[a-z]+", " ".join(sentences)))
    topic = any(
        is_somebody(words, place, pronouns, other)
        for place in range(len(words))
        if _is_person(words[place], pronouns)
        or not (_is_common(words[place], small) or "the" in (words[0].lower(), words[place - 1].lower()))
    )
    return Mentioned(topic=topic, owned=_owned(words), other=other)


def _is_common(word: str, small: frozenset[str]) -> bool:
    stem = word.lower().removesuffix("s")
    return bool({stem, f"{stem}s"} & (_TOPICS | small))


def _other(opening: Sequence[str], names: Sequence[str], pronouns: str) -> frozenset[str]:
    """The name that a text begins with, where the other pronoun goes with it: "Tom rows, and he ...", "Tom rows. He ..."."""
    other = {"she": "he", "he": "she"}.get(pronouns)
    name = _NAME_AT_THE_BEGINNING.match(opening[0]) if opening and other else None
    if not name or not other or name[0] in names or name[0].lower() in _NO_NAMES or len(opening[0]) > LONGEST:
        return frozenset()
    words = Words(mark(opening[0], [*names, name[0]]))
    nobody_else = not any(is_somebody(words, place, other, frozenset()) for place in range(len(words)))
    goes_on = re.search(rf", and {other}\b", opening[0]) or re.match(
        rf"{other}\b", " ".join(opening[1:]), re.IGNORECASE
    )
    return frozenset(name[0].lower().split()) if nobody_else and goes_on else frozenset()


def after(before: Mentioned, words: Words, pronouns: str, *, speaks_of_them: bool, resolved: bool) -> Mentioned:
    """Who is spoken of up to the end of a sentence.

    `speaks_of_them`: the sentence is about the character; `resolved`: each pronoun that may be theirs was understood.
    """
    somebody = any(is_somebody(words, place, pronouns, before.other) for place in range(len(words)))
    return replace(
        before,
        named=before.named or somebody,
        topic=before.topic or not resolved,
        leads=speaks_of_them and resolved and not somebody,
        owned=before.owned | _owned(words) if len(before.owned) < _MOST_OWNED else before.owned,
    )


def _owned(words: Words) -> frozenset[str]:
    return frozenset(words[place + 1].lower() for place in range(len(words)) if words[place] == OWN)


def is_somebody(words: Words, place: int, pronouns: str, other: frozenset[str]) -> bool:
    """Whether the word at `place` is somebody other than the character whom its pronoun could mean.

    `other`: the name of somebody, in small letters, whom it cannot mean.
    """
    word = words[place]
    if not word[:1].isalpha():
        return False
    if _is_person(word, pronouns) or (pronouns not in ("she", "he") and _may_be_several(words, place)):
        return not _is_predicate(words, place, {pronouns, *other})
    return word[0].isupper() and word.lower() not in other and _is_a_name(words, place, pronouns)


def _is_person(word: str, pronouns: str) -> bool:
    """Whether a word is a noun for one person or creature that goes with the pronoun."""
    noun = word.lower().rpartition("-")[2]
    if noun in _WOMEN or noun in _MEN:
        return noun not in _OTHERS.get(pronouns, ())
    ends = _ENDS_LIKE_A_PERSON.fullmatch(noun) and not any(noun in no for no in (_NO_PERSON, _NO_NAMES, VERBS, TIMES))
    return noun in _ANYBODY or bool(ends)


def _may_be_several(words: Words, place: int) -> bool:
    """Whether "they" may mean the word at `place`: a plural, as every noun in -s that is not the character's verb."""
    word = words[place].lower()
    verb = words[place - 1] in (NAME, SUBJECT) or word in TO_BE or word in AUXILIARIES
    return word in _GROUPS or (ends_like_third_person(word) and not verb)


def _is_predicate(words: Words, place: int, known: set[str]) -> bool:
    """Whether the noun at `place` says what one is who is known: "Ada is the old keeper", "works as a keeper"."""
    at = place - 1
    while place - at < 5 and words[at][:1].isalpha() and words[at].lower() not in _NO_NAMES | {"is", "was"}:
        at -= 1
    if words[at].lower() not in ("a", "an", "the"):
        return False
    at -= 1
    if words[at].lower() == "as":
        return True
    if words[at].lower() in ADVERBS | {"not"}:
        at -= 1
    if words[at].lower() not in _BEING:
        return False
    at -= 1
    while words[at].lower() in ADVERBS or words[at].lower() in AUXILIARIES or words[at].lower() in MODALS:
        at -= 1
    return words[at] in (NAME, SUBJECT) or words[at].lower() in known


def _is_a_name(words: Words, place: int, pronouns: str) -> bool:
    """Whether a capitalised word belongs to a name that may be a person's, and not to a place, a month or a beginning."""
    word = words[place].lower()
    if word in ARTICLES or (place == 0 and (word in _NO_NAMES or words[1] == ":")):
        return False
    start = end = place
    while place - start < _LONGEST_NAME and _goes_on(words, start - 1):
        start -= 1
    while end - place < _LONGEST_NAME and _goes_on(words, end + 1):
        end += 1
    before, first, last = words[start - 1].lower(), words[start].lower(), words[end].lower()
    men = _OTHERS.get(pronouns, frozenset())
    if first in men or before in men or first in _PLACES or last in _PLACES or (first == "the" and start < place):
        return False
    if word.removesuffix("s") in TIMES and (word not in _MONTHS_AND_NAMES or before in NOT_VERBS):
        return False
    if before in _LOCATIVES and words[start - 2].lower() not in _TRUSTS and not is_short(words[end + 1]):
        return False
    of = words[start - 2].lower() if before == "of" else ""
    if of in _RULERS or (of in _PLACES and not is_short(words[end + 1])):
        return False
    return not (start == end and _is_plural(words, place))


def _goes_on(words: Words, place: int) -> bool:
    """Whether the word at `place` can be a part of a name: capitalised, and none that only begins the sentence."""
    word = words[place]
    if word == "." and place > 0:
        return words[place - 1][:1].isupper() and len(words[place - 1]) < 4
    return word[:1].isupper() and not (place == 0 and word.lower() in _NO_NAMES)


def _is_plural(words: Words, place: int) -> bool:
    """Whether a capitalised word is a plural: "the Needles", "Shadowfangs are"."""
    following = words[place + 1].lower()
    several = following in ("are", "were", "have", "do") or following in VERBS
    return words[place].lower().endswith("s") and (several or words[place - 1].lower() == "the")
