"""Questions about lore, answered in the first person with what the lorebook says; and what is told unasked."""

import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from data import questions as ask
from data.authored import entry_name, split_dialogue
from data.facts import fact_questions
from data.filters import normalised
from data.manner import Manner
from data.names import names_of, pronouns_of
from data.rows import RowMaker, tidy
from data.split import HELD_OUT_QUESTION
from data.telling import Answer, lore_answers
from data.topics import Topic, proper_words, topic_of
from persona.card import CharacterCard
from persona.conversation import Conversation, Message
from persona.formats import macros
from persona.lorebook import LoreEntry
from persona.memory import DEFAULT_USER_NAME

ANSWERS_PER_ENTRY = 3
"""Where an entry gives as many; more where its facts need more."""

MOST_ANSWERS = 40
"""Of one entry: a whole book in one entry is no lore that anybody asks about sentence by sentence."""

TELLINGS_PER_ENTRY = 2
SHARE_WITHOUT_LORE = 1 / 4
SHARE_AFTER_THE_FACT = 2 / 3
"""Of the questions that could be made from the fact itself: the others ask after the title."""

FEWEST_WORDS = 5
"""Of what is told unasked: "I never married." says nothing to somebody who asked for nothing."""

TOLD_TO_NOBODY = 5
"""Of what is told unasked every fifth opens the conversation: the rest is told to somebody who asks for anything."""

_OF_ONESELF = re.compile(r"(?:I|My|I'm|I've|I'll|I'd)\b")
_SECRET = re.compile(
    r"\bsecret|\bnobody knows\b|\bashamed\b|\bonly (?:when|if) \w+ asks?\b"
    r"|\b(?:never|not) (?:\w+ )?(?:tell|told|talk|talked|speak|spoke|spoken) (?:\w+ )?(?:so|of|about)\b",
    re.IGNORECASE,
)
_YES = re.compile(r"\W*(Yes|Aye|Yeah|Yep|Indeed)[,.!]")
_CHARACTERS_PER_TOKEN = 4
_AMPLE_TOKENS = 1_000_000

_DECORATOR = re.compile(r"^@@.*$", re.MULTILINE)
_QUESTION_KEY = re.compile(r"(?:who|where|can|how|what) \w+ \w+[\w ]*", re.IGNORECASE)


@dataclass
class _Talk:
    """Who answers and how, and what was asked so far: no question about one entry is asked about another."""

    make: RowMaker
    names: Sequence[str]
    pronouns: str
    manner: Manner
    yes: str
    proper: frozenset[str]
    asked: set[str] = field(default_factory=set)
    told: int = 0


def lore_rows(card: CharacterCard, replies: Sequence[str], make: RowMaker) -> Iterator[Conversation]:
    """Rows for every entry with a sentence that converts safely. `replies` are real lines, which lend their manner."""
    entries = card.character_book.entries if card.character_book else ()
    proper = proper_words([card.description, card.scenario, *replies, *(entry.content for entry in entries)])
    agreed = Counter(found[1] for reply in replies if (found := _YES.match(reply))).most_common(1)
    yes = agreed[0][0] if agreed else "Yes"
    manner = Manner.of(replies)
    talk = _Talk(make, names_of(card, make.first_name), pronouns_of(card), manner, yes, proper)
    for index, entry in enumerate(entries):
        if entry.enabled and entry.content.strip():
            talk.manner = manner.about(f"{entry_name(entry, index)}. {entry.content}")
            yield from _entry_rows(entry, index, talk)


def _entry_rows(entry: LoreEntry, index: int, talk: _Talk) -> Iterator[Conversation]:
    """Every fact as the answer to a question of its own, one question that only the test asks, and what is told unasked."""
    name = entry_name(entry, index)
    prose = lore_prose(entry, talk.make.card.spoken_name)
    topic = topic_of(name, prose, talk.names, talk.pronouns, talk.proper)
    answers = lore_answers(prose, talk.names, talk.pronouns, name, strict=topic.strict)
    needed = _needed(answers)
    told = _told_unasked(entry, answers, needed)
    left = {*told}.difference(answers[:needed])
    asked = [answer for answer in answers if answer not in left][: min(max(ANSWERS_PER_ENTRY, needed), MOST_ANSWERS)]
    rng = talk.make.rng(f"lore/{index}")
    trained: list[Answer] = []
    for answer in asked:
        lore = rng.random() >= SHARE_WITHOUT_LORE
        if question := _question(answer, entry, index, topic, talk, rng, lore=lore):
            trained.append(answer)
            yield _asked_row(question, answer, name, index, talk, rng, lore=lore)
    for answer in trained:
        if question := _question(answer, entry, index, topic, talk, rng, lore=True):
            yield _asked_row(question, answer, name, index, talk, rng, lore=True, notes={HELD_OUT_QUESTION: "yes"})
            break
    yield from _telling_rows(name, told, talk)


