"""Questions that every character is asked, with the answers that its card gives: identity, the unknown, small talk."""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from data import questions as ask
from data.balance import ENOUGH_REAL_REPLIES
from data.grammar import word_set
from data.rows import RowMaker
from persona.card import CharacterCard
from persona.conversation import Conversation, Origin
from persona.errors import PersonaError

QUESTIONS_PER_ANSWER = 3
QUESTIONS_PER_DEFLECTION = 2
"""What says nothing of the character is not worth learning by rote."""

_MODERN = word_set(
    """
    airplane airport android app apartment automobile battery bike bus camera car cars cinema computer cyber cyborg
    diesel drone electric electricity electronic elevator email engine film films fridge gasoline hacker helicopter
    internet jeans laptop microwave modern motor motorcycle movie movies newspaper newspapers nuclear online petrol
    phone phones photo photograph photos plane plastic radio refrigerator robot satellite skyscraper smartphone
    spaceship starship subway supermarket taxi telephone television tractor train tram truck tv video website
    """
)
_OLDER = word_set(
    """
    alchemist arrow axe blacksmith bow carriage castle coach crown curse cursed dragon dragons dwarf elf elven elves
    emperor enchanted enchantment ferryman forge goblin guild hedge-witch hive innkeeper king kingdom knight knights
    lantern lanterns mage magic magical medieval minstrel monastery orc peasant potion potions prince princess quill
    realm ruins sailors sorcerer sorceress spell spells squire sword swords tavern throne troll wagon warlock windmill
    witch wizard
    """
)
_YES_OR_NO = re.compile(r"(?:do|may|have|is|are|can) ", re.IGNORECASE)
FEWEST_SIGNS = 2
"""Of an older world, each another word: anybody may own a lantern."""


def answer_rows(card: CharacterCard, replies: Sequence[str], make: RowMaker) -> Iterator[Conversation]:
    """Rows for the answers in `extensions.persona`, or a few plain ones. `replies` are the character's real lines.

    Raises `PersonaError` for an answer that is no text.
    """
    own = card.extensions.get("persona")
    table: dict[str, Any] = {**_plain_answers(card.spoken_name, replies), **(own if isinstance(own, dict) else {})}
    older = is_older_world(_world(card, replies))
    introductions, ai, unknown = (_texts(table[name], name) for name in ("introductions", "ai", "unknown"))
    yield from _answered("identity", "introduction", introductions, lambda _: ask.IDENTITY, make)
    yield from _answered("identity", "ai", ai, _ai, make)
    yield from _answered("unknown", "unknown", unknown, partial(_unknown, older=older), make, QUESTIONS_PER_DEFLECTION)
    smalltalk = table.get("smalltalk", {})
    if not isinstance(smalltalk, dict):
        raise PersonaError(
            f"Small talk is {type(smalltalk).__name__}, not a table.",
            where="extensions.persona.smalltalk",
            fix=f"give it the lists {', '.join(ask.SMALLTALK)}",
        )
    for kind, asked in ask.SMALLTALK.items():
        told = _texts(smalltalk.get(kind, []), f"smalltalk.{kind}")
        yield from _answered("smalltalk", kind, told, partial(_fitting, asked), make)


def _plain_answers(name: str, replies: Sequence[str]) -> dict[str, list[str]]:
    """What a card without answers of its own says: true, few, and in quotation marks where its lines are.

    A character of few lines gets one of each kind: they would be most of what it learns.
    """
    answers = {
        "introductions": [f"I am {name}.", f"My name is {name}.", f"{name} is my name."],
        "unknown": ["I do not know that.", "I have never heard of it.", "I cannot tell you that."],
        "ai": [
            f"I am an AI, and {name} is a part that I play.",
            f"I am not a real person. A computer program speaks for {name}.",
        ],
    }
    quoted = 2 * sum('"' in reply for reply in replies) > len(replies)
    few = 1 if len(replies) < ENOUGH_REAL_REPLIES else None
    return {kind: [f'"{text}"' if quoted else text for text in texts[:few]] for kind, texts in answers.items()}


