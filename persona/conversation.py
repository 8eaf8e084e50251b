"""Who said what: the one value that flows from lore to dataset, from dataset to prompt, from prompt to reply."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

from persona.errors import PersonaError

Role = Literal["system", "user", "assistant"]
Origin = Literal["real", "greeting", "example", "lore", "telling", "identity", "unknown", "smalltalk", "teacher"]

REAL_ORIGINS: frozenset[str] = frozenset({"real", "greeting", "example"})
"""Origins whose assistant lines were written by the character's author; the others are synthetic."""

MESSAGE_CHARACTERS = 100_000
"""The longest message that is read from a file or a request: longer ones are an accident or an attack."""


NAME_CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. `name` is the speaker; a user turn without one is spoken by the only other person there is."""

    role: Role
    content: str
    name: str | None = None

    @classmethod
    def from_dict(cls, row: Mapping[str, Any], where: str = "messages") -> "Message":
        """Read `{"role", "content", "name"?}`, the shape that OpenAI's API and trl share.

        Raises `PersonaError` naming `where` when a field is missing, of another type, or too long.
        """
        if not isinstance(row, Mapping):
            raise PersonaError(f"A message is {type(row).__name__}, not an object.", where=where)
        role, content, name = row.get("role"), row.get("content"), row.get("name")
        if role not in get_args(Role):
            raise PersonaError(f"A message has the role {role!r}.", where=where, fix="use system, user or assistant")
        if not isinstance(content, str):
            raise PersonaError(f"A message's content is {type(content).__name__}, not text.", where=where)
        if len(content) > MESSAGE_CHARACTERS:
            raise PersonaError(
                f"A message has {len(content):,} characters.", where=where, fix=f"at most {MESSAGE_CHARACTERS:,}"
            )
        if name is not None and not isinstance(name, str):
            raise PersonaError(f"A message's name is {type(name).__name__}, not text.", where=where)
        if name and len(name) > NAME_CHARACTERS:
            raise PersonaError(
                f"A message's name has {len(name):,} characters.", where=where, fix=f"at most {NAME_CHARACTERS}"
            )
        return cls(cast(Role, role), content, name or None)

    def to_dict(self) -> dict[str, str]:
        """The same shape back, without a `name` where there is none."""
        row = {"role": self.role, "content": self.content}
        return row | {"name": self.name} if self.name else row


@dataclass(frozen=True, slots=True)
class Conversation:
    """A dialogue with one character, as a dataset row: no card and no lore, which the prompt adds.

    Every assistant turn is a line of `character`. `lore` says whether the prompt is composed with the card's lorebook;
    `seed` draws its random macros. `source` and `scene` say where the dialogue stands (rows of one scene are never
    split), `origin` how it came to be.
    """

    messages: tuple[Message, ...]
    character: str
    id: str = ""
    lore: bool = True
    seed: int = 0
    origin: Origin = "real"
    source: str = ""
    scene: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)
    """Further provenance, such as the lorebook entry that a question was made from."""

    @property
    def replies(self) -> tuple[str, ...]:
        """The assistant turns: what a model is trained to say."""
        return tuple(m.content for m in self.messages if m.role == "assistant")

    def place_of(self, reply: str) -> int:
        """Where a reply stands among the messages, white space apart; the last one where none says so."""
        places = [place for place, message in enumerate(self.messages) if message.role == "assistant"]
        words = reply.split()
        return next((place for place in places if self.messages[place].content.split() == words), places[-1])

    @property
    def is_real(self) -> bool:
        """Whether the replies were written by the character's author."""
        return self.origin in REAL_ORIGINS

    def to_row(self) -> dict[str, Any]:
        """A JSON-ready dataset row; `messages` has the shape that every trainer reads."""
        return {
            "id": self.id,
            "character": self.character,
            "messages": [m.to_dict() for m in self.messages],
            "lore": "on" if self.lore else "off",
            "seed": self.seed,
            "origin": self.origin,
            "source": self.source,
            "scene": self.scene,
            "notes": dict(self.notes),
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any], where: str = "row") -> "Conversation":
        """Read a row that `to_row` wrote. Raises `PersonaError` naming `where` when it is not one."""
        if not isinstance(row, Mapping) or not isinstance(row.get("messages"), list):
            raise PersonaError("A dataset row has no list of messages.", where=where, fix="persona build NAME")
        if row.get("origin", "real") not in get_args(Origin):
            raise PersonaError(f"A dataset row has the origin {row.get('origin')!r}.", where=where)
        messages = tuple(Message.from_dict(m, f"{where}, message {i}") for i, m in enumerate(row["messages"], 1))
        return cls(
            messages=messages,
            character=str(row.get("character", "")),
            id=str(row.get("id", "")),
            lore=row.get("lore", "on") != "off",
            seed=int(row.get("seed", 0)),
            origin=row.get("origin", "real"),
            source=str(row.get("source", "")),
            scene=str(row.get("scene", "")),
            notes={str(k): str(v) for k, v in (row.get("notes") or {}).items()},
        )
