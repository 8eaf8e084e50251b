"""How a character ends and shortens its sentences, measured on its real lines and lent to plain answers."""

import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from data.grammar import sentences, word_set

FEWEST_LINES = 20
"""Below these a habit cannot be told from chance."""

FEWEST_ADDRESSES = 5

_SHORT_FORMS = {
    "I am": "I'm",
    "I will": "I'll",
    "I would": "I'd",
    "cannot": "can't",
    "do not": "don't",
    "does not": "doesn't",
    "is not": "isn't",
}
_ADDRESS = re.compile(r", ([a-z]+)[.!?]")
_GRAVE = re.compile(
    r"""\b(?:afraid|bur(?:y|ied)|corpses?|cr(?:y|ies|ied)|dead|deaths?|die[sd]?|dying|drown(?:ed|s|ing)?|fear(?:s|ed|ful)?
    |frightened|funerals?|graves?|grie(?:f|ve|ves|ved|ving)|heartbroken|kill(?:s|ed|ing)?|lonel(?:y|iness)|loss|(?<!got\ )lost
    |mourn(?:s|ed|ing)?|murder(?:s|ed)?|orphan(?:s|ed)?|(?:never|not)\ (?:came|come)\ (?:back|home)|(?:never|not)\ return(?:ed)?
    |perished|sad(?:ly|ness)?|scared|sorrows?|suffer(?:s|ed|ing)?|tears|terrified|terror|weep(?:s|ing)?|wept
    |widow(?:s|er|ed)?)\b""",
    re.IGNORECASE | re.VERBOSE,
)
"""Words of death, fear, loss and sorrow, which nobody shouts or dresses up."""

_NO_ADDRESS = word_set(
    """
    again all always anyway either here indeed maybe no now please so then there though today too well yes yet
    """
)


@dataclass(frozen=True)
class Manner:
    """Habits as shares of the lines that show them: `address` is what the character calls whoever it talks to."""

    address: str = ""
    address_share: float = 0.0
    exclamation_share: float = 0.0
    short_forms: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, replies: Sequence[str]) -> "Manner":
        """Measure the habits of real lines; too few lines have none."""
        if len(replies) < FEWEST_LINES:
            return cls()
        called = Counter(word for reply in replies for word in set(_ADDRESS.findall(reply)) - _NO_ADDRESS)
        address, often = called.most_common(1)[0] if called else ("", 0)
        if often < FEWEST_ADDRESSES:
            address, often = "", 0
        marks = Counter(s[-1] for reply in replies for s in sentences(reply))
        ended = marks["."] + marks["!"]
        text = "\n".join(replies)
        short = {full: form for full, form in _SHORT_FORMS.items() if text.count(form) > 2 * text.count(full)}
        return cls(address, often / len(replies), marks["!"] / ended if ended else 0.0, short)

    def about(self, text: str) -> "Manner":
        """The habits as they are in speaking of what `text` tells: neither loud nor familiar of death, fear or loss."""
        return replace(self, address_share=0.0, exclamation_share=0.0) if _GRAVE.search(text) else self

    def lend(self, answer: str, rng: random.Random) -> str:
        """The same words with these habits, each as often as the character has it, or quietly where they are sad."""
        quiet = bool(_GRAVE.search(answer))
        for full, form in self.short_forms.items():
            # "I am." at the end of a clause has no short form.
            answer = re.sub(rf"\b{full}\b(?= \w)", form, answer)
        spoken = sentences(answer)
        if spoken and self.address and not quiet and rng.random() < self.address_share:
            spoken[0] = re.sub(r"([.!])$", rf", {self.address}\1", spoken[0])
        return " ".join(
            s[:-1] + "!" if s.endswith(".") and not quiet and rng.random() < self.exclamation_share else s
            for s in spoken
        )
