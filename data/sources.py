"""Where dialogue comes from: the author's own lines in a character folder, a card, a lorebook, or any read source."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from data.novel.attribution import TRAINED_CONFIDENCE
from data.rows import RowMaker, tidy
from data.source import CHARACTER, USER, Source, Utterance
from persona.card import CharacterCard
from persona.conversation import Conversation
from persona.formats.folder import Scene, parse_scenes
from persona.lorebook import LoreEntry

WINDOW_TURNS = 12
"""Turns of a scene cut from a script without scenes of its own."""

CONTEXT_TURNS = 3
"""Turns of others that such a scene may begin with."""

GAP_TURNS = 4
"""A character who is silent for longer than this has left the scene."""

WINDOW_CHARACTERS = 3_000

FEWEST_SCENES = 3
"""A script with fewer scenes of the character's is cut into blocks, so that some can be held out."""

BLOCKS = 12

APART_TURNS = 12
"""Windows with so much between them, a window's length, do not touch."""

NO_CONTEXT = "nothing was said before it"

_MARKED = re.compile(r"^[ \t]*(\{\{user\}\}|\{\{char\}\}|<user>|<bot>|<char>)[ \t]*:[ \t]*(.*)$", re.IGNORECASE)
_END_OF_TALK = re.compile(r"^\s*(?:\[|<start>|-{3,}|#)", re.IGNORECASE)

Turns = Sequence[tuple[str, str]]
Dropped = list[tuple[Conversation, str]]


def real_rows(card: CharacterCard, scenes: Sequence[Scene], make: RowMaker) -> Iterator[Conversation]:
    """Every line that the character's author wrote: scenes, greetings, example messages, dialogue within prose."""
    for number, scene in enumerate(scenes, 1):
        title = f"{number} {scene.title}".strip()
        yield make.dialogue(scene.turns, source="lines", scene=title, origin="real")
    for number, greeting in enumerate((card.first_mes, *card.alternate_greetings), 1):
        if greeting.strip():
            yield _greeting(greeting, number, make)
    for number, block in enumerate(parse_scenes(card.mes_example, "mes_example"), 1):
        yield make.dialogue(block.turns, source="mes_example", scene=str(number), origin="example")
    for number, turns in enumerate(split_dialogue(card.description)[1], 1):
        yield make.dialogue(turns, source="description", scene=str(number), origin="example")
    for index, entry in enumerate(card.character_book.entries if card.character_book else ()):
        if entry.enabled:
            for turns in split_dialogue(entry.content)[1]:
                # Without lore: the entry would stand in the prompt and hold the very words that are to be said.
                yield make.dialogue(turns, source="lorebook", scene=entry_name(entry, index), origin="real", lore=False)


def _greeting(greeting: str, number: int, make: RowMaker) -> Conversation:
    """A greeting begins a conversation; one that names the user needs a user to name, who says hello."""
    names_user = re.search(r"\{\{user\}\}|<user>", greeting, re.IGNORECASE)
    turns = [("{{user}}", "Hello.")] if names_user else []
    return make.dialogue([*turns, ("{{char}}", greeting)], source="greeting", scene=str(number), origin="greeting")


def split_dialogue(text: str) -> tuple[str, list[list[tuple[str, str]]]]:
    """Prose with dialogue in it (`{{user}}: ...`, `{{char}}: ...`) -> the prose, and each run of dialogue."""
    prose: list[str] = []
    runs: list[list[tuple[str, str]]] = []
    talking = after_blank = False
    for line in tidy(text).splitlines():
        marked = _MARKED.match(line)
        if marked:
            if not talking:
                runs.append([])
            runs[-1].append((marked[1], marked[2]))
            talking = True
        elif talking and not _END_OF_TALK.match(line) and not (after_blank and line):
            speaker, said = runs[-1][-1]
            runs[-1][-1] = (speaker, f"{said}\n{line}".strip())
        else:
            talking = False
            prose.append(line)
        after_blank = not line
    return "\n".join(prose).strip(), runs


