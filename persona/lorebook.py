"""A lorebook: facts that enter the prompt when the talk turns to them, each with the reason why it did or did not."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from persona.conversation import Message
from persona.lore_decorators import whole_number
from persona.lore_entry import LoreEntry, Position, rule_of, without_nulls
from persona.lore_scan import Scan
from persona.lore_selection import Selection

__all__ = ["LoreDecision", "LoreEntry", "Lorebook"]

RECURSION_ROUNDS = 8
"""How far one entry calls the next; longer chains in real books are accidents that pull in everything."""


@dataclass(frozen=True, slots=True)
class LoreDecision:
    """What became of one entry, and why, in words for a person; `text` and `tokens` only where it is included.

    `position` matters for entries that stand in the system message.
    """

    index: int
    name: str
    included: bool
    reason: str
    text: str = ""
    tokens: int = 0
    position: Position = "after_char"


class Lorebook(BaseModel):
    """Entries in file order, with the field names of Character Card V3; unknown fields are kept.

    An entry that enters stays in the prompt, so `sticky` and `cooldown` have no work to do. `recursive_scanning` is off
    where a book does not say: in a small context, one entry must not pull in all that it names.
    `model_dump(mode="json", exclude_unset=True)` gives back what was read.
    """

    model_config = ConfigDict(frozen=True, extra="allow", coerce_numbers_to_str=True)

    name: str | None = None
    description: str | None = None
    scan_depth: int | float | None = None
    token_budget: int | float | None = None
    recursive_scanning: bool | None = None
    extensions: dict[str, Any] = Field(default_factory=dict)
    entries: tuple[LoreEntry, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, fields: Any) -> Any:
        return without_nulls(fields, frozenset({"extensions", "entries"})) if isinstance(fields, Mapping) else fields

    def constants(
        self, *, expand: Callable[[str], str], count_tokens: Callable[[str], int], token_budget: int, seed: int
    ) -> tuple[LoreDecision, ...]:
        """The constant entries, for the system message, in insertion order; one decision each, included or not.

        `expand` fills macros in and must be a function of its text alone. `token_budget` is what all lore may take;
        the book's own budget holds too. `seed` is the conversation's.
        """
        selection = Selection(self.entries, expand, count_tokens, self._budget(token_budget, 0), seed, turn=-1)
        standing = [index for index, entry in enumerate(self.entries) if entry.enabled and rule_of(entry).stands]
        selection.choose(standing)
        reasons = dict.fromkeys(standing, "constant") | selection.refused
        return self._decisions(reasons, selection)

    def scan(
        self,
        messages: Sequence[Message],
        *,
        standing: frozenset[int],
        turn: int,
        char: str,
        user: str,
        expand: Callable[[str], str],
        count_tokens: Callable[[str], int],
        token_budget: int,
        seed: int,
        greeting: int | None = None,
    ) -> tuple[LoreDecision, ...]:
        """What the last message calls into the prompt: one decision for every entry, in insertion order.

        `messages` ends with the user turn that asks; `standing` are the entries whose text is in the prompt already;
        `token_budget` is what is left for lore. `char` and `user` name those who speak without a name; `greeting` is
        the number of the greeting that opened the talk (0 `first_mes`, from 1 the alternate ones), None if unknown.
        `seed` and `turn` draw what is left to chance. The result is a pure function of the arguments (but for patterns
        that run out of time), never includes a standing entry and never exceeds the budget.
        """
        scan = Scan(
            messages,
            depth=whole_number(self.scan_depth),
            recursive=bool(self.recursive_scanning),
            char=char,
            user=user,
            greeting=greeting,
            expand=expand,
        )
        used = sum(count_tokens(expand(self.entries[i].text).strip()) for i in standing) if self.token_budget else 0
        selection = Selection(self.entries, expand, count_tokens, self._budget(token_budget, used), seed, turn)
        selection.take_groups(sorted(standing))
        scan.read([self.entries[index] for index in sorted(standing)])
        reasons = {index: _closed(entry, index in standing, scan) for index, entry in enumerate(self.entries)}
        waiting = [index for index, reason in reasons.items() if not reason]
        for level in range(RECURSION_ROUNDS + 1):
            if level and not scan.unread:
                break
            if level:
                scan.unread = False
            answers = {index: scan.calls(self.entries[index], level) for index in waiting}
            reasons |= {index: reason for index, (_, reason) in answers.items()}
            chosen = selection.choose(index for index, (called, _) in answers.items() if called)
            scan.read([self.entries[index] for index in chosen])
            waiting = [i for i in waiting if i not in selection.included and i not in selection.refused]
        return self._decisions(reasons | selection.refused, selection)

    def _budget(self, token_budget: int, used: int) -> int:
        own = whole_number(self.token_budget)
        return max(0, token_budget if not own else min(token_budget, own - used))

    def _decisions(self, reasons: dict[int, str], selection: Selection) -> tuple[LoreDecision, ...]:
        def decide(index: int) -> LoreDecision:
            entry, (text, tokens) = self.entries[index], selection.included.get(index, ("", 0))
            rule, reason = rule_of(entry), reasons[index]
            if text and rule.unheeded:
                reason += f" (not heeded: {', '.join(rule.unheeded)})"
            title = rule.title or f"entry {index + 1}"
            return LoreDecision(index, title, bool(text), reason, text, tokens, rule.position)

        return tuple(decide(index) for index in sorted(reasons, key=lambda i: (self.entries[i].insertion_order, i)))


def _closed(entry: LoreEntry, standing: bool, scan: Scan) -> str:
    """Why the talk has no say over an entry now; "" when it has."""
    if not entry.enabled:
        return "disabled"
    if standing:
        return "already in the prompt"
    if not entry.text.strip():
        return "empty"
    if rule_of(entry).stands:
        return "constant, but left out when the conversation began"
    return scan.obstacle(entry)
