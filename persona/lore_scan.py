"""One search through the talk: which entries of a lorebook it calls, each with the reason."""

from collections.abc import Callable, Sequence
from functools import partial

from persona.conversation import Message
from persona.lore_entry import LoreEntry, LoreRule, rule_of
from persona.lore_matching import Haystack, Hit, Key, Matcher, Piece, short

SCAN_DEPTH = 4
"""Messages that are searched where neither book nor entry says how many: two exchanges, so that a question and the next
one can bring a primary and a secondary key together. What an older message called is in the prompt already."""


class Scan:
    """The texts that are searched, and the question to each entry whether they call it.

    `messages` are the talk so far, the asking turn last; `depth` how many of the last are searched for keys, `char` and
    `user` who speaks where no name is given. With `recursive`, the entries that are `read` are searched too.
    """

    def __init__(
        self,
        messages: Sequence[Message],
        *,
        depth: int | None,
        recursive: bool,
        char: str,
        user: str,
        greeting: int | None,
        expand: Callable[[str], str],
    ) -> None:
        self.depth = SCAN_DEPTH if depth is None else depth
        self.recursive, self.greeting, self.expand = recursive, greeting, expand
        self.matcher = Matcher(expand)
        speaker = {"assistant": char, "user": user}
        self.spoken = [
            Piece(f"message {place}", m.content, f"{m.name or speaker[m.role]}:")
            for place, m in enumerate(messages, 1)
            if m.role in speaker
        ]
        self.replies = sum(m.role == "assistant" for m in messages)
        self.windows: dict[int, Haystack] = {}
        self.entries: list[Piece] = []
        self.lore = Haystack(())
        self.unread = False

    def read(self, entries: Sequence[LoreEntry]) -> None:
        """Let what these entries say call others, in the next round of recursion."""
        rules = [(entry, rule_of(entry)) for entry in entries] if self.recursive else []
        pieces = [
            Piece(f"entry {short(rule.title)}", f"{self.expand(entry.text)}\n{rule.hidden_keys}")
            for entry, rule in rules
            if not rule.prevents_recursion
        ]
        if pieces:
            self.entries += pieces
            self.lore = Haystack(self.entries)
            self.unread = True

    def obstacle(self, entry: LoreEntry) -> str:
        """Why an entry cannot be called at this moment, whatever is said; "" when it can."""
        rule = rule_of(entry)
        after, every, greeting = rule.marks.activate_only_after, rule.marks.activate_only_every, rule.marks.is_greeting
        if rule.marks.dont_activate:
            return "switched off by @@dont_activate"
        if self.replies < (after or 0):
            return f"sleeps until reply {after}; there are {self.replies}"
        if every and self.replies % every:
            return f"wakes at every {every} replies; there are {self.replies}"
        if greeting is not None and self.greeting not in (None, greeting):
            return f"belongs to greeting {greeting}; this talk began with greeting {self.greeting}"
        if len(self.spoken) < rule.delay:
            return f"sleeps until message {rule.delay}; there are {len(self.spoken)}"
        if rule.recursion_level and not self.recursive:
            return "only other entries call it, and recursive scanning is off in this lorebook"
        return ""

    def calls(self, entry: LoreEntry, level: int) -> tuple[bool, str]:
        """Whether an entry is called in a round of recursion (0: by messages alone), and the reason either way."""
        rule = rule_of(entry)
        if level < rule.recursion_level:
            return False, "only other entries call it, and none did"
        self.matcher.problems = []
        haystacks = [self._window(rule), *([self.lore] if level and not rule.excludes_recursion else [])]
        called, reason = self._verdict(entry, rule, haystacks)
        return called, "; ".join([reason, *self.matcher.problems])

    def _window(self, rule: LoreRule) -> Haystack:
        depth = min(self.depth if rule.scan_depth is None else rule.scan_depth, len(self.spoken))
        if depth not in self.windows:
            self.windows[depth] = Haystack(self.spoken[len(self.spoken) - depth :])
        return self.windows[depth]

    def _verdict(self, entry: LoreEntry, rule: LoreRule, haystacks: list[Haystack]) -> tuple[bool, str]:
        find = partial(self.matcher.first, haystacks=haystacks)
        hit = None if entry.constant else find(rule.keys)
        if not hit and not entry.constant:
            return False, _no_hit(rule, haystacks)
        if rule.additional and not find(rule.additional):
            return False, f"additional key missing: needs one of {_listed(rule.additional)}"
        if excluded := find(rule.excluded):
            return False, f"{excluded} forbids it"
        missing = "" if entry.constant else _secondary(rule, find)
        return not missing, missing or (str(hit) if hit else "constant")


def _no_hit(rule: LoreRule, haystacks: list[Haystack]) -> str:
    if not rule.keys:
        return "it has no key"
    return "no key matched" if any(hay.pieces for hay in haystacks) else "no message is searched: scan depth 0"


def _secondary(rule: LoreRule, find: Callable[[Sequence[Key]], Hit | None]) -> str:
    """What the secondary keys still ask for; "" when they agree."""
    keys = rule.secondary
    if rule.logic == "AND_ANY":
        return "" if find(keys) else f"secondary key missing: needs one of {_listed(keys)}"
    if rule.logic == "NOT_ANY":
        hit = find(keys)
        return f"secondary {hit} forbids it" if hit else ""
    if rule.logic == "AND_ALL":
        missing = [key for key in keys if not find([key])]
        return f"secondary key missing: needs {_listed(missing)}" if missing else ""
    if rule.logic == "NOT_ALL" and all(find([key]) for key in keys):
        return f"all secondary keys are there, which forbids it: {_listed(keys)}"
    return ""


def _listed(keys: Sequence[Key]) -> str:
    return ", ".join(short(key.text) for key in keys[:5]) + (", ..." if len(keys) > 5 else "")