def entry_name(entry: LoreEntry, index: int) -> str:
    """What a lorebook entry is called: its name, its comment, its first key, or its place."""
    return (entry.name or entry.comment or next(iter(entry.keys), "") or f"entry {index + 1}").strip()


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
    the window between two neighbouring blocks is dropped: what is held out touches nothing that is trained. A line that
    may be the character's and may be somebody else's ends a window, and stands in none but directly before the
    character's answer.
    """
    spans = [
        (number, first + start, first + end)
        for number, scene in enumerate(source.scenes)
        for first, piece in certain_pieces(scene.utterances, voice)
        for start, end in windows([(u.speaker, u.text) for u in piece], [voice.trains(u) for u in piece])
    ]
    if len({number for number, _, _ in spans}) >= FEWEST_SCENES:
        blocks: list[int | None] = [number for number, _, _ in spans]
    else:
        blocks = blocks_of(spans)
    rows: list[Conversation] = []
    dropped: Dropped = []
    for (number, start, end), block in zip(spans, blocks, strict=True):
        said = source.scenes[number].utterances[start:end]
        row = make.dialogue(
            [(CHARACTER if voice.has(u) else display_name(u.speaker) or USER, u.text) for u in said],
            source=source.name,
            scene=f"border at {number + 1}:{start + 1}" if block is None else f"{block + 1}",
            origin="real",
            identity=utterance_id(source, number, start),
            notes=_notes(source, said, voice),
        )
        if block is None:
            dropped.append((row, "between two blocks of a script"))
        elif all(voice.has(u) for u in said):
            dropped.append((row, NO_CONTEXT))
        else:
            rows.append(row)
    return rows, dropped


def utterance_id(source: Source, scene: int, index: int) -> str:
    """A name for a line that stays as long as the file does: file, scene and line of the scene, from 1."""
    return f"{source.name}/{scene + 1}/{index + 1}"


def certain_pieces(utterances: Sequence[Utterance], voice: Voice) -> Iterator[tuple[int, Sequence[Utterance]]]:
    """(index of its first line, lines): the parts of a scene in which it is clear who is the character and who is not."""
    begin = 0
    for place, utterance in enumerate(utterances):
        following = utterances[place + 1] if place + 1 < len(utterances) else None
        doubtful = voice.has(utterance) and not voice.trains(utterance)
        if doubtful or not (utterance.speaker or (following and voice.trains(following))):
            if place > begin:
                yield begin, utterances[begin:place]
            begin = place + 1
        elif not utterance.speaker and place > begin:
            yield begin, utterances[begin:place]
            begin = place
    if begin < len(utterances):
        yield begin, utterances[begin:]


def _notes(source: Source, said: Sequence[Utterance], voice: Voice) -> dict[str, str]:
    """Where a row stands in its source, and by which rules its replies are the character's."""
    replies = [u for u in said if voice.trains(u)]
    places = [u.place for u in said if u.place]
    notes = {"place": " to ".join(dict.fromkeys((places[0], places[-1]))) if places else "", "licence": source.licence}
    rules = dict.fromkeys(u.rule for u in replies if u.rule)
    if rules:
        notes |= {"rule": ", ".join(rules), "confidence": f"{min(u.confidence for u in replies):.2f}"}
    return {key: value for key, value in notes.items() if value}


def blocks_of(spans: Sequence[tuple[int, int, int]]) -> list[int | None]:
    """The block of every window (scene, start, end): about `BLOCKS` of them in all, None for a window between two.

    A block ends where the character is away for long; else every few windows, and then the next window is left out.
    """
    size = max(2, len(spans) // BLOCKS)
    blocks: list[int | None] = []
    block = filled = 0
    for place, (scene, start, end) in enumerate(spans):
        before = spans[place - 1] if place else (scene, start, end)
        after = spans[place + 1] if place + 1 < len(spans) else None
        if place and _apart(before, (scene, start, end)):
            block, filled = block + bool(filled), 0
        # A window that is left out must have one behind it to keep away from.
        if filled >= size and after and not _apart((scene, start, end), after):
            blocks.append(None)
            block, filled = block + 1, 0
        else:
            blocks.append(block)
            filled += 1
    return blocks


def _apart(window: tuple[int, int, int], following: tuple[int, int, int]) -> bool:
    return window[0] != following[0] or following[1] - window[2] >= APART_TURNS


def windows(turns: Turns, speaks: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """Bounds of the scenes around the turns that `speaks` marks: bounded, never overlapping, ending on one."""
    free = 0
    for first, mine in enumerate(speaks):
        if not mine or first < free:
            continue
        start = max(free, first - CONTEXT_TURNS)
        end = first + 1
        characters = sum(len(text) for _, text in turns[start:end])
        for place in range(end, min(start + WINDOW_TURNS, len(turns))):
            characters += len(turns[place][1])
            if place - end >= GAP_TURNS or characters > WINDOW_CHARACTERS:
                break
            if speaks[place]:
                end = place + 1
        yield start, end
        free = end


def display_name(speaker: str) -> str:
    """A speaker as people write the name: printed plays shout it. "KING RICHARD III" -> "King Richard III"."""
    if not speaker.isupper():
        return speaker
    return " ".join(w if re.fullmatch(r"[IVXLC]+", w) else w.capitalize() for w in speaker.split())
