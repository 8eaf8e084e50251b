"""The review: a table of doubtful lines for a person to judge, and the judgements, which the next build applies by id.

`runs/NAME/review.tsv` opens in any spreadsheet. In its column `decision` stands `keep`, `drop`, `fix` (the column `text`
then holds the right words), or nothing yet. Nothing is ever deleted by itself.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from data.inputs import Input
from data.source import Scene, Source
from data.sources import Dropped, Voice, utterance_id
from persona.conversation import Conversation
from persona.errors import PersonaError
from persona.files import write_atomic
from persona.formats.text import decode_text, read_bytes

REVIEW_FILE = "review.tsv"
COLUMNS = ("id", "decision", "reason", "text", "before", "place")
DECISIONS = ("keep", "drop", "fix")
CONTEXT_CHARACTERS = 200
LOSSES_FILE = "row_losses.jsonl"
IMPROBABLE_ROWS = 30

_SEQUENCE = re.compile(r"\+\d+$")
_FORMULA = ("=", "+", "-", "@", "'")
"""What a spreadsheet takes for a formula at the beginning of a cell; such a text gets an apostrophe before it."""


@dataclass(frozen=True, slots=True)
class Item:
    """A line to judge: its id, why it is doubtful, what it says and what was said before it."""

    id: str
    reason: str
    text: str
    before: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Edit:
    """A judgement: `keep`, `drop` or `fix`, and the text that a fix puts in its place."""

    decision: str
    text: str = ""


def doubtful_lines(given: Input, voice: Voice) -> list[Item]:
    """The lines that may be the character's, least doubtful first: these are the quickest gain."""
    found: list[tuple[float, Item]] = []
    for source in given.sources:
        for number, scene in enumerate(source.scenes):
            for index, line in enumerate(scene.utterances):
                if voice.has(line) and not voice.trains(line):
                    before = scene.utterances[index - 1] if index else None
                    said = f"{before.speaker or '?'}: {before.text[:CONTEXT_CHARACTERS]}" if before else ""
                    reason = f"{line.confidence:.2f} {line.rule}".strip()
                    place = utterance_id(source, number, index)
                    found.append((-line.confidence, Item(place, reason, line.text, said, line.place)))
    return [item for _, item in sorted(found, key=lambda pair: pair[0])]


def improbable_rows(given: Input) -> list[Item]:
    """The trained rows of real lines that the fine-tuned model finds least probable, worst first.

    Fine-tuning leaves losses and replies in `row_losses.jsonl`, where the later sequences of a row have its id with "+1",
    "+2" ... behind it; the worst one counts. A high loss is no fault by itself: rare names have one, too.
    """
    file = given.place.run / LOSSES_FILE
    train = given.place.dataset / "train.jsonl"
    if not file.is_file() or not train.is_file():
        return []
    try:
        trained = (Conversation.from_row(json.loads(line), str(train)) for line in _lines(train))
        rows = {row.id: row for row in trained}
        scored = [(str(row["id"]), float(row["loss"]), str(row["reply"])) for row in map(json.loads, _lines(file))]
    except (ValueError, KeyError, TypeError):
        what = "The losses of the trained rows cannot be read."
        raise PersonaError(what, where=str(file), fix="delete the file, or train again") from None
    found: dict[str, Item] = {}
    for identity, loss, reply in sorted(scored, key=lambda each: (-each[1], each[0])):
        row = rows.get(identity) or rows.get(_SEQUENCE.sub("", identity))
        if row and row.id not in found and row.is_real and row.replies and "parent" not in row.notes:
            place = row.place_of(reply)
            before = row.messages[place - 1] if place else None
            said = f"{before.name or '?'}: {before.content[:CONTEXT_CHARACTERS]}" if before else ""
            id = f"{row.id}@{place}" if place < len(row.messages) - 1 else row.id
            found[row.id] = Item(id, f"loss {loss:.2f}", row.messages[place].content, said, row.notes.get("place", ""))
    return list(found.values())[:IMPROBABLE_ROWS]


def _lines(file: Path) -> list[str]:
    # Not splitlines(): a line of dialogue may hold other signs that end a line.
    return [line for line in file.read_text(encoding="utf-8").split("\n") if line]


