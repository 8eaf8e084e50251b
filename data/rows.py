"""A piece of dialogue -> a dataset row: macros filled, text tidied, its id and seed derived from where it stands."""

import hashlib
import random
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from data.names import first_name, labels_of
from persona.card import CharacterCard
from persona.conversation import Conversation, Message, Origin
from persona.formats import macros
from persona.formats.folder import Scene
from persona.memory import DEFAULT_USER_NAME

USER_NAMES = ("Alex", "Jo", "Kim", "Lee", "Max", "Noor", "Pat", "Quinn", "Robin", "Sam", "Toni", "Wren")
"""Names for `{{user}}` where a text leaves the person open; a name that the card knows is not used."""

_NOBODY = re.compile(r"\{\{\w*user\w*\}\}|<user>|user|you", re.IGNORECASE)
_USER_MACRO = re.compile(r"\{\{user\}\}|<user>", re.IGNORECASE)


@dataclass
class RowMaker:
    """Makes the rows of one character; every random draw depends on `seed` and the row's place alone."""

    card: CharacterCard
    seed: int
    scenes: Sequence[Scene] = ()
    """What the character's first name means there: somebody else may bear it."""

    others: frozenset[str] = frozenset()
    """Names that the character's sources know: no user who has none is called so."""

    whole_names: bool = False
    """A script has many characters, so that a line is the character's only under its whole label."""

    ids: dict[str, int] = field(default_factory=dict)
    """How often each id was given out: equal ones are numbered."""

    @cached_property
    def first_name(self) -> str:
        """The character's first name, or "" where it is not called by it."""
        return "" if self.whole_names else first_name(self.card, self.scenes)

    @cached_property
    def names(self) -> frozenset[str]:
        """What the character is called in scripts, in lower case."""
        return labels_of(self.card, self.first_name)

    @cached_property
    def user_names(self) -> tuple[str, ...]:
        """What an unnamed user may be called: nobody whom the character's card, lore or scenes name."""
        card = self.card
        lore = (
            f"{entry.name} {entry.content}" for entry in (card.character_book.entries if card.character_book else ())
        )
        scenes = (f"{who} {text}" for scene in self.scenes for who, text in scene.turns)
        known = set(re.findall(r"\w+", " ".join([card.name, card.description, card.scenario, *lore, *scenes])))
        return tuple(name for name in USER_NAMES if name not in known | self.others)

    def rng(self, place: str) -> random.Random:
        """Draws that belong to one place, whatever was drawn elsewhere."""
        return random.Random(f"{self.seed}:{place}")

    def dialogue(
        self,
        turns: Sequence[tuple[str, str]],
        *,
        source: str,
        scene: str,
        origin: Origin,
        lore: bool = True,
        identity: str = "",
        notes: Mapping[str, str] | None = None,
    ) -> Conversation:
        """A row from (speaker, text) in order, as far as the character's last line: what follows trains nothing."""
        last = max(
            (i for i, (speaker, _) in enumerate(turns) if speaker.casefold() in self.names), default=len(turns) - 1
        )
        place = f"{source}/{scene}"
        if not identity:
            number = self.ids[place] = self.ids.get(place, 0) + 1
            identity = place if number == 1 else f"{place}/{number}"
        rng = self.rng(identity)
        user = self._user_name(turns, rng)
        messages = tuple(self._message(speaker, text, user, rng) for speaker, text in turns[: last + 1])
        return Conversation(
            messages=messages,
            character=self.card.name,
            id=identity,
            lore=lore,
            seed=int.from_bytes(hashlib.sha256(f"{self.seed}:{identity}".encode()).digest()[:4], "big"),
            origin=origin,
            source=source,
            scene=scene,
            notes=notes or {},
        )

    def _user_name(self, turns: Sequence[tuple[str, str]], rng: random.Random) -> str | None:
        """The name of an unnamed user; None where no text says it, half of the time, as people differ in that."""
        named = [s for s, _ in turns if s and s.casefold() not in self.names and not _NOBODY.fullmatch(s)]
        if named:
            return named[0]
        name = rng.choice(self.user_names or USER_NAMES)
        asked_for = any(_USER_MACRO.search(text) for _, text in turns)
        return name if asked_for or rng.random() < 0.5 else None

    def _message(self, speaker: str, text: str, user: str | None, rng: random.Random) -> Message:
        expanded = macros.expand(
            text, char=self.card.spoken_name, user=user or DEFAULT_USER_NAME, rng=rng, pick_key=text
        )
        content = tidy(expanded)
        if speaker.casefold() in self.names:
            return Message("assistant", content)
        return Message("user", content, user if _NOBODY.fullmatch(speaker) else speaker or None)


def tidy(text: str) -> str:
    """Text in NFC with plain line ends, no trailing blanks and at most one empty line in a row."""
    lines = [line.rstrip() for line in unicodedata.normalize("NFC", text).splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def without_quotes(text: str) -> str:
    """A user's line without the quotation marks around the whole of it: people type none."""
    inner = text[1:-1]
    quoted = len(text) > 2 and text[0] in '"“' and text[-1] in '"”'
    return inner if quoted and not re.search(r"[\"“”]", inner) else text
