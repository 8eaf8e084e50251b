"""What people ask: the user's side of synthetic rows, and which answers have the form that a question wants."""

import random
import re

from data.grammar import sentences

ABOUT_THEIR_OWN = (
    "Tell me about {topic}.",
    "What can you tell me about {topic}?",
    "Can you tell me about {topic}?",
    "What should I know about {topic}?",
    "I want to hear about {topic}.",
    "What about {topic}?",
)
"""Of a topic that begins with "your"."""

ABOUT_THING = (
    *ABOUT_THEIR_OWN,
    "What do you know about {topic}?",
    "{topic}?",
    "What is {topic}?",
    "What are {topic}?",
    "Where is {topic}?",
    "What do you think of {topic}?",
)
ABOUT_PERSON = (
    "Who is {topic}?",
    "Who was {topic}?",
    "Do you know {topic}?",
    "How do you know {topic}?",
    "What is {topic} like?",
    "Tell me about {topic}.",
    "What can you tell me about {topic}?",
    "I want to hear about {topic}.",
    "What do you think of {topic}?",
)
"""Of somebody whom the character knows."""

ABOUT_CLAUSE = ("Tell me {topic}.", "Can you tell me {topic}?", "I would like to know {topic}.")
"""Of a topic such as "what you like"."""

ABOUT_THEMSELVES = ("Tell me about yourself.", "What should I know about you?", "Can you tell me about yourself?")

OPENERS = (
    "Tell me something.",
    "Go on, say something.",
    "Talk to me.",
    "Tell me something about yourself.",
    "Tell me something that I don't know about you.",
    "Tell me a little about yourself.",
    "I have a little time. Tell me something about yourself.",
    "I would like to know you better.",
    "Say something about yourself.",
)
"""What leaves the choice of the topic to the character."""

IDENTITY = (
    "Who are you?",
    "What is your name?",
    "What's your name?",
    "Who am I talking to?",
    "And you are?",
    "I don't think we have met. Who are you?",
    "Please introduce yourself.",
    "What do people call you?",
)

ARE_YOU_AN_AI = (
    "Are you an AI?",
    "Are you a bot?",
    "Am I talking to a computer?",
    "Be honest, are you an AI?",
    "Are you a computer program?",
    "Is this a chatbot?",
)
"""Answered by yes."""

ARE_YOU_REAL = (
    "Are you a real person?",
    "Are you human?",
    "Are you real?",
    "Is there a person on the other side?",
    "Seriously, am I talking to a human?",
)
"""Answered by no."""

UNKNOWN_THINGS = (
    "Do you have a {thing}?",
    "May I use your {thing}?",
    "What do you think of {thing}s?",
    "Have you ever seen a {thing}?",
    "Have you ever seen a {word}?",
    "What is a {word}?",
    "Do you keep a {word}?",
)
UNKNOWN_OTHERS = (
    "Who is {name}?",
    "How old is {name}?",
    "What did {name} say?",
    "Where is {place}?",
    "How did the war in {place} end?",
    "What do they eat in {place}?",
)
MODERN_THINGS = (
    "telephone",
    "television",
    "computer",
    "laptop",
    "video game",
    "credit card",
    "microwave",
    "tractor",
    "radio",
    "robot",
)
"""Asked about where the character's world is surely older than they are."""

NONSENSE_WORDS = ("florbix", "grindle", "quastor", "brimblewick", "zorple", "tandrel", "wuffin", "kelpstone")
NONSENSE_NAMES = ("Zelmo Quint", "Professor Ombel", "Lady Tasker", "Dorrin Vake", "Captain Ulmer", "Ippa Sorn")
NONSENSE_PLACES = ("Vandoria", "Lothmar", "Upper Quell", "Brastika", "Tamberlee", "Ondrissa")