def _texts(value: Any, field: str) -> list[str]:
    """The answers in a field, which may hold one text alone. Raises `PersonaError` naming the field."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise PersonaError(
            f"The answers are {type(value).__name__}, not texts.",
            where=f"extensions.persona.{field}",
            fix=f'write them as {field.rpartition(".")[2]} = ["...", "..."]',
        )
    return [text for text in texts if text.strip()]


def _answered(
    origin: Origin,
    kind: str,
    answers: Sequence[str],
    questions: Callable[[str], Sequence[str]],
    make: RowMaker,
    most: int = QUESTIONS_PER_ANSWER,
) -> Iterator[Conversation]:
    """Rows for a list of answers; `questions(answer)` says what may be asked. All rows of one answer are one scene."""
    # Few answers are plain ones, which must not wash the character's own lines out.
    each = most if len(answers) > QUESTIONS_PER_ANSWER else 1
    for number, answer in enumerate(answers, 1):
        rng = make.rng(f"{origin}/{kind}/{number}")
        asked = list(questions(answer))
        for question in rng.sample(asked, min(each, len(asked))):
            turns = [("{{user}}", ask.as_typed(question, rng)), ("{{char}}", answer)]
            yield make.dialogue(turns, source=origin, scene=f"{kind} {number}", origin=origin)


def _ai(answer: str) -> Sequence[str]:
    """Questions that an answer beginning with yes or no answers rightly."""
    first = re.match(r"\W*(\w+)", answer)
    word = first[1].lower() if first else ""
    if word in ("no", "not"):
        return ask.ARE_YOU_REAL
    return ask.ARE_YOU_AN_AI if word == "yes" else ask.ARE_YOU_AN_AI + ask.ARE_YOU_REAL


def _fitting(asked: Sequence[str], answer: str) -> list[str]:
    """The questions whose time of day, if they name one, the answer names too."""
    return [q for q in asked if all(ask.has_word(t, answer) for t in ask.TIMES_OF_DAY if ask.has_word(t, q))]


def _unknown(answer: str, *, older: bool) -> list[str]:
    """Questions about what the character's world does not have, in the form that the answer fits.

    About a thing where the answer says "it"; of yes or no where it begins with no; none about what the character has
    where it says that it does not know. What is modern is asked about only in an older world.
    """
    about_a_thing = bool(re.search(r"\b(?:it|one|those|word)\b", answer, re.IGNORECASE))
    forms = [*ask.UNKNOWN_THINGS, *(() if about_a_thing else ask.UNKNOWN_OTHERS)]
    if re.match(r"\W*no\b(?! (?:idea|clue))", answer, re.IGNORECASE):
        forms = [form for form in forms if _YES_OR_NO.match(form)]
    elif not about_a_thing and re.search(r"\b(?:know|tell|idea|clue|guess)\b", answer):
        forms = [form for form in forms if not _YES_OR_NO.match(form)]
    fills = {
        "thing": ask.MODERN_THINGS if older else (),
        "word": ask.NONSENSE_WORDS,
        "name": ask.NONSENSE_NAMES,
        "place": ask.NONSENSE_PLACES,
    }
    return [
        f.format(**{slot: v}) for f in forms for slot, values in fills.items() if "{" + slot + "}" in f for v in values
    ]


def is_older_world(text: str) -> bool:
    """Whether a text shows that nobody in it has heard of a telephone: signs of an older world, and none of today's."""
    words = set(re.findall(r"[a-z]+(?:-[a-z]+)*", text.lower()))
    return not words & _MODERN and len(words & _OLDER) >= FEWEST_SIGNS


def _world(card: CharacterCard, replies: Sequence[str]) -> str:
    """All that the author says of the character's world, and the character itself."""
    book = card.character_book.entries if card.character_book else ()
    told = (card.description, card.personality, card.scenario, card.first_mes, *card.alternate_greetings, *card.tags)
    return "\n".join([*told, card.mes_example, *replies, *(e.content for e in book)])
