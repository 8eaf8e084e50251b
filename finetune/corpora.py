"""English text for pretraining a small base: conversations, direct speech and prose, cleaned and held out by id."""

import hashlib
import json
import random
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from persona.conversation import Message, Role
from persona.errors import PersonaError
from persona.system import DEFAULT_INSTRUCTIONS

Kind = Literal["talk", "speech", "prose"]

HOLD_OUT = 20
"""One id in so many is never trained on."""

NOVEL_CHARACTERS = 150_000
"""Read from each novel, behind its front matter: an hour of training on two cores sees no more."""

_ORDERS = "Taskmaster-4"
_ORDERS_KEPT = 8
"""One coffee order in so many is kept: half of all conversations are coffee orders."""

_NAMES = """
Alice Anna Ben Carl Clara Daniel Dora Edith Ella Emma Frank Fred Grace Hannah Henry Ida Jack James Jane Joe John Julia
Kate Laura Leo Lily Lucy Mark Martha Mary Max Mia Nell Nora Oliver Paul Peter Rose Ruth Sam Sarah Tom Walter
"""
_SPEAKER_NAME = re.compile(r"\[(?:user ([12])(?:'s)?(?: name)?|(?:your |user)?name)\]", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"\[[A-Za-z0-9' ,]{2,40}\]")
_QUOTED = re.compile(r"[\"“]([^\"“”]+)[\"”]")
_ITALICS = re.compile(r"\b_([^_\n]+)_\b")


@dataclass(frozen=True, slots=True)
class Text:
    """One document: messages for `talk` and `speech`, a plain text for `prose`."""

    kind: Kind
    held_out: bool
    messages: tuple[Message, ...] = ()
    plain: str = ""


def is_held_out(identity: str) -> bool:
    """Decided by the id alone, so that no change of the recipe moves a document into training."""
    return int(hashlib.sha256(identity.encode()).hexdigest(), 16) % HOLD_OUT == 0


def read_corpora(folder: Path) -> Iterator[Text]:
    """All documents of `dialogues.parquet` and `novels.parquet`. Raises `PersonaError` when a file is missing."""
    for row in _rows(folder / "dialogues.parquet"):
        talk = conversation_of(row)
        if talk:
            yield Text("talk", is_held_out(row["id"]), messages=talk)
    for row in _rows(folder / "novels.parquet"):
        held_out = is_held_out(row["id"])
        start = len(row["text"]) // 20
        paragraphs = list(paragraphs_of(row["text"][start : start + NOVEL_CHARACTERS]))
        for turns in speeches_in(paragraphs):
            yield Text("speech", held_out, messages=turns)
        yield Text("prose", held_out, plain="\n".join(paragraphs))


def _rows(file: Path) -> Iterable[Mapping[str, Any]]:
    import pyarrow.parquet

    if not file.is_file():
        raise PersonaError(
            f"There is no {file.name}.", where=str(file.parent), fix="give --corpora a folder that has it"
        )
    for batch in pyarrow.parquet.ParquetFile(file).iter_batches(batch_size=64):
        yield from batch.to_pylist()


def conversation_of(row: Mapping[str, Any]) -> tuple[Message, ...]:
    """A conversation between a user and a character with a name, whose persona sentences are the system message.

    Empty where the row is of no use: more than two speakers, placeholders that cannot be filled, too many orders.
    """
    rng = random.Random(row["id"])
    if row["source"] == _ORDERS and rng.randrange(_ORDERS_KEPT):
        return ()
    turns = [(turn["speaker"].strip("* ").lower(), tidy(turn["text"])) for turn in row["turns"]]
    speakers = list(dict.fromkeys(speaker for speaker, _ in turns))
    if len(speakers) != 2:
        return ()
    names = dict(zip(speakers, rng.sample(_NAMES.split(), 2), strict=True))
    character = speakers[1] if row["source"] != "Synthetic-Persona-Chat" else rng.choice(speakers)
    about = json.loads(row["persona"]) if row["persona"] else {}
    sentences = {speaker.lower(): text for speaker, text in about.items()}.get(character, "")
    system = "\n".join([DEFAULT_INSTRUCTIONS.replace("{{char}}", names[character]), tidy(sentences)]).strip()
    messages = [Message("system", system)]
    for speaker, text in turns:
        role: Role = "assistant" if speaker == character else "user"
        messages.append(Message(role, _with_names(text, names, speaker)))
    if any(_PLACEHOLDER.search(m.content) or not m.content for m in messages):
        return ()
    return tuple(messages)


def _with_names(text: str, names: Mapping[str, str], speaker: str) -> str:
    """Fill `[User 1's name]`; a bare `[name]` is the speaker's own."""
    return _SPEAKER_NAME.sub(lambda m: names.get(f"user {m.group(1)}", names[speaker]), text)


def paragraphs_of(text: str) -> Iterator[str]:
    """Paragraphs in one line each, without italics marks; headings, verse and tables are left out."""
    for block in re.split(r"\n\s*\n", text):
        lines = [line.strip() for line in block.split("\n") if line.strip()]
        short = sum(len(line) < 50 for line in lines)
        paragraph = _ITALICS.sub(r"\1", tidy(" ".join(lines)))
        if len(paragraph) > 15 and short <= max(1, len(lines) // 3) and not paragraph.isupper():
            yield paragraph


def speeches_in(paragraphs: Sequence[str], longest: int = 8) -> Iterator[tuple[Message, ...]]:
    """Runs of paragraphs that begin with a quotation, read as two people taking turns."""
    run: list[str] = []
    for paragraph in [*paragraphs, ""]:
        spoken = " ".join(part.strip() for part in _QUOTED.findall(paragraph)) if paragraph[:1] in ('"', "“") else ""
        if spoken and len(spoken) < 400:
            run.append(spoken[:-1] + "." if spoken.endswith(",") else spoken)
        if (not spoken or len(run) == longest) and run:
            whole = run[: len(run) - len(run) % 2]
            roles: tuple[Role, Role] = ("user", "assistant")
            if whole:
                yield tuple(Message(roles[place % 2], text) for place, text in enumerate(whole))
            run = []


def tidy(text: str) -> str:
    """NFC, straight quotes inside words, one space between words of a line, and nothing that looks like a marker."""
    lines = unicodedata.normalize("NFC", text).replace("’", "'").replace("<|", "< |").split("\n")
    return "\n".join(" ".join(line.split()) for line in lines).strip()
