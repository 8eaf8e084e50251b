"""One entry of a lorebook, with the settings that cards write under several names."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from persona.lore_decorators import Decorators, number, parse_decorators, whole_number
from persona.lore_matching import Key, KeyRule, read_key

Logic = Literal["AND_ANY", "NOT_ALL", "NOT_ANY", "AND_ALL"]
Position = Literal["before_char", "after_char"]

LOGICS: tuple[Logic, ...] = ("AND_ANY", "NOT_ALL", "NOT_ANY", "AND_ALL")
"""SillyTavern's `selectiveLogic`, by number: what the secondary keys must do once a primary key is found."""

# SillyTavern writes `use_regex: true` on every entry though its keys are plain; these flags tell that it wrote one.
_SILLYTAVERN_FLAGS = frozenset({"selectiveLogic", "display_index", "exclude_recursion", "useProbability"})
_REQUIRED = frozenset({"keys", "content", "extensions", "enabled", "insertion_order"})
_HIDDEN_KEY = re.compile(r"\{\{\s*hidden_key\s*:([^{}]*)\}\}", re.IGNORECASE)


@lru_cache(maxsize=256)
def camel(name: str) -> str:
    """`exclude_recursion` as World Info spells it: `excludeRecursion`."""
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def without_nulls(fields: Mapping[str, Any], required: frozenset[str]) -> dict[str, Any]:
    """Fields as an editor should have written them: nothing where it wrote null, or [] for an empty object."""
    nothing = {name for name in required if fields.get(name) is None}
    if fields.get("extensions") == []:
        nothing.add("extensions")
    return {name: value for name, value in fields.items() if name not in nothing}


class LoreEntry(BaseModel):
    """A fact and the words that call it: field names of Character Card V3, unknown fields kept.

    `insertion_order`: lower stands earlier in the prompt. `priority`: higher is kept longer where tokens are short.
    `selective`: a primary key alone is not enough, the `secondary_keys` decide as `logic` says. `constant`: always in.
    Further flags stand in `extensions` and are read in both spellings, `exclude_recursion` and `excludeRecursion`.
    `model_dump(mode="json", exclude_unset=True)` gives back what was read.
    """

    model_config = ConfigDict(frozen=True, extra="allow", coerce_numbers_to_str=True)

    keys: tuple[str, ...] = ()
    content: str = ""
    extensions: dict[str, Any] = Field(default_factory=dict)
    enabled: bool = True
    insertion_order: int | float = 100
    case_sensitive: bool | None = None
    use_regex: bool | None = None
    constant: bool | None = None
    name: str | None = None
    priority: int | float | None = None
    id: int | str | None = None
    comment: str | None = None
    selective: bool | None = None
    secondary_keys: tuple[str, ...] | None = None
    position: str | int | None = None

    @model_validator(mode="before")
    @classmethod
    def _tolerate(cls, fields: Any) -> Any:
        """Editors write null for what they do not know, and older ones put keys into one string."""
        if not isinstance(fields, Mapping):
            return fields
        fields = without_nulls(fields, _REQUIRED)
        for name in ("keys", "secondary_keys"):
            if isinstance(fields.get(name), str):
                fields[name] = [key.strip() for key in fields[name].split(",")]
        return fields

    def __hash__(self) -> int:
        return hash((self.keys, self.content))

    def flag(self, name: str) -> Any:
        """A setting that has no field, by its snake_case name; None where no spelling of it is given."""
        extra = self.model_extra or {}
        for holder in (self.extensions, extra):
            for spelling in (name, camel(name)):
                if holder.get(spelling) is not None:
                    return holder[spelling]
        return None

    @property
    def text(self) -> str:
        """The content without its decorators; macros unexpanded."""
        return parse_decorators(self.content)[1]

    @property
    def title(self) -> str:
        """What a person calls the entry: its name, else its comment, else its first key; one printable line."""
        for text in (self.name, self.comment, *self.keys):
            if line := " ".join("".join(c if c.isprintable() else " " for c in text or "").split()):
                return line
        return ""


