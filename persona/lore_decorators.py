"""Decorators of Character Card V3: the lines `@@name value` at the head of a lorebook entry's content."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_LINE = re.compile(r"(@{2,3})([A-Za-z_]\w*)(?:[ \t]+(.*))?")


@dataclass(frozen=True, slots=True)
class Decorators:
    """What an entry's decorators ask for; `ignored` names those that a prompt which only grows cannot honour.

    `keep_activate_after_match` and `dont_activate_after_match` hold for every entry here: it enters once and stays.
    """

    activate: bool = False
    dont_activate: bool = False
    activate_only_after: int | None = None
    activate_only_every: int | None = None
    is_greeting: int | None = None
    scan_depth: int | None = None
    position: str | None = None
    ignore_on_max_context: bool = False
    additional_keys: tuple[str, ...] = ()
    exclude_keys: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def conditional(self) -> bool:
        """Whether the entry waits for a moment or a word, so that it cannot stand in the prompt from the start."""
        moments = (self.activate_only_after, self.activate_only_every, self.is_greeting)
        return any(m is not None for m in moments) or bool(self.additional_keys or self.exclude_keys)


@lru_cache(maxsize=4096)
def parse_decorators(content: str) -> tuple[Decorators, str]:
    """The decorators of an entry's content, and the text below them, with no newlines at its ends.

    A decorator whose name is unknown, whose value does not fit or which cannot be honoured gives way to the `@@@` lines
    directly below it, tried in order; of two with one name the first counts.
    """
    lines = content.split("\n")
    values: dict[str, Any] = {}
    ignored: list[str] = []
    settled = True
    while lines and (not lines[0].strip() or _LINE.fullmatch(lines[0].strip())):
        decorator = _LINE.fullmatch(lines.pop(0).strip())
        if not decorator or (decorator[1] == "@@@" and settled):
            continue
        name, argument = decorator[2], (decorator[3] or "").strip()
        value = _READERS[name](argument) if name in _READERS else None
        settled = value is not None
        if not settled:
            ignored.append(f"@@{name}")
        elif name in Decorators.__dataclass_fields__:
            values.setdefault(name, value)
    return Decorators(**values, ignored=tuple(ignored)), "\n".join(lines).strip("\r\n")


def whole_number(value: Any) -> int | None:
    """A number written as such or as text, rounded down; None when it is neither, negative or infinite."""
    size = number(value)
    return None if size is None else int(size)


def number(value: Any) -> float | None:
    """The same, not rounded."""
    try:
        size = float(value) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError, OverflowError):
        return None
    return size if math.isfinite(size) and size >= 0 else None


def _present(argument: str) -> bool:
    return True


def _step(argument: str) -> int | None:
    return whole_number(argument) or None


def _words(argument: str) -> tuple[str, ...] | None:
    return tuple(word.strip() for word in argument.split(",") if word.strip()) or None


def _place(argument: str) -> str | None:
    return {"before_desc": "before_char", "after_desc": "after_char"}.get(argument)


_READERS: dict[str, Callable[[str], Any]] = {
    "activate": _present,
    "dont_activate": _present,
    "activate_only_after": whole_number,
    "activate_only_every": _step,
    "keep_activate_after_match": _present,
    "dont_activate_after_match": _present,
    "is_greeting": whole_number,
    "scan_depth": whole_number,
    "position": _place,
    "ignore_on_max_context": _present,
    "additional_keys": _words,
    "exclude_keys": _words,
}
"""What each value must be. Not here, and so ignored: the depths, because text that moves with each message would change
the prompt behind it; roles; the `instruct_` forms, which are not for chats; user icons and prompts of an interface."""
