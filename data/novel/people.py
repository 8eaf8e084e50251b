"""Who is in a novel: every name that is a person's, with gender, and where narration mentions them."""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from data.novel.aliases import Variant, Words, core_of, is_titled, join, key_of, likely_gender
from data.novel.quotations import Quotation
from data.novel.words import ABBREVIATIONS, DESCRIPTIONS, FEMALE_NAMES, MALE_NAMES, NO_NAMES, PLACES, STREETS, TITLES

_ABBREVIATED = "|".join(sorted(ABBREVIATIONS, key=len, reverse=True))
_WORD = rf"(?:(?:{_ABBREVIATED})\.|[A-HJ-Z]\.(?=\s[A-Z])|[A-Z][^\W\d_]*(?:['’-][A-Za-z][^\W\d_]*)*)"
_CHAIN = re.compile(rf"{_WORD}(?:\s(?:(?:of|de|la|von|van|du|le|d['’])\s)?{_WORD})*+")
_PRONOUN = re.compile(r"\b(?:(he|his|him|himself)|(?:she|her|hers|herself))\b")
_PRONOUN_CHARACTERS = 90
"""How far after a name a pronoun is likely to mean that person."""
_SENTENCE_MARKS = frozenset(".!?:\"“”'‘’*_([—-«»")
_LONGEST_NAME = 6
_ADDRESSED = 2
"""A name with which somebody is addressed so often is a person's, although narration never uses it."""


@dataclass(frozen=True)
class People:
    """The people of a text by number: their names as the text writes them, gender (m, f or ""), titles and surname.

    `things` are those whom narration calls with an article, as it does the Caterpillar, and may call "it". `quoted` and `told` count their names in quotations and in narration; `at` and `who` are the places and the numbers
    of those in narration, in order.
    """

    names: list[str] = field(default_factory=list)
    genders: list[str] = field(default_factory=list)
    titles: list[frozenset[str]] = field(default_factory=list)
    surnames: list[str] = field(default_factory=list)
    things: set[int] = field(default_factory=set)
    quoted: list[int] = field(default_factory=list)
    told: list[int] = field(default_factory=list)
    at: list[int] = field(default_factory=list)
    who: list[int] = field(default_factory=list)
    numbers: dict[Words, int] = field(default_factory=dict)

    def find(self, words: Words) -> int | None:
        """The number of whoever is called so, with or without the first words; None where nobody is."""
        key = key_of(words)
        return next((self.numbers[key[i:]] for i in range(len(key)) if key[i:] in self.numbers), None)

    def somebody(self, phrase: str, gender: str) -> int:
        """The number of somebody without a name, such as "the old man": one for each phrase."""
        key = (phrase,)
        if key not in self.numbers:
            self.append(phrase, gender, (key,))
        return self.numbers[key]

    def append(self, name: str, gender: str, keys: Sequence[Words], quoted: int = 0, told: int = 0) -> None:
        """Add a person who is called by `keys`."""
        self.numbers.update(dict.fromkeys(keys, len(self.names)))
        self.names.append(name)
        self.genders.append(gender)
        self.titles.append(frozenset(word for key in keys for word in key if word in TITLES))
        self.surnames.append(core_of(max(keys, key=lambda key: (len(core_of(key)), is_titled(key))))[-1])
        self.quoted.append(quoted)
        self.told.append(told)

    def before(self, place: int, since: int) -> Iterator[tuple[int, int]]:
        """The (place, number) of names in narration before `place` and not before `since`, nearest first."""
        i = bisect_right(self.at, place - 1) - 1
        while i >= 0 and self.at[i] >= since:
            yield self.at[i], self.who[i]
            i -= 1


def find_people(
    text: str, quotations: Sequence[Quotation], speaking: Counter[Words], addressed: Counter[Words]
) -> People:
    """The people of a text.

    `speaking` counts the names that stand beside a verb of speech, `addressed` those with which somebody is spoken to.
    """
    variants, mentions = _variants(text, quotations)
    for words, count in speaking.items():
        key = key_of(words)
        if key and (len(key) > 1 or key[0] not in NO_NAMES):
            variants.setdefault(key, Variant(" ".join(words))).speaks += count
    called = {key_of(words) for words, count in addressed.items() if count >= _ADDRESSED}
    kept = _persons(variants, {key for key in called if key in variants and variants[key].inside > 1})
    people = _number(kept, join(kept))
    for at, key in mentions:
        if (number := people.numbers.get(key)) is not None:
            people.at.append(at)
            people.who.append(number)
    return people


