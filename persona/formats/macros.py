"""Macros of character cards, expanded in one pass: what comes out of a macro is never read as a macro again."""

import hashlib
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field

# In "{{{char}}}" the inner two braces open: the outer one is text.
_BRACES = re.compile(r"(\{\{(?!\{)|\}\})")
_ANGLES = re.compile(r"<(bot|char|user)>", re.IGNORECASE)
_DICE = re.compile(r"(?:(\d{0,2})d)?(\d{1,9})", re.IGNORECASE)
_COMMA = re.compile(r"(?<!\\),")


@dataclass(frozen=True, slots=True)
class _Scope:
    """What the macros of one text stand for."""

    char: str
    user: str
    original: str
    pick_key: str
    rng: random.Random

    def angles(self, text: str) -> str:
        return _ANGLES.sub(lambda m: self.user if m[1].lower() == "user" else self.char, text)


@dataclass(slots=True)
class _Frame:
    """An open `{{`: the literal text directly after it, which alone can name a macro, and what followed."""

    head: str = ""
    parts: list[str] = field(default_factory=list)


def may_stand_in(text: str) -> bool:
    """Whether a text could hold a macro at all; most hold none."""
    return "{{" in text or "<" in text


def expand(text: str, *, char: str, user: str, rng: random.Random, original: str = "", pick_key: str = "") -> str:
    """Expand the macros of Character Card V1 to V3, case-insensitively, in time linear in the text.

    `{{char}} <BOT> <char>` give `char`; `{{user}} <USER>` give `user`; `{{original}}` gives `original`;
    `{{random:a,b}}` and `{{roll:d6}}` draw from `rng`; `{{pick:a,b}}` draws from `pick_key`, so that it is stable;
    `{{reverse:x}}` reverses; `{{// x}}`, `{{comment:x}}` and `{{hidden_key:x}}` vanish. A comma is written `\\,`.
    Macros may stand inside the argument of another; an unknown macro stays as it is.
    """
    scope = _Scope(char, user, original, pick_key, rng)
    stack = [_Frame()]
    for token in _BRACES.split(text):
        if token == "{{":
            stack.append(_Frame())
        elif token == "}}" and len(stack) > 1:
            closed = stack.pop()
            stack[-1].parts.append(_evaluate(closed, scope))
        elif len(stack) > 1 and not stack[-1].parts and not stack[-1].head:
            stack[-1].head = token
        else:
            stack[-1].parts.append(scope.angles(token))
    opened = ["{{" + scope.angles(frame.head) + "".join(frame.parts) for frame in stack[1:]]
    return "".join(stack[0].parts) + "".join(opened)


def _evaluate(frame: _Frame, scope: _Scope) -> str:
    head = frame.head.lstrip()
    if head.startswith("//"):
        return ""
    name, colon, literal = head.partition(":")
    name = name.strip().lower()
    if not colon and not frame.parts:
        plain = {"char": scope.char, "bot": scope.char, "user": scope.user, "original": scope.original}
        if name in plain:
            return plain[name]
    argument = scope.angles(literal) + "".join(frame.parts)
    result = _WITH_ARGUMENT[name](argument, scope) if colon and name in _WITH_ARGUMENT else None
    return "{{" + scope.angles(frame.head) + "".join(frame.parts) + "}}" if result is None else result


def _choices(argument: str) -> list[str]:
    """`a,b` with `\\,` for a comma, or SillyTavern's `:a::b` (after its first colon)."""
    if argument.startswith(":"):
        return [choice.strip() for choice in argument[1:].split("::")]
    return [choice.replace("\\,", ",").strip() for choice in _COMMA.split(argument)]


def _pick(argument: str, scope: _Scope) -> str:
    choices = _choices(argument)
    digest = hashlib.sha256(f"{scope.pick_key}\0{argument}".encode("utf-8", "replace")).digest()
    return choices[int.from_bytes(digest[:8], "big") % len(choices)]


def _roll(argument: str, scope: _Scope) -> str | None:
    dice = _DICE.fullmatch(argument.strip())
    if not dice or not int(dice[2]):
        return None
    count, sides = int(dice[1] or 1), int(dice[2])
    return str(sum(scope.rng.randint(1, sides) for _ in range(count)))


def _nothing(argument: str, scope: _Scope) -> str:
    return ""


_WITH_ARGUMENT: dict[str, Callable[[str, _Scope], str | None]] = {
    "random": lambda argument, scope: scope.rng.choice(_choices(argument)),
    "pick": _pick,
    "roll": _roll,
    "reverse": lambda argument, scope: argument[::-1],
    "comment": _nothing,
    "hidden_key": _nothing,
}
