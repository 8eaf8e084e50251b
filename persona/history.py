"""The history as it grows: lore is laid before the message that calls it and stays, and the oldest turns go in blocks.

A fold over the turns without any other state: training, server and a restarted bot come to the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from persona.conversation import Message
from persona.errors import PersonaError
from persona.lorebook import LoreDecision
from persona.normalise import Notes
from persona.system import LORE_SHARE, SystemMessage
from persona.template import ChatTemplate

HISTORY_KEPT = 0.6
"""Share of its budget that a history is cut down to: rarely and much, so that prefix caches stay useful."""


class Scan(Protocol):
    """`Lorebook.scan` with everything filled in that does not change from turn to turn."""

    def __call__(
        self, messages: Sequence[Message], *, standing: frozenset[int], turn: int, token_budget: int
    ) -> tuple[LoreDecision, ...]: ...


def no_lore(
    messages: Sequence[Message], *, standing: frozenset[int], turn: int, token_budget: int
) -> tuple[LoreDecision, ...]:
    """The scan of a conversation without a lorebook."""
    return ()


def fold(
    history: Sequence[Message], head: Sequence[Message], system: SystemMessage, scan: Scan, notes: Notes
) -> "History":
    """Walk through the turns; at each user turn the lore that it calls is laid before it, and stays there."""
    template = notes.template
    room = template.context - template.reply_tokens
    budget = room - sum(_cost(m, template) for m in head) - 2 * template.turn_overhead
    if budget < template.context // 8:
        raise no_room(f"The system message leaves {max(budget, 0)} of {template.context} tokens for the conversation.")
    kept = History(budget, template, notes)
    constant = frozenset(d.index for d in system.lore if d.included)
    for turn, message in enumerate(history):
        called: list[LoreDecision] = []
        if message.role == "user":
            lore_room = int(LORE_SHARE * room) - system.lore_tokens - kept.lore_tokens
            # What the person says comes first: lore takes no more than what that leaves.
            lore_room = max(min(lore_room, kept.longest - _cost(message, template)), 0)
            standing = constant | kept.standing
            kept.latest = scan(history[: turn + 1], standing=standing, turn=turn, token_budget=lore_room)
            called = [d for d in kept.latest if d.included]
        kept.add(message, called)
    return kept


@dataclass(frozen=True, slots=True)
class _Turn:
    message: Message
    lore: tuple[LoreDecision, ...]
    tokens: int


@dataclass
class History:
    """The turns so far: only the newest turns change, and a cut takes whole blocks of the oldest."""

    budget: int
    template: ChatTemplate
    notes: Notes
    turns: list[_Turn] = field(default_factory=list)
    truncated: int = 0
    latest: tuple[LoreDecision, ...] = ()

    @property
    def standing(self) -> set[int]:
        """Entries whose text is in the turns."""
        return {d.index for turn in self.turns for d in turn.lore}

    @property
    def lore_tokens(self) -> int:
        """Tokens of that text."""
        return sum(d.tokens for turn in self.turns for d in turn.lore)

    @property
    def longest(self) -> int:
        """Tokens that one message may have."""
        return int(HISTORY_KEPT * self.budget) - 2 * self.template.turn_overhead

    def add(self, message: Message, lore: Sequence[LoreDecision]) -> None:
        """The next turn, behind the lore that it calls; a message over its share is cut, and the notes say so."""
        lore_tokens = sum(d.tokens for d in lore) + self.template.turn_overhead * bool(lore)
        longest = self.longest
        if _cost(message, self.template) > longest:
            self.notes.warn(f"a message was cut to its first {longest} tokens")
            message = Message(message.role, self.template.cut(message.content, longest), message.name)
        self.turns.append(_Turn(message, tuple(lore), _cost(message, self.template) + lore_tokens))
        if sum(turn.tokens for turn in self.turns) > self.budget:
            self._cut()

    def _cut(self) -> None:
        """Drop the oldest turns down to a share of the budget: rarely and much, so that prefix caches stay useful."""
        kept = list(self.turns)
        while len(kept) > 1 and (
            sum(t.tokens for t in kept) > HISTORY_KEPT * self.budget or kept[0].message.role != "user"
        ):
            kept.pop(0)
        self.truncated += len(self.turns) - len(kept)
        self.turns = kept

    def verdicts(self, constants: Sequence[LoreDecision]) -> tuple[LoreDecision, ...]:
        """One decision an entry: what stands in the prompt, else what the last scan said."""
        verdicts = {d.index: d for d in [*self.latest, *constants]}
        verdicts |= {d.index: d for turn in self.turns for d in turn.lore}
        return tuple(verdicts[index] for index in sorted(verdicts))

    def messages(self) -> list[Message]:
        """The turns with the lore that stands before them."""
        inlaid: list[Message] = []
        for turn in self.turns:
            text = "\n".join(d.text for d in turn.lore)
            inlaid += [Message("system", text)] if text else []
            inlaid.append(turn.message)
        return inlaid


def no_room(what: str) -> PersonaError:
    """The error of a context that is too small for what has to stand in it."""
    return PersonaError(what, fix="shorten the card or the message, or take a base with a longer context")


def _cost(message: Message, template: ChatTemplate) -> int:
    name = template.count_tokens(f"{message.name}: ") if message.name else 0
    return int(template.count_tokens(message.content)) + name + template.turn_overhead
