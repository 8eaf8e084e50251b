"""Which of the called entries enter: one per inclusion group, by chance, then by priority within the tokens left."""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from persona.lore_entry import LoreEntry, rule_of


@dataclass
class Selection:
    """Decides over candidates, round by round; what was decided stays decided.

    `entries` is the whole book. `taken` maps an inclusion group to the title of its entry that is in, `included` an
    entry's index to (text, tokens), `refused` to the reason.
    """

    entries: Sequence[LoreEntry]
    expand: Callable[[str], str]
    count_tokens: Callable[[str], int]
    tokens_left: int
    seed: int
    turn: int
    taken: dict[str, str] = field(default_factory=dict)
    included: dict[int, tuple[str, int]] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)

    def choose(self, candidates: Iterable[int]) -> list[int]:
        """Include what may enter, the most important first; returns the indices that did.

        A higher priority goes first, then a higher insertion order, then the earlier in the book; an entry without a
        priority has 0. One that does not fit is passed over: what follows may be shorter.
        """
        drawn = [index for index in self._one_per_group(list(candidates)) if self._is_drawn(index)]
        return [index for index in sorted(drawn, key=self._rank) if self._fits(index)]

    def take_groups(self, indices: Iterable[int]) -> None:
        """Entries that are in keep the others of their groups out."""
        for index in indices:
            rule = rule_of(self.entries[index])
            for group in rule.groups:
                self.taken.setdefault(group, rule.title)

    def _one_per_group(self, candidates: list[int]) -> list[int]:
        groups = {index: rule_of(self.entries[index]).groups for index in candidates}
        for group in dict.fromkeys(group for index in candidates for group in groups[index]):
            members = [i for i in candidates if group in groups[i] and i not in self.refused]
            winner = self._winner(group, members) if members and group not in self.taken else None
            for index in members:
                if index != winner:
                    title = self.taken[group] if winner is None else rule_of(self.entries[winner]).title
                    self.refused[index] = f"group {group!r}: {title!r} was chosen"
        return [index for index in candidates if index not in self.refused]

    def _winner(self, group: str, members: list[int]) -> int:
        """The highest order among those that override; else a draw by weight."""
        overriding = [i for i in members if rule_of(self.entries[i]).group_override]
        if overriding:
            return max(overriding, key=lambda i: (self.entries[i].insertion_order, -i))
        weights = [rule_of(self.entries[i]).group_weight for i in members]
        rng = random.Random(f"group {group} {self.seed} {self.turn}")
        return rng.choices(members, weights if sum(weights) else None)[0]

    def _is_drawn(self, index: int) -> bool:
        chance = rule_of(self.entries[index]).chance
        if chance >= 100 or random.Random(f"{self.seed} {index} {self.turn}").random() * 100 < chance:
            return True
        self.refused[index] = f"probability {chance:g} %: not drawn this time"
        return False

    def _rank(self, index: int) -> tuple[bool, float, float, int]:
        entry = self.entries[index]
        return rule_of(entry).marks.ignore_on_max_context, -(entry.priority or 0), -entry.insertion_order, index

    def _fits(self, index: int) -> bool:
        text = self.expand(self.entries[index].text).strip()
        tokens = self.count_tokens(text) if text else 0
        if not text or tokens > self.tokens_left:
            self.refused[index] = f"budget: {tokens} tokens, {self.tokens_left} left" if text else "empty"
            return False
        self.tokens_left -= tokens
        self.included[index] = text, tokens
        self.take_groups([index])
        return True
