"""Records -> a source: what the readers of chats and training files share."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from data.readers.jsonlines import FEWEST_BROKEN, Records
from data.source import Lore, Quarantined, Scene, Source, Utterance
from persona.conversation import MESSAGE_CHARACTERS, NAME_CHARACTERS
from persona.errors import PersonaError
from persona.formats.envelope import kind_of
from persona.formats.text import CONTROLS, printable

SAMPLE = 100
"""Records that are looked at to know a format."""

TITLE_CHARACTERS = 80


def plain(text: str) -> str:
    """The text of an utterance: stripped, with plain line ends, and otherwise as it is."""
    return text.replace("\r\n", "\n").strip()


def headline(text: Any) -> str:
    """The first line of a text, cut to fit a title; "" for what is no text."""
    first = plain(text).partition("\n")[0] if isinstance(text, str) else ""
    return first if len(first) <= TITLE_CHARACTERS else first[: TITLE_CHARACTERS - 1].rstrip() + "…"


@lru_cache(maxsize=4096)
def _speaker(name: str) -> str:
    return " ".join(CONTROLS.sub("", name).split())


@dataclass
class Gathering:
    """A source while its records are read: `say` adds to the open scene, `cut` closes it, and what is left out is counted."""

    quarantined: list[Quarantined] = field(default_factory=list)
    scenes: list[Scene] = field(default_factory=list)
    said: list[Utterance] = field(default_factory=list)
    count: int = 0
    """Utterances so far."""
    record: str = ""
    """The place of the record that is being read."""
    title: str = ""
    """The title of the open scene."""
    kinds: Counter[str] = field(default_factory=Counter)
    characters: Counter[str] = field(default_factory=Counter)
    systems: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    lore: dict[Lore, None] = field(default_factory=dict)

    def say(self, speaker: str, text: str, number: int = 0, rejected: Iterable[Any] = ()) -> None:
        """Add what somebody says, the record's message `number`; too long a text or name is quarantined."""
        text = plain(text)
        called = _speaker(speaker) if len(speaker) <= 4 * NAME_CHARACTERS else speaker
        if not text:
            self.left_out["empty messages"] += 1
        elif len(text) > MESSAGE_CHARACTERS:
            self.refuse(f"A message has {len(text):,} characters; at most {MESSAGE_CHARACTERS:,} are read.", number)
        elif not 0 < len(called) <= NAME_CHARACTERS:
            self.refuse(f"A speaker's name has {len(called):,} characters, not 1 to {NAME_CHARACTERS}.", number)
        else:
            others = {plain(other): None for other in rejected if isinstance(other, str)}
            rest = tuple(other for other in others if other and other != text)
            self.said.append(Utterance(called, text, self._place(number), rejected=rest))
            self.count += 1

    def refuse(self, reason: str, number: int = 0) -> None:
        """Quarantine the record, or its message `number`, and end the scene, whose context is broken.

        Raises `PersonaError` when more is broken than not: the source is something else.
        """
        self.quarantined.append(Quarantined(self._place(number) or "the file", reason))
        self.cut(self.title)
        if len(self.quarantined) > max(FEWEST_BROKEN, self.count):
            raise PersonaError(f"More is broken than not: {len(self.quarantined):,} parts; the last one: {reason}")

    def _place(self, number: int) -> str:
        return ", ".join(filter(None, (self.record, f"message {number}" if number else "")))

    def cut(self, title: str = "") -> None:
        """End the open scene; the next one is called `title`."""
        if self.said:
            self.scenes.append(Scene(tuple(self.said), self.title))
            self.said = []
        self.title = title

    def source(self, name: str, notes: Iterable[str]) -> Source:
        """Everything that was read. Who all records say the character is, and what most of them tell the model."""
        self.cut()
        notes = list(notes)
        if self.left_out:
            notes.append(f"Left out: {', '.join(f'{count:,} {what}' for what, count in self.left_out.items())}.")
        system, times = next(iter(self.systems.most_common(1)), ("", 0))
        if len(self.systems) > 1:
            notes.append(f"There are {len(self.systems):,} different system messages.")
        return Source(
            kind=next((kind for kind, _ in self.kinds.most_common(1)), "dialogue"),
            name=name,
            scenes=tuple(self.scenes),
            lore=tuple(self.lore),
            character=next(iter(self.characters)) if len(self.characters) == 1 else "",
            system=system if 2 * times > self.systems.total() else "",
            quarantined=tuple(self.quarantined),
            notes=notes,
        )


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of record: how it is known, and how it is read. `read` raises `PersonaError` for a broken one."""

    kind: str
    matches: Callable[[Mapping[str, Any]], bool]
    read: Callable[[Mapping[str, Any], Gathering], None]


def matches(records: Records, formats: Iterable[Format]) -> bool:
    """Whether most of the first records are of one of the formats."""
    formats = tuple(formats)
    sample = records.rows[:SAMPLE]
    known = sum(isinstance(row, dict) and any(f.matches(row) for f in formats) for _, row in sample)
    return 2 * known > len(sample)


def read_each(records: Records, name: str, formats: Iterable[Format]) -> Source:
    """A source whose records are dialogues, each by the first format that it matches; no scene crosses records."""
    formats = tuple(formats)
    out = Gathering(quarantined=list(records.quarantined))
    for number, row in records.rows:
        out.record = records.place(number)
        before = len(out.scenes)
        try:
            known = _format_of(row, formats)
            known.read(row, out)
            out.cut()
            if len(out.scenes) == before:
                raise PersonaError("Nobody says anything in it.")
            out.kinds[known.kind] += 1
        except PersonaError as error:
            del out.scenes[before:]
            out.said, out.title = [], ""
            out.refuse(error.what)
    return out.source(name, records.notes)


def _format_of(row: Any, formats: Iterable[Format]) -> Format:
    if not isinstance(row, dict):
        raise PersonaError(f"It is {kind_of(row)}, not an object.")
    found = next((known for known in formats if known.matches(row)), None)
    if found is None:
        keys = ", ".join(printable(" ".join(str(key)[:40].split())) for key in list(row)[:6])
        raise PersonaError(f"It is no dialogue of a known shape: its keys are {keys or 'none'}.")
    return found
