"""The many ways in which a novel calls one person, brought together: "Holmes", "Mr. Holmes", "Sherlock Holmes"."""

from dataclasses import dataclass

from data.novel.words import DESCRIPTIONS, FEMALE_NAMES, FEMALE_TITLES, MALE_NAMES, MALE_TITLES, SHORT_NAMES, TITLES

Words = tuple[str, ...]
"""A name in lower case, without dots."""

_KNOWN_FAMILY = 5
"""A surname that stands so often after a title is one of the novel's own."""
_RARE = 60
"""Of a name that stands so often, a full name that stands once may be somebody else's."""
_OFTEN = 10
_BROTHER = 4


_FORMS = {
    "doctor": "dr", "capt": "captain", "cap'n": "captain", "col": "colonel", "gen": "general", "lieut": "lieutenant",
    "lt": "lieutenant", "sergt": "sergeant", "prof": "professor", "rev": "reverend", "mister": "mr", "missus": "mrs",
    "missis": "mrs", "auntie": "aunt", "aunty": "aunt",
}  # fmt: skip


@dataclass(slots=True)
class Variant:
    """One way of calling somebody, and how often: in narration, in quotations, beside a verb of speech.

    `inside` counts where it does not begin a sentence, `the` where narration has an article before it; `he` and `she` are
    the pronouns that follow it.
    """

    shown: str
    told: int = 0
    quoted: int = 0
    speaks: int = 0
    inside: int = 0
    the: int = 0
    he: int = 0
    she: int = 0

    def weight(self) -> int:
        """How much the variant counts among those of one person."""
        return self.told + self.quoted + 3 * self.speaks


def key_of(words: Words | list[str]) -> Words:
    """A name as it is compared: lower case, no dots, no possessive, one form of each title."""
    plain = (w.removesuffix("'s").removesuffix("’s").rstrip(".'’").lower() for w in words if w)
    return tuple(_FORMS.get(word, word) for word in plain)


def core_of(key: Words) -> Words:
    """A name without its titles; of titles alone, the last."""
    return tuple(word for word in key if word not in TITLES) or key[-1:]


def is_titled(key: Words) -> bool:
    """Whether a name has a title before it."""
    return len(key) > 1 and key[0] in TITLES


def sure_gender(key: Words) -> str:
    """m, f or "" by title, else by first name."""
    for word in key[:-1] or key:
        if word in MALE_TITLES:
            return "m"
        if word in FEMALE_TITLES:
            return "f"
    first = core_of(key)[0]
    return "m" if first in MALE_NAMES else "f" if first in FEMALE_NAMES else ""


def likely_gender(key: Words, variant: Variant) -> str:
    """`sure_gender`, unless the pronouns that follow clearly say otherwise where no title does."""
    sure = sure_gender(key)
    he, she = variant.he, variant.she
    if sure and (is_titled(key) or he + she < 6 or max(he, she) < 3 * min(he, she)):
        return sure
    if he + she < 2 or max(he, she) < 1.5 * min(he, she):
        return sure
    return "m" if he > she else "f"


def _clear_gender(variant: Variant) -> str:
    """The gender that nearly all pronouns after a name have."""
    he, she = variant.he, variant.she
    if he + she < _OFTEN or max(he, she) < 4 * min(he, she):
        return ""
    return "m" if he > she else "f"


def join(kept: dict[Words, Variant]) -> dict[Words, Words]:
    """For each variant the one that stands for its person.

    Full names first; then each single name, with or without a title, goes to the one full name that it fits.
    """
    return _Joining(kept).heads


