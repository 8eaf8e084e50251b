"""The scenes of any read source -> rows: the parts in which the character speaks, with what was said before."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from data.filters import is_aside, reply_fault, turn_fault
from data.novel.attribution import TRAINED_CONFIDENCE
from data.rows import RowMaker
from data.source import CHARACTER, Scene, Source, Utterance
from data.split import TOUCHES
from data.windows import blocks_of, touches, windows
from persona.conversation import Conversation

FEWEST_SCENES = 3
"""A source with fewer scenes of the character's is cut into blocks, so that some can be held out."""

NO_CONTEXT = "what was said before it is not known"

CONTEXT_CONFIDENCE = 0.7
"""Lines that are less surely somebody's are nobody's: they may be the character's own."""

Dropped = list[tuple[Conversation, str]]


@dataclass(frozen=True, slots=True)
class Voice:
    """Whose lines are trained: the labels of the character in a source, in lower case."""

    labels: frozenset[str]

    def has(self, utterance: Utterance) -> bool:
        """Whether a line is said to be the character's."""
        return utterance.speaker.casefold() in self.labels

    def trains(self, utterance: Utterance) -> bool:
        """Whether it is surely enough the character's to be trained."""
        return self.has(utterance) and utterance.confidence >= TRAINED_CONFIDENCE


def source_rows(source: Source, voice: Voice, make: RowMaker) -> tuple[list[Conversation], Dropped]:
    """(rows, dropped): the parts of a source's scenes in which the character speaks, cut to windows where they are long.

    All windows of a scene are one scene of the dataset. Of a source with hardly any scenes, blocks of windows are, and
    a window that touches the next block says so: what is held out must touch nothing that is trained. A line that may be
    the character's and may be somebody else's ends a window; a line of nobody known stands only directly before the
    character's answer. A line that nobody should learn from ends a window too: the others are not lost with it.
    """
    rows: list[Conversation] = []
    dropped: Dropped = []
    spans: list[tuple[int, int, int]] = []
    kept: list[list[int]] = []
    for number, scene in enumerate(source.scenes):
        lines = scene.utterances
        faults = _faults(scene, voice, make.card.name)
        for place, reason in faults.items():
            if voice.trains(lines[place]):
                said = [*range(max(place - 1, 0), place + 1)]
                dropped.append((_row(source, number, said, f"{number + 1}", voice, make, at=place), reason))
        for piece in certain_pieces(lines, voice, faults):
            turns = [lines[place] for place in piece]
            for start, end in windows(turns, [voice.trains(u) for u in turns]):
                spans.append((number, piece[start], piece[end - 1] + 1))
                kept.append(piece[start:end])
    has_scenes = len({number for number, _, _ in spans}) >= FEWEST_SCENES
    blocks = [number for number, _, _ in spans] if has_scenes else blocks_of(spans)
    for place, (span, said, block) in enumerate(zip(spans, kept, blocks, strict=True)):
        row = _row(source, span[0], said, f"{block + 1}", voice, make)
        following = blocks[place + 1] if place + 1 < len(blocks) else block
        if following != block and touches(span, spans[place + 1]):
            row = replace(row, notes={**row.notes, TOUCHES: f"{following + 1}"})
        if all(voice.has(source.scenes[span[0]].utterances[each]) for each in said):
            dropped.append((row, NO_CONTEXT))
        else:
            rows.append(row)
    return rows, dropped


def _row(
    source: Source, number: int, places: Sequence[int], scene: str, voice: Voice, make: RowMaker, at: int | None = None
) -> Conversation:
    """A row of some lines of a scene, known by its first line or by the one `at` a place."""
    said = [source.scenes[number].utterances[place] for place in places]
    return make.dialogue(
        [(CHARACTER if voice.has(u) else display_name(u.speaker) * _surely_other(u), u.text) for u in said],
        source=source.name,
        scene=scene,
        origin="real",
        identity=utterance_id(source, number, places[0] if at is None else at),
        notes=_notes(source, said, voice),
    )


def _faults(scene: Scene, voice: Voice, character: str) -> dict[int, str]:
    """Why a line is not used, by its place; of somebody else's words beside the play that is "": they are passed over."""
    others = {u.speaker for u in scene.utterances if u.speaker and not voice.has(u)}
    faults: dict[int, str] = {}
    for place, line in enumerate(scene.utterances):
        if voice.has(line):
            reason = reply_fault(line.text, character, others)
        else:
            reason = "" if is_aside(line.text) else turn_fault(line.text)
        if reason is not None:
            faults[place] = reason
    return faults


def utterance_id(source: Source, scene: int, index: int) -> str:
    """A name for a line that stays as long as the file does: file, scene and line of the scene, from 1."""
    return f"{source.name}/{scene + 1}/{index + 1}"


def certain_pieces(utterances: Sequence[Utterance], voice: Voice, faults: Mapping[int, str]) -> Iterator[list[int]]:
    """Places of the lines of each part of a scene in which it is clear who is the character and who is not.

    A line with a fault ends a part; one whose fault has no reason is passed over.
    """
    piece: list[int] = []
    for place, utterance in enumerate(utterances):
        if faults.get(place) == "":
            continue
        following = utterances[place + 1] if place + 1 < len(utterances) else None
        answered = following is not None and voice.trains(following)
        of_nobody = not voice.has(utterance) and not _surely_other(utterance)
        ends = place in faults or (not answered if of_nobody else voice.has(utterance) and not voice.trains(utterance))
        if piece and (ends or of_nobody):
            yield piece
            piece = []
        if not ends:
            piece.append(place)
    if piece:
        yield piece


def _surely_other(utterance: Utterance) -> bool:
    """Whether it is known which of the others says it."""
    return bool(utterance.speaker) and utterance.confidence >= CONTEXT_CONFIDENCE


def _notes(source: Source, said: Sequence[Utterance], voice: Voice) -> dict[str, str]:
    """Where a row stands in its source, and by which rules its replies are the character's."""
    replies = [u for u in said if voice.trains(u)]
    places = [u.place for u in said if u.place]
    notes = {"place": " to ".join(dict.fromkeys((places[0], places[-1]))) if places else "", "licence": source.licence}
    rules = dict.fromkeys(u.rule for u in replies if u.rule)
    if rules:
        notes |= {"rule": ", ".join(rules), "confidence": f"{min(u.confidence for u in replies):.2f}"}
    return {key: value for key, value in notes.items() if value}


def display_name(speaker: str) -> str:
    """A speaker as people write the name: printed plays shout it. "KING RICHARD III" -> "King Richard III"."""
    if not speaker.isupper():
        return speaker
    return " ".join(w if re.fullmatch(r"[IVXLC]+", w) else w.capitalize() for w in speaker.split())
