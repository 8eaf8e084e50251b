"""English text for a small base: dialogues with and without personas, direct speech and prose, held out by id.

Reads `dialogues.parquet` (id, turns, persona, source) and `novels.parquet` (id, text); `clean.py` knows the dirt.
"""

import hashlib
import json
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from finetune.pretrain.clean import paragraphs_of, speech_in, tidy
from persona.errors import PersonaError

Kind = Literal["persona", "topics", "orders", "speech", "prose"]

HOLD_OUT = 20
"""One id in so many is never trained on."""

PROSE_CHARACTERS = 200_000
"""Narrative read from each novel, so that no long one sets the tone; direct speech is read from all of it."""

_KINDS: dict[str, Kind] = {
    "Synthetic-Persona-Chat": "persona",
    "Topical-Chat": "topics",
    "Taskmaster-4": "orders",
}
_ORDERS_KEPT = 8
"""One coffee order in so many is kept: half of all dialogues are coffee orders, and they are all alike."""

_LONGEST_RUN = 12
_SHORTEST_SCENE, _LONGEST_SCENE = 60, 400
_OF_SPEAKER = re.compile(r"\[user ?([12])(?:'s)?(?: name)?\]", re.IGNORECASE)
_OF_SOMEBODY = re.compile(r"\[(?:your |insert |user)?name\]", re.IGNORECASE)
_INTRODUCES = re.compile(r"(?:\bI'm|\bI am|name is|name's|call me|\bit's|this is)\s*$", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"\[[^\]]{2,60}\]")


@dataclass(frozen=True, slots=True)
class Turn:
    """What speaker 0 or 1 says; `{0}` and `{1}` stand for their names."""

    speaker: int
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    """One document: `turns` of two people, what each is known to be, and where they are; or the `text` of a novel."""

    kind: Kind
    id: str
    turns: tuple[Turn, ...] = ()
    personas: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    scene: str = ""
    text: str = ""

    @property
    def held_out(self) -> bool:
        """Decided by the id alone, so that no change of the recipe moves a document into training."""
        return is_held_out(self.id)


def is_held_out(identity: str) -> bool:
    """Whether no training run may see the document with this id."""
    return int(hashlib.sha256(identity.encode()).hexdigest(), 16) % HOLD_OUT == 0


def read_corpora(folder: Path) -> Iterator[Document]:
    """All documents of both files. Raises `PersonaError` when a file is missing."""
    for row in _rows(folder / "dialogues.parquet"):
        dialogue = dialogue_of(row)
        if dialogue:
            yield dialogue
    for row in _rows(folder / "novels.parquet"):
        paragraphs = list(paragraphs_of(row["text"]))
        yield from speeches_in(row["id"], paragraphs)
        yield Document("prose", row["id"], text=_prose(row["id"], paragraphs))


def _rows(file: Path) -> Iterable[Mapping[str, Any]]:
    import pyarrow.parquet

    if not file.is_file():
        raise PersonaError(
            f"There is no {file.name}.", where=str(file.parent), fix="give --corpora a folder that has it"
        )
    for batch in pyarrow.parquet.ParquetFile(file).iter_batches(batch_size=64):
        yield from batch.to_pylist()


def dialogue_of(row: Mapping[str, Any]) -> Document | None:
    """A dialogue of two, up to the first line with a placeholder that cannot be filled; None where nothing is left."""
    kind = _KINDS.get(row["source"], "topics")
    if kind == "orders" and random.Random(row["id"]).randrange(_ORDERS_KEPT):
        return None
    speakers: list[str] = []
    turns: list[Turn] = []
    for turn in row["turns"]:
        name = turn["speaker"].strip("* ").lower()
        if name not in speakers:
            speakers.append(name)
        speaker = speakers.index(name)
        text = with_names(tidy(turn["text"]).replace("{", "(").replace("}", ")"), speaker)
        if not text or speaker > 1 or _PLACEHOLDER.search(text):
            break
        if turns and turns[-1].speaker == speaker:
            text = f"{turns.pop().text} {text}"
        turns.append(Turn(speaker, text))
    about = json.loads(row["persona"]) if row["persona"] else {}
    known = {speaker.lower(): tuple(_sentences(text)) for speaker, text in about.items()}
    personas = (known.get(speakers[0], ()), known.get(speakers[1], ())) if len(speakers) > 1 else ((), ())
    return Document(kind, row["id"], tuple(turns), personas) if len(turns) > 1 else None


def _sentences(text: str) -> list[str]:
    return [tidy(line) for line in text.split("\n") if line.strip()]


def with_names(text: str, speaker: int) -> str:
    """`{0}` or `{1}` for `[User 1's name]`; a bare `[name]` is the speaker's own behind "I'm", else the other's."""
    text = _OF_SPEAKER.sub(lambda m: f"{{{int(m.group(1)) - 1}}}", text)
    return _OF_SOMEBODY.sub(lambda m: f"{{{speaker if _INTRODUCES.search(text[: m.start()]) else 1 - speaker}}}", text)


def speeches_in(identity: str, paragraphs: Sequence[str]) -> Iterator[Document]:
    """Runs of paragraphs that begin with a quotation, read as two people taking turns; the scene is what led to them."""
    turns: list[Turn] = []
    scene = before = ""
    for paragraph in [*paragraphs, ""]:
        said = speech_in(paragraph).replace("{", "(").replace("}", ")")
        if said:
            scene = scene if turns else before
            turns.append(Turn(len(turns) % 2, said))
        if turns and (not said or len(turns) == _LONGEST_RUN):
            if len(turns) > 1:
                yield Document("speech", identity, tuple(turns), scene=scene)
            turns = []
        before = paragraph if _SHORTEST_SCENE <= len(paragraph) <= _LONGEST_SCENE and not said else ""


def _prose(identity: str, paragraphs: Sequence[str]) -> str:
    """A stretch of the novel, from a place that its id decides."""
    text = "\n".join(paragraphs)
    start = random.Random(identity).randrange(max(1, len(text) - PROSE_CHARACTERS))
    return text[start : start + PROSE_CHARACTERS].partition("\n")[2]