def _variants(text: str, quotations: Sequence[Quotation]) -> tuple[dict[Words, Variant], list[tuple[int, Words]]]:
    """Every run of capitalised words that may be a name with its counts, and where they stand in narration."""
    variants: dict[Words, Variant] = {}
    mentions: list[tuple[int, Words]] = []
    keys: dict[str, Words] = {}
    quotes = iter(quotations)
    quote = next(quotes, None)
    for match in _CHAIN.finditer(text):
        at, raw = match.start(), match[0]
        while quote is not None and quote.end <= at:
            quote = next(quotes, None)
        key = keys.get(raw)
        if key is None:
            key = keys[raw] = _trimmed(raw)
        if not key:
            continue
        variant = variants.get(key)
        if variant is None:
            variant = variants[key] = Variant(_shown(raw, key))
        elif variant.shown.isupper() and not raw.isupper():
            variant.shown = _shown(raw, key)
        before = text[at - 2 : at] if at > 1 else ""
        variant.inside += before[-1:] == " " and before[0] not in _SENTENCE_MARKS
        if quote is not None and quote.start <= at:
            variant.quoted += 1
            continue
        variant.told += 1
        variant.the += text[max(at - 4, 0) : at].lower() == "the "
        mentions.append((at, key))
        if pronoun := _PRONOUN.search(text, match.end(), match.end() + _PRONOUN_CHARACTERS):
            variant.he += bool(pronoun[1])
            variant.she += not pronoun[1]
    return variants, mentions


def _trimmed(raw: str) -> Words:
    """The words of a name without those before and after it that belong to no name; none for a shouted heading."""
    if len(raw) > 40 * _LONGEST_NAME:
        return ()
    words = raw.split()
    owner = next((i for i, word in enumerate(words) if word.endswith(("'s", "’s"))), len(words))
    words = words[: owner + 1]  # "Ada’s Evidence" names Ada
    if len(words) > 1 and all(len(word) > 2 and word.rstrip(".").isupper() for word in words):
        return ()
    key = list(key_of(words))
    while key and key[0] in NO_NAMES and not (key[0] in TITLES and len(key) > 1):
        key.pop(0)
    while key and key[-1] in NO_NAMES and not (len(key) > 1 and key[-2] in TITLES):
        key.pop()
    if _is_place(key_of(raw.split())) or (len(key) > 1 and key[0] in DESCRIPTIONS and NO_NAMES.issuperset(key[1:])):
        return ()  # "Victoria Street", "Good God"
    return tuple(key) if len(key) in range(1, _LONGEST_NAME + 1) and len("".join(key)) > 1 else ()


def _is_place(key: Sequence[str]) -> bool:
    if len(key) < 2 or key[-1] not in PLACES:
        return False
    known = len(key) == 2 and (key[0] in TITLES or key[0] in MALE_NAMES or key[0] in FEMALE_NAMES)
    return not known or key[0] == "st" or key[-1] in STREETS


def _shown(raw: str, key: Words) -> str:
    """The part of a run of words that is the name, as it is written."""
    words = raw.split()
    start = next((i for i in range(len(words)) if key_of(words[i : i + len(key)]) == key), 0)
    name = " ".join(words[start : start + len(key)])
    return name.removesuffix("'s").removesuffix("’s").rstrip("'’")


def _persons(variants: dict[Words, Variant], called: set[Words]) -> dict[Words, Variant]:
    """The names of people: who speaks, is addressed, has a title or a first name; and fuller forms of such names."""
    sure = {
        key
        for key, v in variants.items()
        if v.speaks
        or key in called
        or is_titled(key)
        or ((v.inside or len(key) > 1) and (key[0] in MALE_NAMES or key[0] in FEMALE_NAMES))
    }
    names = {word for key in sure if variants[key].weight() > 2 for word in core_of(key)}
    return {key: v for key, v in variants.items() if key in sure or (v.inside and len(key) > 1 and key[-1] in names)}


def _number(kept: dict[Words, Variant], heads: dict[Words, Words]) -> People:
    """The people whom the variants call, each with the best of their names."""
    groups: dict[Words, list[Words]] = {}
    for key in kept:
        groups.setdefault(heads[key], []).append(key)
    people = People()
    for keys in groups.values():
        total = sum(kept[key].told + kept[key].quoted for key in keys)

        def rank(key: Words, total: int = total) -> tuple[bool, int]:
            """A full name without a title, unless it is very rare, else the commonest."""
            v = kept[key]
            full = len(key) > 1 and core_of(key) == key and v.told + v.quoted > max(1, total / 200)
            return full, v.weight()

        votes: Counter[str] = Counter()
        for key in keys:
            votes[likely_gender(key, kept[key])] += 1 + kept[key].told + kept[key].speaks
        votes.pop("", None)
        gender = votes.most_common(1)[0][0] if votes else ""
        name = kept[max(keys, key=rank)].shown
        quoted, told = (sum(getattr(kept[key], count) for key in keys) for count in ("quoted", "told"))
        if 2 * sum(kept[key].the for key in keys) > told:
            people.things.add(len(people.names))
        people.append(name, gender, keys, quoted, told)
    return people
