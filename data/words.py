"""The words of a sentence, with the character's name marked wherever it stands and however long it is."""

import re
from collections.abc import Sequence

NAME, OWN, SUBJECT = "\ue000", "\ue001", "\ue002"
"""Private characters in place of the character's name, of its possessive, and of a pronoun that is the subject."""

_SHORT = r"['’](?:s|d|ll|ve|re|m)(?!\w)"
"""What is a word of its own where it is written together with another: "she's", "Tom'll", "the dog's"."""

_WORD = re.compile(rf"{_SHORT}|\w+(?:(?!{_SHORT})['’-]\w+)*|\s+|[^\w\s]", re.IGNORECASE)


def mark(sentence: str, names: Sequence[str]) -> list[str]:
    """Tokens, with one private character for the character's name, however long, and one for its possessive."""
    longest_first = "|".join(re.escape(n) for n in sorted(names, key=len, reverse=True) if n)
    marked = sentence
    if longest_first:
        marked = re.sub(rf"\b(?:{longest_first})['’]s?(?=\W|$)", OWN, marked)
        marked = re.sub(rf"\b(?:{longest_first})\b", NAME, marked)
    return [t for part in re.split(f"([{NAME}{OWN}])", marked) for t in _WORD.findall(part) if t]


def is_short(word: str) -> bool:
    """Whether a token is a shortened verb or the ending of a possessive: the "'s" of "she's" and of "the dog's"."""
    return len(word) > 1 and word[0] in "'’"


class Words:
    """The words of a sentence by position, each open to replacement; spaces and punctuation stay where they are."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.places = [i for i, t in enumerate(tokens) if not t.isspace()]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> str:
        return self.tokens[self.places[index]] if 0 <= index < len(self) else ""

    def __setitem__(self, index: int, word: str) -> None:
        self.tokens[self.places[index]] = word

    def text(self) -> str:
        """The sentence as it stands now."""
        return "".join(self.tokens)
