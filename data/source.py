"""What every reader gives: the scenes of a source, what they say of it, and the lines that could not be read."""

from dataclasses import dataclass, field

CHARACTER, USER = "{{char}}", "{{user}}"
"""The speakers of a format that knows roles but no names."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """What one speaker says without a break.

    `place` says where it stands for people to find it: "line 12", or "characters 1,200-1,260". `confidence` is how
    surely it is the speaker's, 0 to 1, and `rule` by which rule of attribution. `rejected` are other versions of it that
    somebody read and did not keep (swipes).
    """

    speaker: str
    text: str
    place: str = ""
    confidence: float = 1.0
    rule: str = ""
    rejected: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scene:
    """Utterances that follow one another; what stands in two scenes has no common context."""

    utterances: tuple[Utterance, ...]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A part of a source that could not be used: where it stands, and why."""

    place: str
    reason: str


@dataclass(frozen=True, slots=True)
class Lore:
    """A heading and what stands under it, in prose."""

    title: str
    text: str


@dataclass(frozen=True)
class Source:
    """A file as its reader understood it.

    `character` is who the file itself says the character is, and `user` the person, "" where it does not; `system` is what a training file told
    the model about the character.
    """

    kind: str
    name: str
    scenes: tuple[Scene, ...] = ()
    lore: tuple[Lore, ...] = ()
    character: str = ""
    user: str = ""
    system: str = ""
    language: str = ""
    licence: str = ""
    quarantined: tuple[Quarantined, ...] = ()
    notes: list[str] = field(default_factory=list)
