"""A teacher model, where the user has one: it writes what somebody may have said before a real line, and answers from lore.

The character's real lines stay as they are. What the teacher says in the character's place is marked as its own, is
checked against the lore, and is capped. Its answers are kept in `runs/NAME/teacher.jsonl`, so that a build that is made
again asks nothing twice and gives the same bytes.
"""

import hashlib
import json
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from data.authored import entry_name
from data.filters import normalised
from data.grammar import ADVERBS, DETERMINERS, MODALS, PREPOSITIONS, SUBORDINATORS
from data.lore import lore_prose
from data.rows import RowMaker
from data.sources import NO_CONTEXT, Dropped
from persona.card import CharacterCard
from persona.conversation import Conversation, Message
from persona.engines.protocol import Engine, Piece
from persona.errors import PersonaError
from persona.files import write_jsonl
from persona.generation import GenerationSettings
from persona.prompt import Prompt, compose

CACHE_FILE = "teacher.jsonl"
TEACHER_SHARE = 0.2
"""Of the training rows, at most: a model's own words wash a voice out."""

QUESTIONS_PER_ENTRY = 2
EXAMPLES = 4
SAID_CHARACTERS = 200
ANSWER_CHARACTERS = 400
SAVE_EVERY = 20

_COMMON = DETERMINERS | PREPOSITIONS | ADVERBS | MODALS | SUBORDINATORS
_LABEL = re.compile(r"^\s*(?:user|message|question|answer|\w{1,20})\s*:\s*", re.IGNORECASE)

Item = TypeVar("Item")
Say = Callable[[Sequence[Message], GenerationSettings], str]


