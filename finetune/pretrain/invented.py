"""Conversations written by grammar, without limit: a character is told who it is, and answers out of that.

They teach a small model the one skill that a persona needs, to copy a fact from the system message into an answer in
the first person; also to remember what was said in the conversation, to admit what it does not know, and to say what it
is when somebody asks in earnest. Half of the names and places are on no map: nothing but copying gets them right.
"""

import random
from collections.abc import Callable

from finetune.pretrain import phrases, words
from persona.conversation import Message


def invent(rng: random.Random) -> list[Message]:
    """One conversation: a system message with two to nine facts in a drawn form, and two to ten turns."""
    person = _Person(rng)
    turns: list[tuple[str, str]] = []
    kinds = rng.choices(_EXCHANGES, weights=_WEIGHTS, k=rng.choice((1, 2, 2, 3, 3, 4, 5)))
    for kind in kinds:
        turns += kind(person, rng)
    messages = [Message("system", person.described(rng))]
    if rng.random() < 0.15:
        messages.append(Message("assistant", rng.choice(phrases.GREETINGS[1])))
    for said, answered in turns:
        messages += [Message("user", said), Message("assistant", answered)]
    return messages


class _Person:
    """Somebody with facts, and what surrounds them."""

    def __init__(self, rng: random.Random) -> None:
        others = [key for key in phrases.FACTS if key not in phrases.CORE]
        keys = [*phrases.CORE, "like", *rng.sample(others, rng.choice((0, 0, 1, 2, 3)))]
        if rng.random() < 0.3:
            keys = ["name", *rng.sample(keys[1:], rng.randint(1, len(keys) - 1))]
        self.facts = [(key, phrases.FACTS[key].draw(rng)) for key in keys]
        self.name = self.facts[0][1]
        self.pronoun = rng.choice(("She", "He"))
        self.lore = [_thing(rng) for _ in range(rng.choice((0, 0, 0, 1, 2, 3)))]
        self.user = words.a_name(rng)
        self.taste = words.a_like(rng)

    def described(self, rng: random.Random) -> str:
        """First person, or the card's form in the third person."""
        lore = [fact for _, fact, _ in self.lore]
        if rng.random() < 0.5:
            said = [_filled(rng.choice(phrases.FACTS[key].stated), value) for key, value in self.facts]
            parts = said + lore
            if rng.random() < 0.7:
                rng.shuffle(parts)
            head = f"You are {self.name}.\n" if rng.random() < 0.25 else ""
            return head + " ".join(parts)
        full = f"{self.name} {rng.choice(words.SURNAMES)}" if rng.random() < 0.3 else self.name
        parts = []
        facts = self.facts[1:]
        rng.shuffle(facts)
        for place, (key, value) in enumerate(facts):
            subject = full if not place else self.name if rng.random() < 0.4 else self.pronoun
            mine = f"{self.name}'s" if subject == self.name else {"She": "Her", "He": "His"}.get(subject, f"{full}'s")
            text = rng.choice(phrases.FACTS[key].described).replace("{s}", subject, 1)
            text = text.replace("{s}", self.pronoun.lower()).replace("{p}", mine)
            parts.append(_filled(text, value))
        return "\n".join([f"You are {full}.", " ".join(parts), *lore]).strip()


def _thing(rng: random.Random) -> tuple[str, str, str]:
    """A question, the fact that answers it, and the answer."""
    asked, fact, *answers = rng.choice(phrases.ALSO_ASKED)
    noun, other = rng.sample(words.NOUNS, 2)
    noun = f"{rng.choice(words.ADJECTIVES)} {noun}" if rng.random() < 0.3 else noun
    values = {
        "{ns}": words.plural(noun),
        "{n}": noun,
        "{m}": other,
        "{c}": rng.choice(words.COLOURS),
        "{k}": str(rng.randint(2, 400)),
        "{o}": words.a_name(rng),
        "{h}": rng.choice("one two three four five six seven eight nine ten noon dawn dusk midnight".split()),
    }
    texts = [asked, fact, rng.choice(answers)]
    for slot, value in values.items():
        texts = [text.replace(slot, value) for text in texts]
    return texts[0], texts[1], texts[2][0].upper() + texts[2][1:]


def _filled(text: str, value: str) -> str:
    text = text.replace("{a}", words.an(value)).replace("{v}", value)
    return text[0].upper() + text[1:]


