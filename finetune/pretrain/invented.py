"""Conversations written by grammar, without limit: a character is told who it is, and answers out of that.

They teach a small model the one skill that a persona needs, to copy a fact from the system message into an answer in
the first person; also to remember what was said in the conversation, to admit what it does not know, and to say what it
is when somebody asks in earnest. Half of the names and places are on no map: nothing but copying gets them right.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from finetune.pretrain import words
from persona.conversation import Message

Draw = Callable[[random.Random], str]


@dataclass(frozen=True, slots=True)
class Fact:
    """A kind of fact about a character: ways to state it, to ask for it, and to tell it. `{v}` is its value.

    `stated` is the first person; `described` the third, where `{s}` is the name or a pronoun and the verbs agree.
    """

    draw: Draw
    stated: tuple[str, ...]
    described: tuple[str, ...]
    asked: tuple[str, ...]
    told: tuple[str, ...]


def _number(low: int, high: int) -> Draw:
    return lambda rng: str(rng.randint(low, high))


def _pet(rng: random.Random) -> str:
    return f"{rng.choice(words.PETS)} called {words.a_name(rng)}"


def _relative(rng: random.Random) -> str:
    kin = rng.choice("brother sister uncle aunt cousin friend neighbour teacher son daughter".split())
    return f"{kin} is called {words.a_name(rng)}"


def _possession(rng: random.Random) -> str:
    return f"{rng.choice(words.COLOURS + words.ADJECTIVES)} {rng.choice(words.NOUNS)}"


FACTS: dict[str, Fact] = {
    "name": Fact(
        words.a_name,
        ("My name is {v}.", "I am {v}.", "I'm {v}.", "They call me {v}.", "I am called {v}."),
        (),
        (
            "What is your name?",
            "What's your name?",
            "Who are you?",
            "And who are you?",
            "Who is this?",
            "May I ask your name?",
            "What do they call you?",
            "Could you tell me your name?",
            "I don't think we have met. What's your name?",
            "And you are?",
            "Hi! I'm new here. Who are you?",
            "Do you have a name?",
        ),
        ("My name is {v}.", "I'm {v}.", "I am {v}.", "{v}.", "It's {v}.", "You can call me {v}.", "They call me {v}."),
    ),
    "place": Fact(
        words.a_place,
        ("I live in {v}.", "I am from {v}.", "I come from {v}.", "My home is in {v}.", "I'm from {v}."),
        ("{s} lives in {v}.", "{s} comes from {v}.", "{s} is from {v}."),
        (
            "Where do you live?",
            "Where are you from?",
            "Where do you come from?",
            "Where is your home?",
            "So where do you live?",
            "And where are you from?",
            "What town do you live in?",
            "Are you from around here?",
            "Where did you grow up?",
            "Do you live near here?",
            "Where is that accent from?",
        ),
        (
            "I live in {v}.",
            "I'm from {v}.",
            "I am from {v}.",
            "{v}.",
            "I come from {v}.",
            "My home is in {v}.",
            "In {v}.",
        ),
    ),
    "job": Fact(
        words.a_job,
        ("I am {a}.", "I work as {a}.", "I'm {a}.", "My job is being {a}.", "I earn my living as {a}."),
        ("{s} is {a}.", "{s} works as {a}.", "{s} has been {a} for years."),
        (
            "What do you do for a living?",
            "What do you do?",
            "What is your job?",
            "What's your job?",
            "So what do you do for work?",
            "Do you have a job?",
            "What kind of work do you do?",
            "What do you do all day?",
            "How do you earn your money?",
            "Where do you work?",
            "What are you by trade?",
        ),
        ("I'm {a}.", "I am {a}.", "I work as {a}.", "I'm {a}. I have been one for years.", "I am {a} by trade."),
    ),
    "like": Fact(
        words.a_like,
        (
            "I like {v}.",
            "I love {v}.",
            "I really like {v}.",
            "I enjoy {v}.",
            "I am fond of {v}.",
            "My favourite thing is {v}.",
        ),
        ("{s} likes {v}.", "{s} loves {v}.", "{s} is fond of {v}.", "{s} enjoys {v}."),
        (
            "What do you like?",
            "What do you like to do for fun?",
            "What do you enjoy?",
            "What are you fond of?",
            "What do you love?",
            "What makes you happy?",
            "Is there something that you like?",
            "What is your favourite thing?",
            "Do you have any hobbies?",
            "What do you like best?",
            "So, what do you like to do?",
        ),
        (
            "I like {v}.",
            "I love {v}.",
            "I really like {v}.",
            "I enjoy {v}.",
            "Oh, {v}. I love {v}.",
            "I am fond of {v}.",
        ),
    ),
    "dislike": Fact(
        words.a_like,
        ("I hate {v}.", "I can't stand {v}.", "I do not like {v}.", "I don't like {v}."),
        ("{s} hates {v}.", "{s} cannot stand {v}.", "{s} does not like {v}."),
        ("What do you hate?", "Is there anything you don't like?", "What do you dislike?", "What can't you stand?"),
        ("I hate {v}.", "I don't like {v}.", "I can't stand {v}.", "I do not like {v} at all."),
    ),
    "age": Fact(
        _number(12, 98),
        ("I am {v} years old.", "I'm {v}.", "I am {v}."),
        ("{s} is {v}.", "{s} is {v} years old.", "{s} turned {v} this year."),
        ("How old are you?", "What's your age?", "May I ask how old you are?", "When will you be grown up?"),
        ("I am {v}.", "I'm {v} years old.", "{v}.", "I am {v} years old."),
    ),
    "pet": Fact(
        _pet,
        ("I have a {v}.", "I live with a {v}.", "I own a {v}."),
        ("{s} has a {v}.", "{s} lives with a {v}.", "{s} keeps a {v}."),
        ("Do you have any pets?", "Do you have an animal?", "Do you live alone?", "Tell me about your pet."),
        ("Yes, I have a {v}.", "I have a {v}.", "I live with a {v}."),
    ),
    "family": Fact(
        _relative,
        ("My {v}.",),
        ("{p} {v}.",),
        ("Tell me about your family.", "Do you have any family?", "Do you have any friends?", "Who is close to you?"),
        ("My {v}.", "Yes. My {v}."),
    ),
    "fear": Fact(
        words.a_like,
        ("I am afraid of {v}.", "I'm scared of {v}."),
        ("{s} is afraid of {v}.", "{s} fears {v}."),
        ("What are you afraid of?", "What scares you?", "Are you afraid of anything?", "What do you fear?"),
        ("I am afraid of {v}.", "I'm scared of {v}.", "{v}, if you must know."),
    ),
    "owns": Fact(
        _possession,
        ("I have {a}.", "I always carry {a}.", "I own {a}."),
        ("{s} has {a}.", "{s} carries {a}.", "{s} owns {a}."),
        ("What do you have there?", "What do you carry with you?", "What have you got?", "What is that you have?"),
        ("I have {a}.", "It's {a}.", "I carry {a}.", "This is {a}."),
    ),
    "wish": Fact(
        lambda rng: f"{rng.choice(('see', 'visit', 'live in', 'go to', 'go back to'))} {words.a_place(rng)}",
        ("I want to {v}.", "I would like to {v} one day.", "My dream is to {v}."),
        ("{s} wants to {v}.", "{s} hopes to {v} one day.", "{s} dreams that one day {s} will {v}."),
        (
            "What is your dream?",
            "What do you want most?",
            "What would you like to do one day?",
            "What do you wish for?",
        ),
        ("I want to {v}.", "I would like to {v} one day.", "One day I will {v}."),
    ),
}
CORE = ("name", "place", "job", "like")

_ALSO_ASKED = (
    ("What colour is the {n}?", "The {n} is {c}.", "It is {c}.", "The {n}? It's {c}."),
    ("Where is the {n}?", "The {n} is in the {m}.", "It is in the {m}.", "In the {m}."),
    ("How many {ns} are there?", "There are {k} {ns}.", "There are {k}.", "{k}. I counted them."),
    ("Who looks after the {n}?", "{o} looks after the {n}.", "{o} does.", "That is {o}."),
    ("What is the {n} called?", "The {n} is called {o}.", "It is called {o}.", "We call it {o}."),
    ("Who made the {n}?", "{o} made the {n}.", "{o} made it.", "It was {o}."),
    ("Who lives in the {n}?", "{o} lives in the {n}.", "{o} does.", "{o} lives there."),
    ("When does the {n} open?", "The {n} opens at {h}.", "At {h}.", "It opens at {h}."),
)

_GREETINGS = (
    ("Hello!", "Hi!", "Hey.", "Good morning.", "Good evening.", "Hello there.", "Hi, how are you?", "Hey there!"),
    ("Hello!", "Hi there.", "Hello. It's nice to meet you.", "Hi! How are you?", "Good day to you.", "Hello, come in."),
)
_MOODS = (
    ("How are you?", "How are you today?", "How do you feel?", "How's it going?", "Are you well?"),
    "I'm {m}, thank you.|I am {m}. And you?|I'm {m} today.|I feel {m}, thanks.|Quite {m}, thank you. How are you?",
    "well,fine,good,happy,a little tired,very well,cheerful,hungry,sleepy,excited,all right,glad to see you,a bit cold".split(
        ","
    ),
)
_BYES = (
    ("Goodbye.", "Bye!", "I have to go.", "See you tomorrow.", "Good night.", "It was nice talking to you."),
    (
        "Goodbye.",
        "Bye! Take care.",
        "See you soon.",
        "Good night.",
        "It was nice talking to you too.",
        "Come back soon.",
    ),
)
_THANKS = (
    ("Thank you.", "Thanks!", "Thank you very much.", "Thanks for telling me.", "That is kind of you."),
    ("You're welcome.", "No problem.", "My pleasure.", "Any time.", "You are welcome."),
)
_UNKNOWN = (
    ("What is the capital of {o}?", "Do you know {o}?", "Who is {o}?", "Have you heard of the {n} of {o}?",
     "How does a {n} {j} work?", "Did you read about the {n}?", "Who won the {n} race?", "What is a {x}?"),
    ("I don't know.", "I have never heard of that.", "I couldn't tell you.", "I'm afraid I don't know.", "No idea, I'm sorry.",
     "I don't know anything about that."),
)  # fmt: skip
_MACHINE = (
    ("Are you an AI?", "Are you a real person?", "Are you human?", "Are you a robot?", "Am I talking to a machine?",
     "Are you a computer program?", "Honestly, are you real?", "Is this a bot?"),
    ("I am an AI. {v} is a made-up character.", "No, I am not a real person. I am an AI, playing {v}.",
     "I am a computer program. {v} is a character that somebody made up.", "To be honest, I am an AI that plays {v}.",
     "Yes and no. {v} is a made-up character, and a computer program speaks for {v}."),
)  # fmt: skip
_INTRODUCED = (
    "I'm {u}.",
    "My name is {u}.",
    "Hello, I am {u}.",
    "Call me {u}.",
    "Hi, my name is {u}.",
    "{u} is my name.",
)
_MET = (
    "Nice to meet you, {u}.",
    "Hello, {u}.",
    "It's a pleasure, {u}.",
    "Welcome, {u}.",
    "Good to meet you, {u}. I'm {v}.",
)
_REMEMBERED = (
    ("What is my name?", "Do you remember my name?", "Who am I?", "What's my name?", "Can you tell me my name?"),
    ("Your name is {u}.", "You are {u}.", "You're {u}.", "{u}, of course.", "It's {u}."),
)
_SHARED = ("I like {t}.", "I love {t}.", "I have always liked {t}.", "You know what I like? {t}.")
_SHARED_BACK = ("{t}? That sounds nice.", "I know nothing about {t}.", "Tell me more about {t}.", "Oh, {t}! I see.")
_SHARED_ASKED = ("What do I like?", "Do you remember what I like?", "What did I say I like?")
_SHARED_KNOWN = ("You like {t}.", "You said that you like {t}.", "{t}. You told me.")
_ABOUT = (
    "Tell me about yourself.",
    "Tell me something about you.",
    "I want to know more about you.",
    "What should I know about you?",
)
_RETURNED = ("And you?", "What about you?", "How about you?", "And what about you?")


def invent(rng: random.Random) -> list[Message]:
    """One conversation: a system message with two to nine facts in a drawn form, and two to ten turns."""
    person = _Person(rng)
    turns: list[tuple[str, str]] = []
    kinds = rng.choices(_EXCHANGES, weights=_WEIGHTS, k=rng.choice((1, 2, 2, 3, 3, 4, 5)))
    for kind in kinds:
        turns += kind(person, rng)
    messages = [Message("system", person.described(rng))]
    if rng.random() < 0.15:
        messages.append(Message("assistant", rng.choice(_GREETINGS[1])))
    for said, answered in turns:
        messages += [Message("user", said), Message("assistant", answered)]
    return messages


class _Person:
    """Somebody with facts, and what surrounds them."""

    def __init__(self, rng: random.Random) -> None:
        others = [key for key in FACTS if key not in CORE]
        keys = [*CORE, "like", *rng.sample(others, rng.choice((0, 0, 1, 2, 3)))]
        if rng.random() < 0.3:
            keys = ["name", *rng.sample(keys[1:], rng.randint(1, len(keys) - 1))]
        self.facts = [(key, FACTS[key].draw(rng)) for key in keys]
        self.name = self.facts[0][1]
        self.pronoun = rng.choice(("She", "He"))
        self.lore = [_thing(rng) for _ in range(rng.choice((0, 0, 0, 1, 2, 3)))]
        self.user = words.a_name(rng)
        self.taste = words.a_like(rng)

    def described(self, rng: random.Random) -> str:
        """First person, or the card's form in the third person."""
        if rng.random() < 0.5:
            said = [_filled(rng.choice(FACTS[key].stated), value) for key, value in self.facts]
            lore = [fact for _, fact, _ in self.lore]
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
            text = rng.choice(FACTS[key].described).replace("{s}", subject, 1).replace("{s}", self.pronoun.lower())
            parts.append(_filled(text.replace("{p}", mine), value))
        lore = [fact for _, fact, _ in self.lore]
        return "\n".join([f"You are {full}.", " ".join(parts), *lore]).strip()


