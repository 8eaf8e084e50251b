"""A novel while its speakers are being found: what the text says, and what was decided of the turns so far."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from data.novel.people import People
from data.novel.quotations import Quotation
from data.novel.turns import Turn

NARRATOR = -1
"""The number of whoever says "I" in the narration."""

_HEARD_TURNS = 8

Decision = tuple[int | None, str]
"""A person's number, None where nobody is found, and the rule that found it."""
THOUGHT = "thought"
"""The rule of what somebody thinks or says to themselves; the person is whoever other rules say."""
UNKNOWN: Decision = (None, "unknown")


@dataclass
class Story:
    """A text, its quotations, turns and people; `narrator` is the number of a first-person narrator's name.

    `speakers` and `called` hold, turn by turn, who spoke (last in the paragraph) and whom the turn addresses.
    """

    text: str
    quotations: Sequence[Quotation]
    turns: Sequence[Turn]
    people: People
    first_person: bool
    narrator: int | None
    speakers: list[int | None] = field(default_factory=list)
    called: list[set[int]] = field(default_factory=list)

    def numbers(self, names: Sequence[tuple[str, ...]]) -> set[int]:
        """The known people among some names, the narrator as `NARRATOR`."""
        found = {self.people.find(words) for words in names}
        return {NARRATOR if person == self.narrator else person for person in found if person is not None}

    def is_of(self, person: int | None, gender: str) -> bool:
        """Whether somebody is known to be of a gender."""
        return person is not None and person != NARRATOR and self.people.genders[person] == gender

    def may_be(self, person: int, gender: str) -> bool:
        """Whether nothing speaks against somebody's being of a gender."""
        if person == NARRATOR:
            return gender == "I"
        return self.people.genders[person] in ("", gender) or (gender == "it" and person in self.people.things)

    def speaker(self, i: int, most: int) -> int | None:
        """Who spoke in turn `i`, None where it is the first or the narration after it is more than `most` paragraphs."""
        return self.speakers[i] if i >= 0 and self.turns[i + 1].gap <= most else None

    def recent(self, i: int, place: int, reach: int) -> Iterator[int]:
        """People named in narration or heard in the turns before turn `i`, the nearest to `place` first, each once."""
        heard = [
            (self.turns[j].end, person)
            for j in range(max(0, i - _HEARD_TURNS), i)
            if (person := self.speakers[j]) not in (None, NARRATOR) and self.turns[j].end > place - reach
        ]
        named = self.people.before(place, max(0, place - reach))
        yield from dict.fromkeys(person for _, person in sorted([*heard, *named], reverse=True) if person is not None)
