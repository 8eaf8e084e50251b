"""Questions about lore, answered in the first person with what the lorebook says."""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from data import questions as ask
from data.authored import entry_name, split_dialogue
from data.manner import Manner
from data.names import names_of, pronouns_of
from data.rows import RowMaker, tidy
from data.split import HELD_OUT_QUESTION
from data.telling import is_prose, lore_answers
from data.voice import second_person
from persona.card import CharacterCard
from persona.conversation import Conversation, Message
from persona.formats import macros
from persona.lorebook import LoreEntry
from persona.memory import DEFAULT_USER_NAME

QUESTIONS_PER_ENTRY = 3
SHARE_WITHOUT_LORE = 1 / 3

TELLINGS_PER_ENTRY = 2

_PERSON = re.compile(r"[A-Z][\w'’.-]*(?: (?:of |the |de |van |von )?[A-Z][\w'’.-]*){0,3}")
_OF_A_PERSON = re.compile(r"\b(?:he|she|him|her|his|hers|husband|wife|brother|sister|friend|mother|father)\b")
_OF_ONESELF = re.compile(r"(?:I|My|I'm|I've|I'll|I'd)\b")
_CHARACTERS_PER_TOKEN = 4
_AMPLE_TOKENS = 1_000_000

_DECORATOR = re.compile(r"^@@.*$", re.MULTILINE)
_QUESTION_KEY = re.compile(r"(?:who|where|can|how|what) \w+ \w+[\w ]*", re.IGNORECASE)


def lore_rows(card: CharacterCard, replies: Sequence[str], make: RowMaker) -> Iterator[Conversation]:
    """Rows for every entry with a sentence that converts safely. `replies` are real lines, which lend their manner."""
    names, pronouns, manner = names_of(card, make.first_name), pronouns_of(card), Manner.of(replies)
    for index, entry in enumerate(card.character_book.entries if card.character_book else ()):
        if entry.enabled and entry.content.strip():
            name = entry_name(entry, index)
            answers = lore_answers(lore_prose(entry, card.spoken_name), names, pronouns, name)
            if answers:
                yield from _entry_rows(entry, index, names, answers, manner, make)
                yield from _telling_rows(name, answers, manner, make)


def _entry_rows(
    entry: LoreEntry, index: int, names: Sequence[str], answers: Sequence[str], manner: Manner, make: RowMaker
) -> Iterator[Conversation]:
    """Questions that call the entry go with its lore, and part of them without; if none calls it, all go without."""
    name = entry_name(entry, index)
    rng = make.rng(f"lore/{index}")
    asked = [ask.as_typed(question, rng) for question in lore_questions(entry, name, names, rng)]
    calling = [q for q in asked if index in entries_called(make.card, Message("user", q), make.seed)]
    # One answer to three questions would be learnt by rote.
    trained = min(QUESTIONS_PER_ENTRY, len(answers) + 1)
    for number, question in enumerate((calling or asked)[: trained + 1]):
        answer = manner.lend(answers[number % len(answers)], rng)
        if number == trained:
            yield _held_out_question(question, answer, name, index, make)
            break
        for lore in (True, False):
            if bool(calling) if lore else not calling or rng.random() < SHARE_WITHOUT_LORE:
                turns = [("{{user}}", question), ("{{char}}", answer)]
                row = make.dialogue(turns, source="lore", scene=name, origin="lore", lore=lore, notes={"entry": name})
                # Chance and the name of who asks have a say in what is called, and both belong to the row.
                called = lore and index in entries_called(make.card, row.messages[0], row.seed)
                yield replace(row, lore=called)


def _held_out_question(question: str, answer: str, name: str, index: int, make: RowMaker) -> Conversation:
    """A trained fact asked for in words that training never has: whether the fact was learnt, or its question."""
    row = make.dialogue(
        [("{{user}}", question), ("{{char}}", answer)],
        source="lore",
        scene=name,
        origin="lore",
        notes={"entry": name, HELD_OUT_QUESTION: "yes"},
    )
    return replace(row, lore=index in entries_called(make.card, row.messages[0], row.seed))


def _telling_rows(name: str, answers: Sequence[str], manner: Manner, make: RowMaker) -> Iterator[Conversation]:
    """What the character tells of itself unasked: half of it out of the blue, half into a silence that somebody leaves.

    Without lore: the prompt would hold what is to be remembered.
    """
    rng = make.rng(f"telling/{name}")
    own = [answer for answer in answers if _OF_ONESELF.match(answer)]
    for answer in own[:TELLINGS_PER_ENTRY]:
        opener = [] if rng.random() < 0.5 else [("{{user}}", ask.as_typed(rng.choice(ask.OPENERS), rng))]
        turns = [*opener, ("{{char}}", manner.lend(answer, rng))]
        yield make.dialogue(turns, source="telling", scene=name, origin="telling", lore=False, notes={"entry": name})


def entries_called(card: CharacterCard, question: Message, seed: int) -> frozenset[int]:
    """The lorebook entries that stand in the prompt of a conversation that begins with `question`, room permitting."""
    if not card.character_book:
        return frozenset()
    user = question.name or DEFAULT_USER_NAME

    def expand(text: str) -> str:
        return macros.expand(
            text, char=card.spoken_name, user=user, rng=random.Random(f"{seed}:{text}"), pick_key=str(seed)
        )

    def count_tokens(text: str) -> int:
        return len(text) // _CHARACTERS_PER_TOKEN

    constants = card.character_book.constants(
        expand=expand, count_tokens=count_tokens, token_budget=_AMPLE_TOKENS, seed=seed
    )
    standing = frozenset(decision.index for decision in constants if decision.included)
    decisions = card.character_book.scan(
        [question],
        standing=standing,
        turn=0,
        char=card.spoken_name,
        user=user,
        expand=expand,
        count_tokens=count_tokens,
        token_budget=_AMPLE_TOKENS,
        seed=seed,
    )
    return standing | {decision.index for decision in decisions if decision.included}


def lore_prose(entry: LoreEntry, char: str) -> str:
    """An entry's facts without dialogue, decorators and macros."""
    prose, _ = split_dialogue(_DECORATOR.sub("", entry.content))
    return tidy(macros.expand(prose, char=char, user=DEFAULT_USER_NAME, rng=random.Random(0)))


def lore_questions(entry: LoreEntry, name: str, names: Sequence[str], rng: random.Random) -> list[str]:
    """Ways to ask about an entry: by its title, and by those of its keys that are questions."""
    asked = [key[0].upper() + key[1:] + "?" for key in entry.keys if _QUESTION_KEY.fullmatch(key)]
    if name in names:
        asked += ask.ABOUT_THEMSELVES
    topic = second_person(name, names) if len(name) <= 60 else None
    if topic and is_prose(topic + "."):
        topic = topic[0].lower() + topic[1:] if topic.startswith("Your ") else topic
        asks = topic.split()[0] in ("what", "how", "why", "where", "when", "who")
        owns = topic.startswith("your ")
        somebody = not owns and _PERSON.fullmatch(topic) and _OF_A_PERSON.search(entry.content)
        forms: Sequence[str] = ask.ABOUT_CLAUSE if asks else ask.ABOUT_THEIR_OWN if owns else ask.ABOUT_THING
        forms = ask.ABOUT_PERSON if somebody else forms
        asked += [f.format(topic=topic) for f in forms]
    rng.shuffle(asked)
    return list(dict.fromkeys(q[0].upper() + q[1:] for q in asked))