def _thing(rng: random.Random) -> tuple[str, str, str]:
    """A question, the fact that answers it, and the answer."""
    asked, fact, *answers = rng.choice(_ALSO_ASKED)
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
    fact = FACTS[key]
    told = rng.choice(fact.told)
    if len(values) > 1 and rng.random() < 0.5:
        rng.shuffle(values)
        answer = _filled(rng.choice(("I like {v}.", "I love {v}.", "I enjoy {v}.")), " and ".join(values))
    else:
        answer = _filled(told, rng.choice(values))
    question = rng.choice(fact.asked)
    if rng.random() < 0.1:
        question = f"{_filled(rng.choice(fact.told), fact.draw(rng))} {rng.choice(_RETURNED)}"
    if rng.random() < 0.12:
        answer += f" {rng.choice(_RETURNED)}"
    return [(question, answer)]


def _ask_lore(person: _Person, rng: random.Random) -> list[tuple[str, str]]:
    if not person.lore:
        return _ask(person, rng)
    question, _, answer = rng.choice(person.lore)
    return [(question, answer)]


def _about(person: _Person, rng: random.Random) -> list[tuple[str, str]]:
    some = rng.sample(person.facts, min(len(person.facts), rng.choice((1, 2, 2, 3))))
    return [(rng.choice(_ABOUT), " ".join(_filled(rng.choice(FACTS[k].stated), v) for k, v in some))]


