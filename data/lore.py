"""Questions about lore, answered in the first person with what the lorebook says."""

import random
import re
from collections.abc import Iterator, Sequence

from data import questions as ask
from data.grammar import sentences
from data.manner import Manner
from data.rows import RowMaker, tidy
from data.sources import entry_name, split_dialogue
from data.voice import first_person, second_person
from persona.card import CharacterCard
from persona.conversation import Conversation
from persona.formats import macros
from persona.lorebook import LoreEntry
from persona.memory import DEFAULT_USER_NAME

QUESTIONS_PER_ENTRY = 3
SHARE_WITHOUT_LORE = 1 / 3

_LEANS_BACK = re.compile(
    r"\b(?:it|its|them|their|they|there|then|these|those|this|that|he|she|him|his|her|other|so)\b", re.IGNORECASE
)
_DECORATOR = re.compile(r"^@@.*$", re.MULTILINE)
_QUESTION_KEY = re.compile(r"(?:who|where|can|how|what) \w+ \w+.*", re.IGNORECASE)


def lore_rows(card: CharacterCard, replies: Sequence[str], make: RowMaker) -> Iterator[Conversation]:
    """Rows for every entry with a sentence that converts safely. `replies` are real lines, which lend their manner."""
    names, pronouns, manner = names_of(card), pronouns_of(card), Manner.of(replies)
    for index, entry in enumerate(card.character_book.entries if card.character_book else ()):
        if entry.enabled and entry.content.strip():
            answers = lore_answers(lore_prose(entry, card.spoken_name), names, pronouns)
            yield from _entry_rows(entry, index, names, answers, manner, make)


def names_of(card: CharacterCard) -> tuple[str, ...]:
    """Everything that prose calls the character: its name, its nickname, its first name, that with a surname."""
    first = card.name.split()[0]
    book = card.character_book.entries if card.character_book else ()
    prose = "\n".join([card.description, *(e.name or "" for e in book)])
    with_surname = {m[0] for m in re.finditer(rf"\b{re.escape(first)}(?: [A-Z][a-z]+)+", prose)}
    return tuple(sorted({card.name, card.spoken_name, first} | with_surname))


def pronouns_of(card: CharacterCard) -> str:
    """The card's own word for it, else the pronoun that its description clearly prefers, else none."""
    if card.pronouns:
        return card.pronouns
    words = re.findall(r"[a-z]+", card.description.lower())
    she, he = (sum(w in forms for w in words) for forms in ({"she", "her", "hers"}, {"he", "him", "his"}))
    return "she" if she > 3 * he else "he" if he > 3 * she else ""


def _entry_rows(
    entry: LoreEntry, index: int, names: Sequence[str], answers: Sequence[str], manner: Manner, make: RowMaker
) -> Iterator[Conversation]:
    name = entry_name(entry, index)
    rng = make.rng(f"lore/{index}")
    asked, call = lore_questions(entry, name, names, rng) if answers else ([], False)
    for number, question in enumerate(asked[:QUESTIONS_PER_ENTRY]):
        answer = manner.lend(answers[number % len(answers)], rng)
        turns = [("{{user}}", ask.as_typed(question, rng)), ("{{char}}", answer)]
        for lore in (True, False):
            if call if lore else not call or rng.random() < SHARE_WITHOUT_LORE:
                yield make.dialogue(turns, source="lore", scene=name, origin="lore", lore=lore, notes={"entry": name})


def lore_prose(entry: LoreEntry, char: str) -> str:
    """An entry's facts without dialogue, decorators and macros."""
    prose, _ = split_dialogue(_DECORATOR.sub("", entry.content))
    return tidy(macros.expand(prose, char=char, user=DEFAULT_USER_NAME, rng=random.Random(0)))


def lore_answers(prose: str, names: Sequence[str], pronouns: str) -> list[str]:
    """In-voice answers of one or two neighbouring sentences, each of which stands without what went before it."""
    told = [first_person(s, names, pronouns) if _is_prose(s) else None for s in sentences(prose)]
    pairs: list[str] = []
    singles: list[str] = []
    for place, sentence in enumerate(told):
        if sentence is None or _leans_on_the_previous(sentence, opens=place == 0):
            continue
        following = told[place + 1] if place + 1 < len(told) else None
        singles.append(sentence)
        if following:
            pairs.append(f"{sentence} {following}")
    return list(dict.fromkeys([*pairs[:1], *singles[:1], *pairs[1:], *singles[1:]]))


def _leans_on_the_previous(sentence: str, *, opens: bool) -> bool:
    words = sentence.split()
    return bool(_LEANS_BACK.search(" ".join(words[:6]))) or (len(words) < 4 and not opens)


def _is_prose(sentence: str) -> bool:
    return not re.search(r"[\[\]{}=*<>|]", sentence) and sentence[-1:] in '.!?"”' and len(sentence) <= 240


def lore_questions(entry: LoreEntry, name: str, names: Sequence[str], rng: random.Random) -> tuple[list[str], bool]:
    """Ways to ask about an entry, and whether they call it by its keys: if not, it will not stand in the prompt."""
    keys = [k for k in entry.keys if k.strip() and not entry.use_regex]
    asked = [k[0].upper() + k[1:] + "?" for k in keys if _QUESTION_KEY.fullmatch(k)]
    if name in names:
        asked += ask.ABOUT_THEMSELVES
    topic = second_person(name, names) if len(name) <= 60 else None
    if topic and _is_prose(topic + "."):
        topic = topic[0].lower() + topic[1:] if topic.startswith("Your ") else topic
        asks = topic.split()[0] in ("what", "how", "why", "where", "when", "who")
        owns = topic.startswith("your ")
        forms: Sequence[str] = ask.ABOUT_CLAUSE if asks else ask.ABOUT_THEIR_OWN if owns else ask.ABOUT_THING
        asked += [f.format(topic=topic) for f in forms]
    rng.shuffle(asked)
    asked = list(dict.fromkeys(q[0].upper() + q[1:] for q in asked))
    calling = [q for q in asked if entry.constant or any(ask.has_word(key, q) for key in keys)]
    return calling or asked, bool(calling)