class _Joining:
    """The state of `join`: who has each name, and how much each variant weighs."""

    def __init__(self, kept: dict[Words, Variant]) -> None:
        self.kept = kept
        self.weight = {key: variant.weight() for key, variant in kept.items()}
        self.gender = {key: sure_gender(key) or _clear_gender(variant) for key, variant in kept.items()}
        self.families = {key[-1] for key in kept if is_titled(key) and self.weight[key] >= _KNOWN_FAMILY}
        self.heads: dict[Words, Words] = {}
        self.full: dict[str, dict[Words, int]] = {}  # a name -> the people with a full name who have it
        by_weight = sorted(kept, key=lambda key: (-self.weight[key], key))
        for key in by_weight:
            if len(core_of(key)) > 1:
                self._add_full(key)
        singles = [key for key in by_weight if len(core_of(key)) == 1]
        described = [key for key in singles if len(key) > 1 and key[0] in DESCRIPTIONS]
        others = [key for key in singles if len(key) == 1 or key[0] not in DESCRIPTIONS]
        titled = [key for key in others if is_titled(key)]
        for key in sorted(others, key=is_titled, reverse=True):
            self.heads[key] = self._fitting(key, titled)
        self._give_surnames(titled)
        for key in described:
            self.heads[key] = self._described(key, singles)

    def _add_full(self, key: Words) -> None:
        first, last = core_of(key)[0], core_of(key)[-1]
        same = (head for head in self.full.get(first, {}) if core_of(head)[-1] == last and self._agree(head, key))
        head = self.heads[key] = next(same, key)
        for word in {first, last}:
            persons = self.full.setdefault(word, {})
            persons[head] = persons.get(head, 0) + self.weight[key]

    def _fitting(self, key: Words, titled: list[Words]) -> Words:
        """The person with a full name whom a single name means; itself where that is open."""
        word = core_of(key)[0]
        persons = self.full.get(word, {})
        variant = self.kept[key]
        if not persons and len(key) == 1 and not variant.speaks and variant.told * 4 <= variant.quoted:
            persons = self.full.get(SHORT_NAMES.get(word, ""), {})  # only the others call somebody so
        fitting = sorted((head for head in persons if self._may_be(key, head, persons)), key=lambda h: (-persons[h], h))
        if not fitting or (len(fitting) > 1 and persons[fitting[0]] < 2 * persons[fitting[1]]):
            return key
        rivals = (
            other for other in titled if len(key) == 1 and core_of(other) == key and self.heads.get(other) != fitting[0]
        )
        if any(self.weight[other] > persons[fitting[0]] and self.gender[other] != "f" for other in rivals):
            return key  # the surname alone is rather his
        return fitting[0]

    def _may_be(self, key: Words, head: Words, persons: dict[Words, int]) -> bool:
        by_first_name = core_of(key)[0] != head[-1] and head[-1] in self.families
        known = by_first_name or (persons[head] > 1 and persons[head] * _RARE >= self.weight[key])
        if not known or not self._agree(head, key):
            return False
        if not is_titled(key) or key[0] not in ("mr", "mrs", "miss") or core_of(head)[-1] != core_of(key)[0]:
            return True
        if key[0] == "mrs" and "mrs" not in head:
            return False
        return not self._is_another_mister(key, head) and not self._is_relative(key, head)

    def _is_another_mister(self, key: Words, head: Words) -> bool:
        """Whether "Mr. Hill" is so much commoner than "John Hill" that this is his brother or his son."""
        full = self.full[core_of(key)[-1]].get(head, 0)
        return key[0] == "mr" and full >= _OFTEN and self.weight.get(key, 0) > _BROTHER * full

    def _is_relative(self, key: Words, head: Words) -> bool:
        """Whether the first name alone is as common as the title with the surname: they are two people."""
        alone, titled = self.weight.get(core_of(head)[:1], 0), self.weight[key]
        return min(alone, titled) >= _OFTEN and min(alone, titled) * 5 >= max(alone, titled)

    def _give_surnames(self, titled: list[Words]) -> None:
        """A surname alone is the man's with a title, where there is one, else the woman's."""
        for key in sorted(titled, key=lambda k: self.gender[k] == "f"):
            bare = core_of(key)
            is_open = bare in self.kept and self.heads[bare] == bare and (self.heads[key] == key or key[0] == "mr")
            if is_open and (self.gender[key] != "f" or self._agree(key, bare)):
                self.heads[bare] = self.heads[key]

    def _described(self, key: Words, singles: list[Words]) -> Words:
        """Whom "poor Hill" means: whoever is called Hill, or Mrs. Hill, more often than that."""
        same = (other for other in singles if other in self.heads and core_of(other) == core_of(key))
        heavier = [other for other in same if self.weight[other] > self.weight[key] and self._agree(other, key)]
        return self.heads[heavier[0]] if heavier else key

    def _agree(self, one: Words, other: Words) -> bool:
        return not self.gender[one] or not self.gender[other] or self.gender[one] == self.gender[other]