SMALLTALK = {
    "greeting": ("Hello!", "Hi.", "Hello there.", "Hi there!", "Hey.", "Good morning.", "Good evening!", "Good day."),
    "thanks": ("Thank you.", "Thanks!", "Thank you very much.", "Thanks for your help.", "That's kind of you."),
    "goodbye": ("Goodbye!", "Bye.", "I have to go now.", "See you soon.", "I must be off.", "Good night."),
    "mood": ("How are you?", "How are you today?", "How do you feel?", "Are you well?", "How are things?"),
}

TIMES_OF_DAY = ("morning", "evening", "night", "day")
"""A question that names one is only asked where the answer names it too."""

SHARE_TYPED_CARELESSLY = 0.2

NUMBER = (
    r"(?:\d[\d,]*|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen"
    r"|(?:twen|thir|for|fif|six|seven|eigh|nine)ty(?:-\w+)?)(?: hundred| thousand)?(?: and a half)?"
)
_OPINION = (
    r"\bI (?:\w+ly |always |never |do not |don't )?(?:like|love|hate|dislike|trust|fear|admire|prefer|adore|despise"
    r"|enjoy|miss|mind|forgive|consider|wish)\b|\b[Mm]y (?:favourite|favorite|dearest|best)\b"
)
_ACQUAINTED = r"\b(?:is|was|are|were|have an?) (?:\w+ ){0,3}my\b|\bI (?:\w+ )?(?:met|found|rescued|raised|knew|know)\b"
_INTRODUCED = r"^I(?:'m| am) (?:the\b|an? |[A-Z])|\b[Mm]y name\b|\bcalls? me\b|\bI am called\b"
_PLACED = r"\b(?:in|on|at|near|off|under|behind|below|above|beside|between|of|from|across) (?:the|an?|my|[A-Z])"
_FORMS = (
    (r"what do you think of\b", _OPINION),
    (r"how do you know\b", _ACQUAINTED),
    (r"who are you|what(?:'s| is) your name", _INTRODUCED),
    (r"who is\b", r"^(?:NAME)\b(?!.*\b(?:was|were)\b)|(?:,|named|called) (?:NAME)\b"),
    (r"who was\b", r"^(?:NAME)\b.*\bwas\b"),
    (r"what (?:is|are) .* like\b", r"^(?:NAME)\b.*\b(?:is|are|has|have)\b"),
    (r"what is TOPIC", r"^(?i:TOPIC) is (?:an?|the|my|one)\b"),
    (r"what are TOPIC", r"^(?i:TOPIC) are\b"),
    (r"where is TOPIC", rf"^(?i:TOPIC) (?:is|lies|stands)\b.*{_PLACED}"),
    (r"where\b", _PLACED),
    (r"how (?:many|much|old|far|long|high|tall|big|often)\b", rf"\b(?:{NUMBER}|one|once|twice|every)\b"),
    (r"why\b", r"\bbecause\b"),
    (r"can\b(?! you tell)", r"\b(?:can|cannot|can't)\b"),
)
"""How a question begins, and what the first sentence of its answer holds: TOPIC, or NAME for the names within it."""


def as_typed(question: str, rng: random.Random) -> str:
    """A question as people type it: now and then without capitals and without its last mark."""
    return question.lower().rstrip(".?!") if rng.random() < SHARE_TYPED_CARELESSLY else question


def fits(question: str, answer: str, topic: str = "") -> bool:
    """Whether an answer has the form that a question about `topic` asks for: a place, a reason, an opinion, a person."""
    whole = re.escape(topic) if topic else "(?!)"
    called = "|".join(re.escape(word.rstrip(".")) for word in topic.split() if word[0].isupper()) or whole
    for asked, wanted in _FORMS:
        if re.match(asked.replace("TOPIC", whole), question, re.IGNORECASE):
            return bool(re.search(wanted.replace("TOPIC", whole).replace("NAME", called), sentences(answer)[0]))
    return True


def has_word(key: str, text: str) -> bool:
    """Whether `key` stands in the text as whole words, in any case."""
    return bool(re.search(rf"(?<!\w){re.escape(key)}(?!\w)", text, re.IGNORECASE))