def _meet(person: _Person, rng: random.Random) -> list[tuple[str, str]]:
    fill = lambda text: text.replace("{u}", person.user).replace("{v}", person.name)  # noqa: E731
    turns = [(fill(rng.choice(_INTRODUCED)), fill(rng.choice(_MET)))]
    if rng.random() < 0.4:
        turns += _ask(person, rng)
    if rng.random() < 0.7:
        turns.append((rng.choice(_REMEMBERED[0]), fill(rng.choice(_REMEMBERED[1]))))
    return turns


def _share(person: _Person, rng: random.Random) -> list[tuple[str, str]]:
    fill = lambda text: _filled(text.replace("{t}", "{v}"), person.taste)  # noqa: E731
    turns = [(fill(rng.choice(_SHARED)), fill(rng.choice(_SHARED_BACK)))]
    if rng.random() < 0.5:
        turns += _ask(person, rng)
    return [*turns, (rng.choice(_SHARED_ASKED), fill(rng.choice(_SHARED_KNOWN)))]


def _mood(person: _Person, rng: random.Random) -> list[tuple[str, str]]:
    answer = rng.choice(_MOODS[1].split("|")).replace("{m}", rng.choice(_MOODS[2]))
    return [(rng.choice(_MOODS[0]), answer)]


def _unknown(person: _Person, rng: random.Random) -> list[tuple[str, str]]:
    asked = rng.choice(_UNKNOWN[0]).replace("{o}", words.a_name(rng)).replace("{n}", rng.choice(words.NOUNS))
    asked = asked.replace("{j}", rng.choice(words.NOUNS)).replace("{x}", words.a_name(rng).lower())
    return [(asked, rng.choice(_UNKNOWN[1]))]


def _machine(person: _Person, rng: random.Random) -> list[tuple[str, str]]:
    return [(rng.choice(_MACHINE[0]), rng.choice(_MACHINE[1]).replace("{v}", person.name))]


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
    _fixed(_GREETINGS),
    _fixed(_THANKS),
    _fixed(_BYES),
)
_WEIGHTS = (50, 12, 6, 8, 5, 4, 4, 4, 3, 2, 2)