def read_review(run: Path) -> dict[str, Edit]:
    """The judgements in a run's review.tsv by id. Raises `PersonaError` with the line of one that cannot be read."""
    file = run / REVIEW_FILE
    if not file.is_file():
        return {}
    edits: dict[str, Edit] = {}
    for number, row in _rows(file):
        decision = row["decision"].strip().lower()
        if decision not in ("", *DECISIONS):
            raise PersonaError(
                f"The decision is {decision[:40]!r}.",
                where=f"{file}, row {number}",
                fix=f"write {', '.join(DECISIONS)}, or nothing",
            )
        if decision == "fix" and not row["text"].strip():
            raise PersonaError(
                "A fix has no text.", where=f"{file}, row {number}", fix="write the right words, or: drop"
            )
        if decision:
            edits[row["id"].strip()] = Edit(decision, _from_cell(row["text"]).strip())
    return edits


def write_review(run: Path, items: Iterable[Item]) -> int:
    """Add items to a run's review.tsv, behind the rows that are there already, and give the number of new ones."""
    file = run / REVIEW_FILE
    old = [row for _, row in _rows(file)] if file.is_file() else []
    known = {row["id"] for row in old}
    new = [
        {"id": i.id, "decision": "", "reason": i.reason, "text": i.text, "before": i.before, "place": i.place}
        for i in items
        if i.id not in known
    ]
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(old)
    writer.writerows({key: _to_cell(value) for key, value in row.items()} for row in new)
    write_atomic(file, out.getvalue())
    return len(new)


def apply_to_sources(sources: Sequence[Source], edits: Mapping[str, Edit], voice: Voice) -> tuple[Source, ...]:
    """The sources with every judged line settled: kept and fixed lines are the character's, dropped ones nobody's."""
    return tuple(
        replace(
            source,
            scenes=tuple(_settled(source, number, scene, edits, voice) for number, scene in enumerate(source.scenes)),
        )
        for source in sources
    )


def _settled(source: Source, number: int, scene: Scene, edits: Mapping[str, Edit], voice: Voice) -> Scene:
    lines = list(scene.utterances)
    for index, line in enumerate(lines):
        edit = edits.get(utterance_id(source, number, index))
        if edit is None:
            continue
        if edit.decision == "drop":
            lines[index] = replace(line, speaker="", confidence=0.0)
        elif voice.has(line):
            text = edit.text if edit.decision == "fix" else line.text
            lines[index] = replace(line, text=text, confidence=1.0, rule="reviewed")
    return replace(scene, utterances=tuple(lines))


def apply_to_rows(rows: Sequence[Conversation], edits: Mapping[str, Edit]) -> tuple[list[Conversation], Dropped]:
    """(kept, dropped): rows judged by their own id; a fix replaces the last reply, or with "@N" behind it message N."""
    kept: list[Conversation] = []
    dropped: Dropped = []
    for row in rows:
        last = len(row.messages) - 1
        ids = {row.id if place == last else f"{row.id}@{place}": place for place in range(last + 1)}
        judged = {
            place: edits[id]
            for id, place in ids.items()
            if id in edits and (place == last or row.messages[place].role == "assistant")
        }
        if row.notes.get("rule") == "reviewed":
            kept.append(row)
        elif any(edit.decision == "drop" for edit in judged.values()):
            dropped.append((row, "dropped in the review"))
        else:
            messages = list(row.messages)
            for place, edit in judged.items():
                if edit.decision == "fix":
                    messages[place] = replace(messages[place], content=edit.text)
            kept.append(replace(row, messages=tuple(messages)))
    return kept, dropped


def _rows(file: Path) -> list[tuple[int, dict[str, str]]]:
    text = decode_text(read_bytes(file), str(file))
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter="\t")
    try:
        if not {"id", "decision", "text"} <= set(reader.fieldnames or ()):
            raise PersonaError(
                "The table has no columns id, decision and text.", where=str(file), fix="python -m data review NAME"
            )
        return [(n, {key: row.get(key) or "" for key in COLUMNS}) for n, row in enumerate(reader, 2)]
    except csv.Error as error:
        raise PersonaError(f"The table cannot be read: {error}.", where=str(file), fix="save it as TSV") from None


def _to_cell(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _from_cell(text: str) -> str:
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text