@dataclass
class Teacher:
    """A model to ask: `name` is its address or folder. Every answer is remembered in `cache`."""

    name: str
    say: Say
    file: Path
    cache: dict[str, str] = field(default_factory=dict)

    def ask(self, instruction: str, text: str) -> str:
        """One answer, without quotation marks and labels around it; the same question gives the same answer."""
        key = hashlib.sha256(json.dumps([self.name, instruction, text]).encode()).hexdigest()[:24]
        if key not in self.cache:
            seed = int(key[:8], 16) % 2**31
            settings = GenerationSettings(max_new_tokens=120, temperature=0.7, top_p=0.95, seed=seed)
            self.cache[key] = self.say([Message("system", instruction), Message("user", text)], settings)
            if len(self.cache) % SAVE_EVERY == 0:
                self.save()
        answer = _LABEL.sub("", self.cache[key].strip().split("\n\n")[0], count=1)
        return answer.strip().strip('"“”').strip()

    def save(self) -> None:
        """Write what was answered so far."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        write_jsonl(self.file, [{"key": key, "answer": answer} for key, answer in self.cache.items()])


def open_teacher(name: str, run: Path) -> Teacher:
    """A teacher behind an address (any OpenAI-compatible server), or a model by folder or Hub id.

    The server's token comes from PERSONA_ENGINE_TOKEN. Raises `PersonaError` for neither.
    """
    file = run / CACHE_FILE
    return Teacher(name, _sayer(name), file, _remembered(file))


def _sayer(name: str) -> Say:
    """How to ask; the model is loaded, or the server spoken to, at the first question."""
    if name.startswith(("http://", "https://")):
        from persona.engines.remote import RemoteEngine

        remote = RemoteEngine(name, mode="messages", token=os.environ.get("PERSONA_ENGINE_TOKEN"))
        return lambda messages, settings: _whole(remote.stream(Prompt((), tuple(messages), None, ()), settings, _never))
    from persona.base import Base

    base = Base.resolve(name)
    engines: list[Engine] = []

    def say(messages: Sequence[Message], settings: GenerationSettings) -> str:
        from persona.engines.local import LocalEngine

        if not engines:
            engines.append(LocalEngine(base))
        prompt, _ = compose(list(messages[1:]), _instructed(messages[0].content), base.template())
        return _whole(engines[0].stream(prompt, settings, _never))

    return say


def _instructed(instruction: str) -> CharacterCard:
    return CharacterCard(name="Writer", system_prompt=instruction)


_never = threading.Event()


def _whole(pieces: Iterator[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


def _remembered(file: Path) -> dict[str, str]:
    if not file.is_file():
        return {}
    try:
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        return {str(row["key"]): str(row["answer"]) for row in rows}
    except (ValueError, KeyError, TypeError):
        raise PersonaError("The teacher's answers cannot be read.", where=str(file), fix="delete the file") from None


def with_context(
    rows: Sequence[Conversation], card: CharacterCard, teacher: Teacher
) -> tuple[list[Conversation], Dropped]:
    """Back-translation: a real line before which nothing was said gets a message that it may answer.

    Gives the rows, and those for which the teacher wrote nothing that can be used. The character's lines are untouched.
    """
    instruction = (
        f"You write the other side of a conversation with {card.spoken_name}. Given what {card.spoken_name} says, write "
        "the one short message that somebody may have said just before, in one sentence. Write only that message."
    )
    kept: list[Conversation] = []
    left: Dropped = []
    for row in _shown(rows, "asking the teacher for questions"):
        said = teacher.ask(instruction, row.messages[0].content)
        if said and len(said) <= SAID_CHARACTERS and normalised(said) not in normalised(row.messages[0].content):
            notes = {**row.notes, "teacher": teacher.name}
            kept.append(replace(row, messages=(Message("user", said), *row.messages), notes=notes))
        else:
            left.append((row, NO_CONTEXT))
    teacher.save()
    return kept, left


def taught_rows(
    card: CharacterCard, replies: Sequence[str], make: RowMaker, teacher: Teacher
) -> tuple[list[Conversation], Dropped]:
    """(rows, dropped): questions about every lore entry and answers in the character's manner, checked against the lore."""
    lines = "\n".join(f"- {reply}" for reply in sorted(replies, key=len)[len(replies) // 3 :][:EXAMPLES])
    kept: list[Conversation] = []
    dropped: Dropped = []
    entries = card.character_book.entries if card.character_book else ()
    for index, entry in enumerate(_shown(entries, "asking the teacher for answers")):
        prose = lore_prose(entry, card.spoken_name)
        if not entry.enabled or not prose:
            continue
        for number in range(QUESTIONS_PER_ENTRY):
            question = teacher.ask(
                f"Write one short question, number {number + 1} of several different ones, that a visitor may ask "
                f"{card.spoken_name} and that the text answers. Write only the question.",
                prose,
            )
            answer = teacher.ask(
                f"You are {card.spoken_name}. Answer in one or two sentences, in the first person, with nothing but "
                f"what the text says, in the manner of these lines of yours:\n{lines}",
                f"{prose}\n\n{question}",
            )
            row = make.dialogue(
                [("{{user}}", question or "?"), ("{{char}}", answer or "?")],
                source="teacher",
                scene=entry_name(entry, index),
                origin="teacher",
                notes={"entry": entry_name(entry, index), "teacher": teacher.name},
            )
            known = f"{prose} {card.name} {card.description} {question}"
            if question and answer and len(answer) <= ANSWER_CHARACTERS and says_only(answer, known):
                kept.append(row)
            else:
                dropped.append((row, "the teacher's answer says more than the lore"))
    teacher.save()
    return kept, dropped


def says_only(answer: str, known: str) -> bool:
    """Whether an answer names nothing that is not known: every number and name in it, and some word, stand there."""
    words = set(normalised(known).split())
    named = [w for w in re.findall(r"(?<![.!?]\s)(?<!^)(?<![\"“])\b(?:[A-Z]\w+|\d[\d,.]*\d|\d)\b", answer) if w != "I"]
    told = [w for w in normalised(answer).split() if w not in _COMMON and len(w) > 3]
    return all(normalised(w) in words for w in named) and any(w in words for w in told)


def capped(rows: Sequence[Conversation]) -> tuple[list[Conversation], Dropped]:
    """(kept, dropped): training rows in which a teacher's answers are at most `TEACHER_SHARE`."""
    others = sum(row.origin != "teacher" for row in rows)
    room = int(others * TEACHER_SHARE / (1 - TEACHER_SHARE))
    kept: list[Conversation] = []
    dropped: Dropped = []
    for row in rows:
        room -= row.origin == "teacher"
        if row.origin == "teacher" and room < 0:
            dropped.append((row, "more of a teacher's answers than are trained"))
        else:
            kept.append(row)
    return kept, dropped


def _shown(items: "Sequence[Item]", what: str) -> "Iterator[Item]":
    from rich.progress import track

    return iter(track(items, what, transient=True, disable=not sys.stderr.isatty()))