def _ask(person: _Person, rng: random.Random) -> list[tuple[str, str]]:
    key = rng.choice(list(dict.fromkeys(key for key, _ in person.facts)))
    values = [value for other, value in person.facts if other == key]
    fact = phrases.FACTS[key]
    told = rng.choice(fact.told)
    if len(values) > 1 and rng.random() < 0.5:
        rng.shuffle(values)
        answer = _filled(rng.choice(("I like {v}.", "I love {v}.", "I enjoy {v}.")), " and ".join(values))
    else:
        answer = _filled(told, rng.choice(values))
    question = _question(fact, rng)
    if rng.random() < 0.1:
        question = f"{_filled(rng.choice(fact.told), fact.draw(rng))} {rng.choice(phrases.RETURNED)}"
    if rng.random() < 0.12:
        answer += f" {rng.choice(phrases.RETURNED)}"
    return [(question, answer)]


def _question(fact: phrases.Fact, rng: random.Random) -> str:
    """A direct or an indirect question, sometimes with words before it, sometimes as people type in a hurry."""
    if fact.clauses and rng.random() < 0.25:
        question = rng.choice(phrases.FRAMES).replace("{q}", rng.choice(fact.clauses))
    else:
        question = rng.choice(fact.asked)
        if rng.random() < 0.15:
            after = question if question.startswith("I ") else question[0].lower() + question[1:]
            question = rng.choice(phrases.LEADS).replace("{q}", after).replace("{Q}", question)
    return question.lower().rstrip(".?") if rng.random() < 0.08 else question


def _ask_lore(person: _Person, rng: random.Random) -> list[tuple[str, str]]:
    if not person.lore:
        return _ask(person, rng)
    question, _, answer = rng.choice(person.lore)
    return [(question, answer)]


def _about(person: _Person, rng: random.Random) -> list[tuple[str, str]]:
    some = rng.sample(person.facts, min(len(person.facts), rng.choice((1, 2, 2, 3))))
    return [(rng.choice(phrases.ABOUT), " ".join(_filled(rng.choice(phrases.FACTS[k].stated), v) for k, v in some))]


def _meet(person: _Person, rng: random.Random) -> list[tuple[str, str]]:
    fill = lambda text: text.replace("{u}", person.user).replace("{v}", person.name)  # noqa: E731
    turns = [(fill(rng.choice(phrases.INTRODUCED)), fill(rng.choice(phrases.MET)))]
    if rng.random() < 0.4:
        turns += _ask(person, rng)
    if rng.random() < 0.7:
        turns.append((rng.choice(phrases.REMEMBERED[0]), fill(rng.choice(phrases.REMEMBERED[1]))))
    return turns


def _share(person: _Person, rng: random.Random) -> list[tuple[str, str]]:
    fill = lambda text: _filled(text.replace("{t}", "{v}"), person.taste)  # noqa: E731
    turns = [(fill(rng.choice(phrases.SHARED)), fill(rng.choice(phrases.SHARED_BACK)))]
    if rng.random() < 0.5:
        turns += _ask(person, rng)
    return [*turns, (rng.choice(phrases.SHARED_ASKED), fill(rng.choice(phrases.SHARED_KNOWN)))]


def _mood(person: _Person, rng: random.Random) -> list[tuple[str, str]]:
    answer = rng.choice(phrases.MOODS[1].split("|")).replace("{m}", rng.choice(phrases.MOODS[2]))
    return [(rng.choice(phrases.MOODS[0]), answer)]


def _unknown(person: _Person, rng: random.Random) -> list[tuple[str, str]]:
    asked = rng.choice(phrases.UNKNOWN[0]).replace("{o}", words.a_name(rng)).replace("{n}", rng.choice(words.NOUNS))
    asked = asked.replace("{j}", rng.choice(words.NOUNS)).replace("{x}", words.a_name(rng).lower())
    return [(asked, rng.choice(phrases.UNKNOWN[1]))]


def _machine(person: _Person, rng: random.Random) -> list[tuple[str, str]]:
    return [(rng.choice(phrases.MACHINE[0]), rng.choice(phrases.MACHINE[1]).replace("{v}", person.name))]


def _fixed(pair: tuple[tuple[str, ...], tuple[str, ...]]) -> Callable[[_Person, random.Random], list[tuple[str, str]]]:
    return lambda person, rng: [(rng.choice(pair[0]), rng.choice(pair[1]))]


_EXCHANGES = (
    _ask,
    _ask_lore,
    _about,
    _meet,
    _share,
    _mood,
    _unknown,
    _machine,
    _fixed(phrases.GREETINGS),
    _fixed(phrases.THANKS),
    _fixed(phrases.BYES),
)
_WEIGHTS = (50, 12, 6, 8, 5, 4, 4, 4, 3, 2, 2)
