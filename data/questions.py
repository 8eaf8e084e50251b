"""What people ask: the user's side of synthetic rows."""

import random
import re

ABOUT_THING = (
    "Tell me about {topic}.",
    "What do you know about {topic}?",
    "What can you tell me about {topic}?",
    "Can you tell me about {topic}?",
    "I want to hear about {topic}.",
    "What about {topic}?",
    "{topic}?",
)
ABOUT_PERSON = (
    "Who is {topic}?",
    "Do you know {topic}?",
    "How do you know {topic}?",
    "Tell me about {topic}.",
    "What is {topic} like?",
    "What can you tell me about {topic}?",
    "What do you think of {topic}?",
)
"""Of somebody whom the character knows."""

ABOUT_THEIR_OWN = (
    "Tell me about {topic}.",
    "What can you tell me about {topic}?",
    "Can you tell me about {topic}?",
    "I want to hear about {topic}.",
    "What about {topic}?",
)
"""Of a topic that begins with "your"."""

ABOUT_CLAUSE = ("Tell me {topic}.", "Can you tell me {topic}?", "I would like to know {topic}.")
"""Of a topic such as "what you like"."""

ABOUT_THEMSELVES = ("Tell me about yourself.", "What should I know about you?", "Can you tell me about yourself?")

OPENERS = (
    "Tell me something.",
    "What is on your mind?",
    "Go on, say something.",
    "Talk to me.",
    "Tell me something that I don't know about you.",
    "I have a little time. Tell me something.",
    "It is quiet today.",
    "You look thoughtful.",
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
    "What do you think of the {thing}?",
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
"""Asked about unless the word occurs in the character's world."""

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


def as_typed(question: str, rng: random.Random) -> str:
    """A question as people type it: now and then without capitals and without its last mark."""
    return question.lower().rstrip(".?!") if rng.random() < SHARE_TYPED_CARELESSLY else question


def has_word(key: str, text: str) -> bool:
    """Whether `key` stands in the text as whole words, in any case."""
    return bool(re.search(rf"(?<!\w){re.escape(key)}(?!\w)", text, re.IGNORECASE))
