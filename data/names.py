"""What a character is called: by the labels of scripts, by prose, and with which pronoun."""

import re
from collections.abc import Sequence

from data.grammar import word_set
from persona.card import CharacterCard
from persona.formats.folder import Scene

_ARTICLES = ("the", "a", "an", "le", "la", "les", "der", "die", "das", "el", "il")
_TITLES = word_set(
    """
    mr mrs ms miss mx dr doctor prof professor sir dame madam madame monsieur lady lord king queen prince princess
    duke duchess count countess baron baroness earl emperor empress captain colonel general major sergeant
    lieutenant admiral commander officer detective inspector agent judge saint st father mother brother sister
    friar nurse uncle aunt grandma grandpa master mistress young old little big great first second third
    """
)


def first_name(card: CharacterCard, scenes: Sequence[Scene] = ()) -> str:
    """The first word of the card's name where the character is called by it, else "".

    It is no article, title or initial, and no scene gives it to somebody who speaks beside the character.
    """
    first, *rest = card.name.split() or [""]
    if rest and (_is_title(first) or first.endswith(".") or len(first) < 2):
        return ""
    full = {card.name.casefold(), card.spoken_name.casefold()} - {first.casefold()}
    for scene in scenes if rest else ():
        labels = {speaker.casefold() for speaker, _ in scene.turns}
        if first.casefold() in labels and labels & full:
            return ""
    return first


def labels_of(card: CharacterCard, first: str) -> frozenset[str]:
    """The labels of the character's lines in lower case; `first` is its first name, "" where only whole names count."""
    called = {card.name, card.spoken_name, first, "{{char}}", "<bot>", "<char>"}
    return frozenset(name.casefold() for name in called if name)


def names_of(card: CharacterCard, first: str) -> tuple[str, ...]:
    """Everything that prose calls the character: its name, its nickname, its first name, that with a surname."""
    names = {card.name, card.spoken_name, first}
    head, _, rest = card.name.partition(" ")
    if rest and head.casefold() in _ARTICLES:
        names.add(f"{head.lower()} {rest}")
    elif rest and _is_title(head):
        names.add(rest)
    if first:
        book = card.character_book.entries if card.character_book else ()
        prose = "\n".join([card.description, *(e.name or "" for e in book)])
        names |= {m[0] for m in re.finditer(rf"\b{re.escape(first)}(?: [A-Z][a-z]+)+", prose)}
    return tuple(sorted(names - {""}))


def pronouns_of(card: CharacterCard) -> str:
    """The card's own word for it, else the pronoun that its description clearly prefers, else none."""
    if card.pronouns:
        return card.pronouns
    words = re.findall(r"[a-z]+", card.description.lower())
    she, he = (sum(w in forms for w in words) for forms in ({"she", "her", "hers"}, {"he", "him", "his"}))
    return "she" if she > 3 * he else "he" if he > 3 * she else ""


def _is_title(word: str) -> bool:
    return word.casefold().rstrip(".") in _TITLES or word.casefold() in _ARTICLES
