"""The builder's road, read from top to bottom: sources -> rows -> kept | dropped -> split -> files."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.answers import answer_rows
from data.augment import augment_rows
from data.authored import entry_name, real_rows
from data.balance import mostly_real, without_examples
from data.filters import sift, without_asides
from data.inputs import Ask, Input, read_input
from data.language import language_of
from data.look import Look
from data.lore import lore_rows
from data.near import THRESHOLD, cluster_rows, drop_near_duplicates, similarity
from data.personal import hide_in_row
from data.provenance import FORGOTTEN_FILE, forgotten_in
from data.report import make_report, silent_entries
from data.review import Edit, apply_to_rows, apply_to_sources, read_review
from data.rows import RowMaker
from data.save import builder_digest, earlier_report, save
from data.sources import NO_CONTEXT, Dropped, Voice, source_rows
from data.split import Split, leakage, split
from data.teacher import Teacher, capped, open_teacher, taught_rows, with_context
from persona.conversation import Conversation
from persona.errors import PersonaError

AUGMENTED_SHARE = 0.1
"""Of the rows of real lines, those that come a second time with the user's side typed in another way. At 0.25 the tiny
base learned both sample characters a little worse (0.02 nats a token), behind varied questions too."""

NEAR_DUPLICATES_SHOWN = 20


@dataclass(frozen=True)
class Built:
    """What a build made, or found unchanged."""

    input: Input
    report: Mapping[str, Any]
    look: Look | None = None
    """What was counted on the way; None where the dataset was there already, unchanged."""


def build(
    name: str,
    *,
    speaker: str | None = None,
    seed: int = 0,
    rendered: bool = False,
    force: bool = False,
    teacher: str | None = None,
    blocked: frozenset[str] = frozenset(),
    ask: Ask | None = None,
    workers: int = 1,
) -> Built:
    """Make the dataset of NAME. `ask` is asked whose voice it is where that is open; `teacher` is a model or its server;
    rows with one of the words or phrases of `blocked` are left out; `workers` processes read, to the same bytes.

    Raises `PersonaError` when there is nothing to read, or nothing is left to train on.
    """
    source = read_input(name, speaker, ask=ask, workers=workers)
    forgotten = forgotten_in(source.place.run)
    if forgotten & {file.name for file in source.files}:
        source = read_input(name, speaker, ask=ask, forgotten=forgotten, workers=workers)
        source.notes.append(f"Left out, as {source.place.run / FORGOTTEN_FILE} says: {', '.join(sorted(forgotten))}.")
    edits = read_review(source.place.run)
    settings = {
        "name": source.name,
        "seed": seed,
        "as": source.speaker,
        "rendered": rendered,
        "teacher": teacher or "",
        "blocked": sorted(blocked),
        "review": hashlib.sha256(repr(sorted(edits.items())).encode()).hexdigest()[:16] if edits else "",
        "builder": builder_digest(rendered),
    }
    earlier = earlier_report(source)
    if not force and earlier and earlier.get("inputs") == source.digests() and earlier.get("settings") == settings:
        return Built(source, earlier)
    teaching = open_teacher(teacher, source.place.run) if teacher else None
    look, done = make_dataset(source, seed, edits, teaching, blocked)
    report = {
        "character": source.card.name,
        "inputs": source.digests(),
        "settings": settings,
        **make_report(source.card, done, look),
    }
    save(source, done, report, look, rendered)
    return Built(source, report, look)


def make_dataset(
    source: Input,
    seed: int,
    edits: Mapping[str, Edit],
    teacher: Teacher | None = None,
    blocked: frozenset[str] = frozenset(),
) -> tuple[Look, Split]:
    """Rows -> kept | dropped -> split -> augmented, with everything counted on the way. Raises `PersonaError`."""
    steps: list[tuple[str, int]] = []
    rows, dropped = make_rows(source, seed, edits, teacher)
    steps.append(("rows made", len(rows) + len(dropped)))
    steps.append(("faulty lines and lone ones dropped", len(rows)))
    personal: Counter[str] = Counter()
    hidden = [hide_in_row(without_asides(row)) for row in rows]
    for _, found in hidden:
        personal.update(found)
    kept, objected = sift([row for row, _ in hidden], blocked)
    steps.append(("filtered", len(kept)))
    kept, alike = drop_near_duplicates(kept)
    steps.append(("near duplicates dropped", len(kept)))
    kept, examples = without_examples(kept)
    done = split(kept, seed, cluster_rows(kept))
    steps.append(("split, without leaks", sum(map(len, done.rows.values()))))
    done.rows["train"], beyond = mostly_real(done.rows["train"])
    done.rows["train"], untaught = capped(done.rows["train"])
    steps.append(("balanced", sum(map(len, done.rows.values()))))
    names = row_maker(source, seed).user_names
    done.rows["train"] += augment_rows([row for row in done.rows["train"] if row.is_real], seed, AUGMENTED_SHARE, names)
    steps.append(("user turns varied", sum(map(len, done.rows.values()))))
    everything = [*dropped, *objected, *alike, *examples, *done.dropped, *beyond, *untaught]
    # A card can live by its lore alone; of a source, the character's own lines are what it was given for.
    if not done.rows["train"] or (source.is_made and not any(row.is_real for row in done.rows["train"])):
        reasons = ", ".join(f"{reason}: {n}" for reason, n in Counter(r for _, r in everything).most_common())
        raise PersonaError(
            f"Nothing of {source.card.name} is left to train on ({reasons or 'no line is theirs'}).",
            where=", ".join(str(file) for file in source.files),
            fix="write dialogue in lines.md, a greeting in card.toml, facts in lore.md",
        )
    everything = [(hide_in_row(row)[0], reason) for row, reason in everything]
    measured = leakage(done)
    book = source.card.character_book
    look = Look(
        character=source.card,
        labels=source.labels,
        rows=done.rows,
        dropped=everything,
        steps=steps,
        speakers=_speakers(source),
        sources=_described(source),
        quarantined=[(s.name, q.place, q.reason) for s in source.sources for q in s.quarantined],
        silent_entries=silent_entries(source.card, done),
        entries=[entry_name(entry, place) for place, entry in enumerate(book.entries if book else ())],
        personal=personal,
        near_duplicates=_pairs_shown(kept, alike),
        leakage=measured,
        notes=[*source.notes, *_notes_of(source), *done.warnings],
    )
    return look, done


def make_rows(
    source: Input, seed: int, edits: Mapping[str, Edit], teacher: Teacher | None = None
) -> tuple[list[Conversation], Dropped]:
    """Every row that the input gives, real lines first; and those that are left out for where they stand."""
    make = row_maker(source, seed)
    voice = Voice(source.labels)
    real = list(real_rows(source.card, source.scenes, make))
    dropped: Dropped = []
    for each in apply_to_sources(source.sources, edits, voice):
        rows, left_out = source_rows(each, voice, make)
        real += rows
        dropped += left_out
    if teacher:
        alone = [row for row, reason in dropped if reason == NO_CONTEXT]
        answering, alone_still = with_context(alone, source.card, teacher)
        real += answering
        dropped = [(row, reason) for row, reason in dropped if reason != NO_CONTEXT] + alone_still
    replies = [reply for row in real for reply in row.replies]
    english = language_of(replies) in ("", "en")
    if not english:
        source.notes.append("The character does not speak English: only its real lines are used, and no questions.")
    synthetic = [*lore_rows(source.card, replies, make), *answer_rows(source.card, replies, make)] if english else []
    if teacher and english:
        taught, refused = taught_rows(source.card, replies, make, teacher)
        synthetic += taught
        dropped += refused
    kept, judged = apply_to_rows([*real, *synthetic], edits)
    return kept, [*dropped, *judged]


def row_maker(source: Input, seed: int) -> RowMaker:
    """What makes the rows of an input, all from one seed."""
    spoken = (u.speaker for s in source.sources for scene in s.scenes for u in scene.utterances)
    others = frozenset(word for speaker in set(spoken) for word in speaker.split())
    return RowMaker(source.card, seed, source.scenes, others, whole_names=source.is_made)


def _notes_of(source: Input) -> list[str]:
    """What the readers say of their sources, named where there are several."""
    named = len(source.sources) > 1
    return [f"{s.name}: {note}" if named else note for s in source.sources for note in s.notes]


def _speakers(source: Input) -> list[tuple[str, int]]:
    lines = Counter(who for scene in source.scenes for who, _ in scene.turns)
    lines.update(u.speaker or "?" for s in source.sources for scene in s.scenes for u in scene.utterances)
    return lines.most_common()


def _described(source: Input) -> list[dict[str, str]]:
    """What the page and the dataset card say of every file."""
    read = {s.name: s for s in source.sources}
    table = []
    for name, digest in source.digests().items():
        told = read.get(Path(name).name)
        lines = sum(len(scene.utterances) for scene in told.scenes) if told else 0
        table.append(
            {
                "name": name,
                "kind": told.kind if told else "character",
                "licence": told.licence if told else "",
                "language": told.language if told else "",
                "sha256": digest,
                "lines": f"{lines:,}" if told else "",
            }
        )
    return table


def _pairs_shown(kept: Sequence[Conversation], alike: Dropped) -> list[tuple[str, str]]:
    """A few near duplicates, each beside a row that was kept."""
    pairs = []
    for row, _ in alike[:NEAR_DUPLICATES_SHOWN]:
        text = _as_text(row)
        twin = next((other for each in kept if similarity(other := _as_text(each), text) >= THRESHOLD), None)
        if twin is not None:
            pairs.append((twin, text))
    return pairs


def _as_text(row: Conversation) -> str:
    return "\n".join(message.content for message in row.messages)