def _needed(answers: Sequence[Answer]) -> int:
    """How many of the first answers hold every sentence."""
    left = {sentence for answer in answers for sentence in answer.said}
    for number, answer in enumerate(answers):
        if not left:
            return number
        left.difference_update(answer.said)
    return len(answers)


def _told_unasked(entry: LoreEntry, answers: Sequence[Answer], needed: int) -> Sequence[Answer]:
    """What the character may tell of itself: nothing of a secret, and rather what no question is needed for."""
    if _SECRET.search(f"{entry.name} {entry.comment} {' '.join(entry.keys)} {entry.content}"):
        return []
    own = [answer for answer in answers if _speaks_of_oneself(answer)]
    spare = [answer for answer in answers[needed:] if _speaks_of_oneself(answer)]
    return spare[-min(TELLINGS_PER_ENTRY, max(1, len(answers) - 2)) :] or own[:1]


def _speaks_of_oneself(answer: Answer) -> bool:
    return bool(_OF_ONESELF.match(answer.text)) and len(answer.text.split()) >= FEWEST_WORDS


def _asked_row(
    question: str,
    answer: Answer,
    name: str,
    index: int,
    talk: _Talk,
    rng: random.Random,
    *,
    lore: bool,
    notes: Mapping[str, str] | None = None,
) -> Conversation:
    """A question with its answer, beside the lore where the question calls it.

    Chance and the name of who asks have a say in what is called, and both belong to the row.
    """
    text = f"{talk.yes}. {answer.text}" if question.lower().startswith("do you know") else answer.text
    turns = [("{{user}}", ask.as_typed(question, rng)), ("{{char}}", talk.manner.lend(text, rng))]
    notes = {"entry": name, **(notes or {})}
    row = talk.make.dialogue(turns, source="lore", scene=name, origin="lore", lore=lore, notes=notes)
    return replace(row, lore=lore and index in entries_called(talk.make.card, row.messages[0], row.seed))


def _question(
    answer: Answer, entry: LoreEntry, index: int, topic: Topic, talk: _Talk, rng: random.Random, *, lore: bool
) -> str:
    """A new question that the answer fits, which calls the entry if `lore` wants it and one does; "" if there is none."""
    facts, titled = fact_questions(answer.said[0], talk.proper), title_questions(answer, entry, topic)
    rng.shuffle(facts)
    rng.shuffle(titled)
    ordered = [*facts, *titled] if rng.random() < SHARE_AFTER_THE_FACT else [*titled, *facts]
    new = [question for question in ordered if normalised(question) not in talk.asked]
    calls = (q for q in new if index in entries_called(talk.make.card, Message("user", q), talk.make.seed))
    question = (next(calls, "") if lore else "") or next(iter(new), "")
    talk.asked.add(normalised(question))
    return question


def title_questions(answer: Answer, entry: LoreEntry, topic: Topic) -> list[str]:
    """Questions after an entry's title, and those of its keys that are questions, which an answer fits."""
    if not answer.on_topic:
        return []
    keys = [f"{key}?" for key in entry.keys if _QUESTION_KEY.fullmatch(key)]
    asked = [
        question[0].upper() + question[1:] for question in (*keys, *(f.format(topic=topic.text) for f in topic.forms))
    ]
    return [question for question in dict.fromkeys(asked) if ask.fits(question, answer.text, topic.text)]


def _telling_rows(name: str, told: Sequence[Answer], talk: _Talk) -> Iterator[Conversation]:
    """What the character tells of itself unasked, without lore: the prompt would hold what is to be remembered."""
    rng = talk.make.rng(f"telling/{name}")
    for answer in told:
        talk.told += 1
        opener = [("{{user}}", ask.as_typed(rng.choice(ask.OPENERS), rng))] if talk.told % TOLD_TO_NOBODY else []
        turns = [*opener, ("{{char}}", talk.manner.lend(answer.text, rng))]
        notes = {"entry": name}
        yield talk.make.dialogue(turns, source="telling", scene=name, origin="telling", lore=False, notes=notes)


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
