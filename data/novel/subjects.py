"""Whom the words of narration name: "old Mr. Hill", "the White Rabbit", "my aunt", "she"."""

import re
from dataclasses import dataclass

from data.novel.words import (
    ABBREVIATIONS,
    BASE_FORMS,
    FEMALE_NOUNS,
    FEMALE_TITLES,
    MALE_NOUNS,
    MALE_TITLES,
    NO_NAMES,
    PARTICLES,
    PERSON_NOUNS,
    PREPOSITIONS,
    SPEECH_VERBS,
    TITLES,
    VOICES,
    word_set,
)

_TOKEN = re.compile(
    rf"(?:{'|'.join(sorted(ABBREVIATIONS, key=len, reverse=True))})\.(?!\.)|[A-HJ-Z]\.(?=\s[A-Z])"
    r"|[^\W_]+(?:['’-][^\W_]+)*|--+|[—–]|\.{2,}|[^\w\s]"
)
ENDS = frozenset(".!?")
PRONOUNS = {"he": "m", "she": "f", "i": "I", "we": "we", "they": "they", "it": "it"}
OBJECTS = {"him": "m", "her": "f", "me": "I", "them": "they"}
OWNERS = {"his": "m", "her": "f", "my": "I"}
_DETERMINERS = word_set("the a an this that my his her our their your its another poor old young little")
_ADJECTIVES = word_set("old young poor little dear good honest big fat worthy brave gentle sweet pretty")
_SOMEBODY_ELSES = word_set("his her their its another one")
_AFTER_NOUN = PREPOSITIONS | word_set(
    """
    and or but nor as if when while whilst who whom whose which that than then there here was is were are had has have
    did does do could would should might must will shall may can not never ever again once now soon still only just
    also too very so such he she it they we i him her me them us you his my whereupon because however yet out up down
    back off away aloud
    """
)
_BEFORE_SUBJECT = word_set(", ; : — -- and but when while then that for so")
_LONGEST_NOUN_PHRASE = 6

