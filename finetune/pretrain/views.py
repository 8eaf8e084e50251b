"""A dialogue as a model with a chat template sees it: one speaker is the character, and the system message says who.

One dialogue has many views: either speaker may be the character, names are drawn anew, and the system message takes
several forms, from bare persona sentences to the card that `persona/system.py` writes.
"""

import random
from collections.abc import Sequence

from finetune.pretrain.corpora import Document, Turn
from finetune.pretrain.words import NAMES
from persona.conversation import Message

EXAMPLE_TURNS = 6
PLAIN_NAMES = ("Sam", "Robin")


def plain_view(document: Document, speaker: int) -> list[Message]:
    """The view that is measured: the speaker's persona sentences joined by one space, and the whole dialogue."""
    system = _fill(" ".join(document.personas[speaker]), PLAIN_NAMES)
    turns = _messages(document.turns, speaker, PLAIN_NAMES)
    return [Message("system", system), *turns] if system else turns


def random_view(document: Document, rng: random.Random) -> list[Message]:
    """A view with everything drawn that may vary; it always begins with a system message, as a sign of a new start."""
    speaker = rng.randrange(2)
    names = _names(rng)
    turns = list(document.turns)
    sentences = list(document.personas[speaker])
    if document.scene and rng.random() < 0.7:
        system = rng.choice((f"Scenario: {document.scene}", document.scene))
    elif not sentences or rng.random() < 0.05:
        system = f"You are {names[speaker]}."
    else:
        if rng.random() < 0.5:
            rng.shuffle(sentences)
        system = " ".join(sentences)
        form = rng.random()
        if form < 0.15 and len(turns) > 2 * EXAMPLE_TURNS:
            examples, turns = turns[:EXAMPLE_TURNS], turns[EXAMPLE_TURNS:]
            lines = "\n".join(f"{names[t.speaker]}: {_fill(t.text, names)}" for t in examples)
            system = f"You are {names[speaker]}.\n{system}\n{names[speaker]} talks like this:\n{lines}"
        elif form < 0.4:
            system = f"You are {names[speaker]}.\n{system}"
    return [Message("system", _fill(system, names)), *_messages(turns, speaker, names)]


def _names(rng: random.Random) -> tuple[str, str]:
    first, second = rng.sample(NAMES, 2)
    return first, second


def _fill(text: str, names: Sequence[str]) -> str:
    return text.replace("{0}", names[0]).replace("{1}", names[1])


def _messages(turns: Sequence[Turn], speaker: int, names: Sequence[str]) -> list[Message]:
    return [Message("assistant" if t.speaker == speaker else "user", _fill(t.text, names)) for t in turns]
