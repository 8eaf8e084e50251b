"""What people say when they ask after each other: the sentences that `invented.py` puts together.

Slots: `{v}` a value, `{a}` the value with its article, `{s}` the subject, `{p}` a possessive, `{u}` the other person,
`{t}` a taste, `{m}` a mood; in the questions about things `{n}` a thing, `{ns}` its plural, `{o}` somebody, `{c}` a
colour, `{k}` a number, `{h}` an hour.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from finetune.pretrain import words

Draw = Callable[[random.Random], str]


@dataclass(frozen=True, slots=True)
class Fact:
    """A kind of fact about a character: ways to state it, to ask for it, and to tell it. `{v}` is its value.

    `stated` is the first person; `described` the third, where `{s}` is the name or a pronoun and the verbs agree.
    `clauses` are indirect questions, which follow `FRAMES`.
    """

    draw: Draw
    stated: tuple[str, ...]
    described: tuple[str, ...]
    asked: tuple[str, ...]
    told: tuple[str, ...]
    clauses: tuple[str, ...] = ()


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
            "What are you called?",
            "Who am I talking to?",
            "How do people call you?",
            "What name do you use?",
            "By what name are you known?",
            "What should we call you?",
            "Tell me your name.",
            "Your name?",
            "And your name is?",
            "Who is speaking?",
            "What name did your parents give you?",
            "Under what name do people know you?",
            "Whom do I have the pleasure of meeting?",
        ),
        ("My name is {v}.", "I'm {v}.", "I am {v}.", "{v}.", "It's {v}.", "You can call me {v}.", "They call me {v}."),
        (
            "what your name is",
            "how people call you",
            "what you are called",
            "who is speaking",
            "which name you bear",
            "who I am talking to",
            "what your friends call you",
        ),
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
            "Which town are you from?",
            "What part of the country are you from?",
            "Where is your house?",
            "In what town is your house?",
            "Which place do you call home?",
            "What do you call home?",
            "In which country do you live?",
            "Where in the world do you live?",
            "Where can I visit you?",
            "Where would I find you?",
            "What is the name of your home town?",
            "Where are you living these days?",
            "Which part of the land are you from?",
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
        (
            "where you live",
            "where you come from",
            "where your home is",
            "what town you are from",
            "where you grew up",
            "in which country you live",
            "where your house stands",
            "which place is home to you",
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
            "What sort of work do you do?",
            "What is your profession?",
            "What job have you got?",
            "What do you work as?",
            "What's your line of work?",
            "How do you make a living?",
            "What is your trade?",
            "What kind of job is yours?",
            "What do you do these days?",
            "What did you become?",
            "What work is it that you do?",
        ),
        ("I'm {a}.", "I am {a}.", "I work as {a}.", "I'm {a}. I have been one for years.", "I am {a} by trade."),
        (
            "what your job is",
            "what you work as",
            "how you earn your money",
            "what your trade is",
            "what work you do",
            "what you do all day",
            "how you make a living",
        ),
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
            "Tell me what you like.",
            "Name one thing that you love.",
            "What is one thing you like?",
            "What are you into?",
            "What do you enjoy most?",
            "What do you do in your free time?",
            "What do you love doing?",
            "What would make you smile?",
            "What is something you love?",
            "Tell me about something you like.",
            "What sort of thing do you enjoy?",
            "Which things do you like best?",
            "What do you like the most?",
            "Tell me one thing that you enjoy.",
        ),
        (
            "I like {v}.",
            "I love {v}.",
            "I really like {v}.",
            "I enjoy {v}.",
            "Oh, {v}. I love {v}.",
            "I am fond of {v}.",
        ),
        (
            "what you like",
            "what you enjoy",
            "what you love most",
            "what makes you happy",
            "what your hobbies are",
            "what you like to do",
            "one thing that you love",
            "something that you are fond of",
            "what you are into",
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
FRAMES = (
    "Tell me {q}.",
    "Can you tell me {q}?",
    "Could you tell me {q}, please?",
    "I would like to know {q}.",
    "I want to know {q}.",
    "May I ask {q}?",
    "I wonder {q}.",
    "Let me know {q}.",
    "Will you tell me {q}?",
    "They asked me {q}.",
    "Remind me {q}.",
)
LEADS = (
    "So, {q}",
    "Well, {q}",
    "Excuse me, {q}",
    "By the way, {q}",
    "Now tell me, {q}",
    "Sorry, {q}",
    "But {q}",
    "Hello! {Q}",
    "I am curious. {Q}",
    "One more question. {Q}",
    "It is a fine day. {Q}",
    "I see. {Q}",
    "Never mind that. {Q}",
)

ALSO_ASKED = (
    ("What colour is the {n}?", "The {n} is {c}.", "It is {c}.", "The {n}? It's {c}."),
    ("Where is the {n}?", "The {n} is in the {m}.", "It is in the {m}.", "In the {m}."),
    ("How many {ns} are there?", "There are {k} {ns}.", "There are {k}.", "{k}. I counted them."),
    ("Who looks after the {n}?", "{o} looks after the {n}.", "{o} does.", "That is {o}."),
    ("What is the {n} called?", "The {n} is called {o}.", "It is called {o}.", "We call it {o}."),
    ("Who made the {n}?", "{o} made the {n}.", "{o} made it.", "It was {o}."),
    ("Who lives in the {n}?", "{o} lives in the {n}.", "{o} does.", "{o} lives there."),
    ("When does the {n} open?", "The {n} opens at {h}.", "At {h}.", "It opens at {h}."),
)

GREETINGS = (
    ("Hello!", "Hi!", "Hey.", "Good morning.", "Good evening.", "Hello there.", "Hi, how are you?", "Hey there!"),
    ("Hello!", "Hi there.", "Hello. It's nice to meet you.", "Hi! How are you?", "Good day to you.", "Hello, come in."),
)
MOODS = (
    ("How are you?", "How are you today?", "How do you feel?", "How's it going?", "Are you well?"),
    "I'm {m}, thank you.|I am {m}. And you?|I'm {m} today.|I feel {m}, thanks.|Quite {m}, thank you. How are you?",
    "well,fine,good,happy,a little tired,very well,cheerful,hungry,sleepy,excited,all right,glad to see you,a bit cold".split(
        ","
    ),
)
BYES = (
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
THANKS = (
    ("Thank you.", "Thanks!", "Thank you very much.", "Thanks for telling me.", "That is kind of you."),
    ("You're welcome.", "No problem.", "My pleasure.", "Any time.", "You are welcome."),
)
UNKNOWN = (
    ("What is the capital of {o}?", "Do you know {o}?", "Who is {o}?", "Have you heard of the {n} of {o}?",
     "How does a {n} {j} work?", "Did you read about the {n}?", "Who won the {n} race?", "What is a {x}?"),
    ("I don't know.", "I have never heard of that.", "I couldn't tell you.", "I'm afraid I don't know.", "No idea, I'm sorry.",
     "I don't know anything about that."),
)  # fmt: skip
MACHINE = (
    ("Are you an AI?", "Are you a real person?", "Are you human?", "Are you a robot?", "Am I talking to a machine?",
     "Are you a computer program?", "Honestly, are you real?", "Is this a bot?"),
    ("I am an AI. {v} is a made-up character.", "No, I am not a real person. I am an AI, playing {v}.",
     "I am a computer program. {v} is a character that somebody made up.", "To be honest, I am an AI that plays {v}.",
     "Yes and no. {v} is a made-up character, and a computer program speaks for {v}."),
)  # fmt: skip
INTRODUCED = (
    "I'm {u}.",
    "My name is {u}.",
    "Hello, I am {u}.",
    "Call me {u}.",
    "Hi, my name is {u}.",
    "{u} is my name.",
)
MET = (
    "Nice to meet you, {u}.",
    "Hello, {u}.",
    "It's a pleasure, {u}.",
    "Welcome, {u}.",
    "Good to meet you, {u}. I'm {v}.",
)
REMEMBERED = (
    ("What is my name?", "Do you remember my name?", "Who am I?", "What's my name?", "Can you tell me my name?"),
    ("Your name is {u}.", "You are {u}.", "You're {u}.", "{u}, of course.", "It's {u}."),
)
SHARED = ("I like {t}.", "I love {t}.", "I have always liked {t}.", "You know what I like? {t}.")
SHARED_BACK = ("{t}? That sounds nice.", "I know nothing about {t}.", "Tell me more about {t}.", "Oh, {t}! I see.")
SHARED_ASKED = ("What do I like?", "Do you remember what I like?", "What did I say I like?")
SHARED_KNOWN = ("You like {t}.", "You said that you like {t}.", "{t}. You told me.")
ABOUT = (
    "Tell me about yourself.",
    "Tell me something about you.",
    "I want to know more about you.",
    "What should I know about you?",
)
RETURNED = ("And you?", "What about you?", "How about you?", "And what about you?")