Token = tuple[str, int]
"""A word or mark, and where it stands in the text."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Somebody as narration calls them: `kind` is name, noun, pronoun or I; `gender` m, f, "", or we, they, it.

    `at` is where the words begin in the text. `weak`: the words may mean no person, several, or one known only through
    another.
    """

    kind: str
    words: tuple[str, ...]
    gender: str
    at: int
    weak: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A subject in a sentence: from token `first` to before token `after`; `oblique` where it is no doer."""

    subject: Subject
    first: int
    after: int
    oblique: bool


def tokens_of(text: str, start: int, end: int) -> list[Token]:
    """The words and marks between two offsets."""
    return [(match[0], match.start()) for match in _TOKEN.finditer(text, start, end)]


def subjects_of(sentence: list[Token]) -> list[Place]:
    """Everybody whom some tokens name, in order."""
    found: list[Place] = []
    i = 0
    while i < len(sentence):
        subject, after = read_subject(sentence, i)
        if subject is None:
            i += 1
            continue
        before = sentence[i - 1][0] if i else "."
        loose = bool(found) and before.lower() not in _BEFORE_SUBJECT
        vague = sentence[i][0] in ("a", "an")
        oblique = before not in ENDS and (vague or loose or before.lower() in PREPOSITIONS)
        found.append(Place(subject, i, after, oblique))
        i = after
    return found


def read_subject(sentence: list[Token], i: int) -> tuple[Subject | None, int]:
    """Whoever is named from token `i` on, and the token after that."""
    if i >= len(sentence):
        return None, i
    word, at = sentence[i]
    low = word.lower()
    if low in PRONOUNS:
        kind = "I" if low == "i" else "pronoun"
        return Subject(kind, (low,), PRONOUNS[low], at, low in ("we", "they", "it")), i + 1
    if low in OBJECTS and i + 1 < len(sentence) and sentence[i + 1][0] in BASE_FORMS:  # "heard her say"
        return Subject("I" if low == "me" else "pronoun", (low,), OBJECTS[low], at, low == "them"), i + 1
    if low in _DETERMINERS and not (low in _ADJECTIVES and _name_follows(sentence, i + 1)):
        return _noun_phrase(sentence, i)
    while low in _ADJECTIVES and _name_follows(sentence, i + 1):
        i += 1
        low = sentence[i][0].lower()
    word = sentence[i][0]
    if is_name(word) or (word[0].isupper() and low.rstrip(".") in TITLES):
        return _name(sentence, i)
    return None, i


def is_name(word: str) -> bool:
    """Whether a word is written as a name and is none of those that are capitalised for other reasons."""
    return word[0].isupper() and word.lower().rstrip(".") not in NO_NAMES and (len(word) == 1 or not word[1:].isupper())


def gender_of(words: tuple[str, ...] | list[str]) -> str:
    """m, f or "" by the title or the noun."""
    for word in (words[0], words[-1]):
        low = word.lower().rstrip(".").rsplit("-", 1)[-1]
        if low in MALE_TITLES or low in MALE_NOUNS:
            return "m"
        if low in FEMALE_TITLES or low in FEMALE_NOUNS:
            return "f"
    return ""


def _name_follows(sentence: list[Token], i: int) -> bool:
    if i >= len(sentence):
        return False
    word = sentence[i][0]
    return word.lower() in _ADJECTIVES or is_name(word) or (word[0].isupper() and word.lower().rstrip(".") in TITLES)


def _name(sentence: list[Token], i: int) -> tuple[Subject | None, int]:
    """A name from its first word on, with titles, initials, and "de" and "of" inside."""
    first = i
    words: list[str] = []
    while i < len(sentence) and _goes_on(sentence, i, words):
        words.append(sentence[i][0])
        i += 1
        if words[-1].endswith(("'s", "’s")):
            break
    if not words:
        return None, first + 1
    if i + 1 < len(sentence) and sentence[i][0] in "'’" and sentence[i + 1][0] == "s":  # tokenised text
        words[-1] += "'s"
        i += 2
    if words[-1].endswith(("'s", "’s")):
        return _owned(sentence, first, i, words)
    several = i + 1 < len(sentence) and sentence[i][0] in ("and", "&") and sentence[i + 1][0][0].isupper()
    return Subject("name", tuple(words), gender_of(words), sentence[first][1], several), i


def _goes_on(sentence: list[Token], i: int, words: list[str]) -> bool:
    """Whether token `i` belongs to the name that `words` begin."""
    word = sentence[i][0]
    low = word.lower().rstrip(".")
    if words and low in PARTICLES and i + 1 < len(sentence) and sentence[i + 1][0][0].isupper():
        return low not in ("of", "the") or words[0].lower().rstrip(".") in TITLES
    return word[0].isupper() and (low in TITLES or is_name(word) or word[-1] == ".")


def _owned(sentence: list[Token], first: int, i: int, words: list[str]) -> tuple[Subject | None, int]:
    """ "Ada's voice" is Ada, "Ada's brother" somebody else."""
    at = sentence[first][1]
    if i < len(sentence) and sentence[i][0].lower() in VOICES:
        owner = (*words[:-1], words[-1][:-2])
        return Subject("name", owner, gender_of(owner), at), i + 1
    for j in range(i, min(len(sentence), i + 3)):
        noun = sentence[j][0].lower()
        if not noun[0].isalpha() or noun in _AFTER_NOUN:
            break
        if noun in PERSON_NOUNS:
            if j + 1 < len(sentence) and is_name(sentence[j + 1][0]):
                return _name(sentence, j + 1)
            return Subject("noun", (*words, noun), gender_of([noun]), at, True), j + 1
    return None, i


def _noun_phrase(sentence: list[Token], first: int) -> tuple[Subject | None, int]:
    """ "the old man", "my brother John", "the White Rabbit", from the determiner on."""
    words: list[str] = []
    person = 0  # how many of the words end with somebody
    i = first + 1
    while i < len(sentence) and len(words) < _LONGEST_NOUN_PHRASE:
        word = sentence[i][0]
        low = word.lower()
        if word[0].isupper() and (is_name(word) or low.rstrip(".") in TITLES):
            if not person or person == len(words):
                return _name(sentence, i)
            break
        if not word[0].isalpha() or low in _AFTER_NOUN or (words and low in SPEECH_VERBS):
            break
        ends_phrase = i + 1 == len(sentence) or not sentence[i + 1][0][0].isalpha()
        if low.endswith("ly") and (person or (words and ends_phrase)):
            break
        words.append(word)
        i += 1
        if low.rsplit("-", 1)[-1] in PERSON_NOUNS:
            person = len(words)
            if i < len(sentence) and sentence[i][0] in "'’":  # tokenised text: "the man 's hat"
                return None, i + 2
        elif low.endswith(("'s", "’s")):
            person = 0
    if not words:
        return None, first + 1
    determiner = sentence[first][0].lower()
    words = words[:person] if person else words[:3]
    weak = not person or determiner in _SOMEBODY_ELSES or any("'" in word or "’" in word for word in words)
    after = first + 1 + person if person else i
    return Subject("noun", (determiner, *words), gender_of(words), sentence[first][1], weak), after
