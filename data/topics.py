"""What a lorebook entry's title is asked about as: one's own, a person, a place or a thing."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from data import questions as ask
from data.grammar import PREPOSITIONS, SUBORDINATORS, sentences, word_set
from data.telling import is_plain
from data.voice import second_person

LONGEST_TITLE = 60

_PEOPLE = word_set(
    """
    man woman boy girl child baby king queen lord lady prince princess father mother brother sister son daughter uncle
    aunt nephew niece cousin husband wife grandmother grandfather friend rival apprentice doctor captain baker keeper
    sailor teacher master servant ferryman innkeeper woodcutter knight wizard witch merchant guard dog cat horse bird
    crow raven fox wolf
    """
)
_COURTESY = word_set("Mr Mrs Ms Miss Dr Doctor Captain Lord Lady King Queen Sir Dame Aunt Uncle")
_FEELS = "says|wants|thinks|loves|likes|hates|knows|tells|asks|laughs|studies|wears|dreams|teaches|believes"
_OTHERS = {"she": "he|him|his|himself", "he": "she|her|hers|herself"}
"""Pronouns that cannot be the character's."""

_THEIR_OWN = word_set(
    """
    age looks appearance personality childhood past family birthday clothes hair body powers abilities likes dislikes
    fears dreams hobbies habits background
    """
)
_NAMELESS = re.compile(r"entry \d+")
_TITLE = re.compile(r"[^\W_]+['’.]?(?:[ ,&.'’-]{1,2}[^\W_]+['’.]?)*")
_WITHIN_SENTENCE = re.compile(r"(?<=[\w,;:] )[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Topic:
    """A title as it stands within a question, and the ways to ask about it: none where it cannot be asked about."""

    text: str = ""
    forms: Sequence[str] = ()
    strict: bool = False
    """Whether only what names it is about it: true of a person, not of a place."""


def topic_of(title: str, prose: str, names: Sequence[str], pronouns: str, proper: frozenset[str]) -> Topic:
    """What an entry's title is asked about as: one's own, a clause, somebody, or a thing.

    `names` and `pronouns` are the character's; `proper` are the words that are names wherever they stand.
    """
    if title in names:
        return Topic("you", ask.ABOUT_THEMSELVES)
    turned = second_person(title, names) if len(title) <= LONGEST_TITLE and is_plain(title) else None
    if not turned or not _TITLE.fullmatch(title) or _NAMELESS.fullmatch(title):
        return Topic()
    if turned.startswith("Your "):
        return Topic(turned[0].lower() + turned[1:], ask.ABOUT_THEIR_OWN)
    if turned.split()[0].lower() in ("what", "how", "why", "where", "when", "who"):
        return Topic(turned[0].lower() + turned[1:], ask.ABOUT_CLAUSE, strict=True)
    if is_somebody(turned, prose, pronouns, proper):
        return Topic(turned, ask.ABOUT_PERSON, strict=True)
    text = within_sentence(turned, prose, proper)
    if text.lower() in _THEIR_OWN:
        return Topic(f"your {text.lower()}", ask.ABOUT_THEIR_OWN)
    return Topic(text, ask.ABOUT_THING)


def proper_words(texts: Sequence[str]) -> frozenset[str]:
    """The words that texts write with a capital within a sentence, and more often so than without."""
    found = Counter(word for text in texts for word in _WITHIN_SENTENCE.findall(text))
    return frozenset(w for w, times in found.items() if w[0].isupper() and w != "I" and times > found[w.lower()])


def within_sentence(title: str, prose: str, proper: frozenset[str]) -> str:
    """A title as it is written in the middle of a sentence: "The Glade" -> "the glade", "Lake Myrren" as it is."""
    words = title.split()
    if title[0].islower():
        return title.capitalize() if title.capitalize() in proper else title
    if words[0] in ("The", "A", "An") and len(words) > 1 and not re.search(rf"[\w,;] {re.escape(title)}\b", prose):
        words[0] = words[0].lower()
    pairs = [
        (first, second)
        for first, second in pairwise(words)
        if second[0].isupper() and re.search(rf"\b(?i:{first[0]}){re.escape(f'{first[1:]} {second}')}", prose)
    ]
    for place, word in enumerate(words):
        bare = re.sub(r"['’]s?$|\W+$", "", word)
        if not (any(word in pair for pair in pairs) or bare in proper or bare in _COURTESY or not bare[1:].islower()):
            words[place] = word.lower()
    return " ".join(words)


def is_somebody(title: str, prose: str, pronouns: str, proper: frozenset[str]) -> bool:
    """Whether a name is a person's or a pet's, by what an entry says of it. `pronouns` are the character's own."""
    if not re.fullmatch(r"[A-Z][\w.-]*(?: (?:(?:of|de|van|von) )?[A-Z][\w.-]*| the \w+){0,3}", title):
        return False
    words = [word for word in title.split() if word[0].isupper()]
    if words[0] in ("The", "A", "An") or (words[1:] and words[0].rstrip(".") in _COURTESY):
        return words[0].rstrip(".") in _COURTESY
    called = "|".join(re.escape(word.rstrip(".")) for word in words)
    between = rf"(?:(?!(?:{'|'.join(PREPOSITIONS | SUBORDINATORS)})\b)[\w'’-]+ ){{0,4}}"
    people = "|".join(_PEOPLE)
    said = [
        rf"^(?:{called})\b(?: [A-Z]\w+)* (?:is|was) {between}(?:{people})\b",
        rf"\b(?:{people}),? (?:named |called )?(?:{called})\b",
        rf"^(?:{called}) (?:is|was) (?:{ask.NUMBER})(?: years old)?(?:[.,]| and\b)",
    ]
    if proper & set(words):
        said.append(rf"^(?:{called}) (?:{_FEELS})\b")
        said += [rf"^(?:{called})\b[^A-Z]*\b(?:{_OTHERS[pronouns]})\b"] if pronouns in _OTHERS else []
    elif re.search(rf"\b(?:{called.lower()})\b", prose):
        return False
    told = [sentence for sentence in sentences(prose) if is_plain(sentence)]
    return any(re.search(pattern, sentence) for sentence in told for pattern in said)