@dataclass(frozen=True, slots=True)
class LoreRule:
    """What an entry asks for, read from its fields, flags and decorators."""

    title: str
    marks: Decorators
    keys: tuple[Key, ...]
    secondary: tuple[Key, ...]
    additional: tuple[Key, ...]
    excluded: tuple[Key, ...]
    logic: Logic | None
    """What the secondary keys must do; None where there are none that count (V3 ignores them beside patterns)."""
    stands: bool
    """Constant and waiting for nothing: in the system message from the start."""
    scan_depth: int | None
    delay: int
    """The number of messages before which the entry sleeps."""
    recursion_level: int
    """0: messages call the entry; 1 and more: only other entries do, from that round of recursion on."""
    excludes_recursion: bool
    prevents_recursion: bool
    hidden_keys: str
    """Words that call other entries when this one is scanned, though the prompt never shows them."""
    chance: float
    """The probability in percent that a match counts."""
    groups: tuple[str, ...]
    """Inclusion groups: of the entries of one group, one enters."""
    group_override: bool
    group_weight: int
    position: Position
    unheeded: tuple[str, ...]
    """Settings that are kept, and which a prompt that only grows cannot honour."""


@lru_cache(maxsize=16_384)
def rule_of(entry: LoreEntry) -> LoreRule:
    """Read an entry's settings in all their spellings."""
    marks, flag = parse_decorators(entry.content)[0], entry.flag
    patterns = bool(entry.use_regex) and not _SILLYTAVERN_FLAGS.intersection(entry.extensions)
    case = entry.case_sensitive if entry.case_sensitive is not None else flag("case_sensitive")
    key_rule = KeyRule(patterns, bool(case), flag("match_whole_words") in (None, True, 1))
    delay = whole_number(flag("delay")) or 0
    waits = marks.dont_activate or marks.conditional or delay
    delayed, groups, depth = flag("delay_until_recursion"), flag("group"), whole_number(flag("scan_depth"))
    chance, weight = number(flag("probability")), whole_number(flag("group_weight"))
    secondary = _keys(entry.secondary_keys or (), key_rule) if entry.selective and not patterns else ()
    return LoreRule(
        title=entry.title,
        marks=marks,
        # V3: beside patterns, additional keys are further patterns and excluding ones do not count.
        keys=_keys(entry.keys + (marks.additional_keys if patterns else ()), key_rule),
        secondary=secondary,
        additional=() if patterns else _keys(marks.additional_keys, key_rule),
        excluded=() if patterns else _keys(marks.exclude_keys, key_rule),
        logic=_logic(flag("selective_logic")) if secondary else None,
        # V3 would have `constant` ignored beside patterns; an author who ticks it wants the entry in.
        stands=marks.activate or bool(entry.constant and not waits),
        scan_depth=depth if marks.scan_depth is None else marks.scan_depth,
        delay=delay,
        recursion_level=int(delayed) if isinstance(delayed, bool) else whole_number(delayed) or 0,
        excludes_recursion=bool(flag("exclude_recursion")),
        prevents_recursion=bool(flag("prevent_recursion")),
        hidden_keys="\n".join(_HIDDEN_KEY.findall(entry.text)),
        chance=100 if chance is None or flag("use_probability") is False else chance,
        groups=tuple(g.strip() for g in groups.split(",") if g.strip()) if isinstance(groups, str) else (),
        group_override=bool(flag("group_override")),
        group_weight=100 if weight is None else weight,
        position=_position(entry, marks),
        unheeded=(*marks.ignored, *_unheeded(entry)),
    )


def _keys(texts: tuple[str, ...], rule: KeyRule) -> tuple[Key, ...]:
    return tuple(read_key(text, rule) for text in texts if text.strip())


def _logic(choice: Any) -> Logic:
    index = whole_number(choice) or 0
    return LOGICS[index] if index < len(LOGICS) else "AND_ANY"


def _position(entry: LoreEntry, marks: Decorators) -> Position:
    flag = entry.flag("position")
    place = marks.position or (entry.position if flag is None else flag)
    return "before_char" if place in (0, "before_char") else "after_char"


def _unheeded(entry: LoreEntry) -> list[str]:
    flags = [f for f in ("vectorized", "use_group_scoring", "ignore_budget", "triggers") if entry.flag(f)]
    place, others = entry.flag("position"), entry.flag("character_filter")
    flags += [f"position {place}"] if isinstance(place, int) and place > 1 else []
    return flags + (
        ["character_filter"] if isinstance(others, Mapping) and (others.get("names") or others.get("tags")) else []
    )
