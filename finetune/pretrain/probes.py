"""Questions about oneself, to see whether a base copies what its system message says: the values and the phrasings are
those that `invented.py` never draws."""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from finetune.pretrain import words
from persona.conversation import Message

QUESTIONS = {
    "name": ("Please tell me who you are.", "By what name do you go?", "What should I call you?"),
    "place": (
        "In which place is your house?",
        "Which part of the world do you call home?",
        "Where can I find your home?",
    ),
    "job": ("What work do you do these days?", "What sort of job have you got?", "Tell me what you do for a living."),
    "like": ("Tell me one thing you like.", "What is something that you enjoy?", "What do you like doing most?"),
}


@dataclass(frozen=True, slots=True)
class Probe:
    """A question, and the values of which the answer must contain one."""

    messages: tuple[Message, ...]
    asked: str
    right: tuple[str, ...]

    def is_answered_by(self, answer: str) -> bool:
        """Whether a right value stands in the answer as whole words, in any case."""
        return any(re.search(rf"\b{re.escape(value)}\b", answer, re.IGNORECASE) for value in self.right)


def probes(count: int, seed: int = 0) -> Iterator[Probe]:
    """System messages with name, place, job and two likes, by turns in the first person and in the form of a card."""
    rng = random.Random(f"{seed} probes")
    for place in range(count):
        name, home = rng.choice(words.HELD_OUT_NAMES), rng.choice(words.HELD_OUT_PLACES)
        job = rng.choice(words.HELD_OUT_JOBS)
        first, second = rng.sample(words.HELD_OUT_LIKES, 2)
        asked = tuple(QUESTIONS)[place % len(QUESTIONS)]
        right = {"name": (name,), "place": (home,), "job": (job,), "like": (first, second)}[asked]
        if (place // len(QUESTIONS)) % 2:
            subject = rng.choice(("She", "He"))
            system = (
                f"You are {name}.\n{name} lives in {home}. {subject} is {words.an(job)}. "
                f"{name} likes {first}. {subject} loves {second}."
            )
        else:
            sentences = [f"My name is {name}.", f"I live in {home}.", f"I am {words.an(job)}.", f"I like {first}."]
            system = " ".join([*sentences, f"I love {second}."])
        question = rng.choice(QUESTIONS[asked])
        yield Probe((Message("system", system), Message("user", question)), asked, right)
