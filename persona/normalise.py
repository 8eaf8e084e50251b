"""The rules that every conversation passes before a chat template sees it, in training and in serving alike.

Each is a small function that can be read, tested and switched off by itself.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from persona.conversation import Message
from persona.template import ChatTemplate

_SURROGATE = re.compile("[\ud800-\udfff]")

BEGIN = "(begins)"
"""The user turn before a greeting, where the template wants one."""


@dataclass
class Notes:
    """Collects what was altered while a prompt is made."""

    template: ChatTemplate
    warnings: list[str] = field(default_factory=list)

    def warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)


Rule = Callable[[list[Message], Notes, Sequence[str]], list[Message]]


def texts(messages: Sequence[Message], notes: Notes) -> list[Message]:
    """The rules about what is written in a message: applied before anything is measured or searched."""
    return _apply(TEXT_RULES, messages, notes, ())


def turns(messages: Sequence[Message], notes: Notes, speakers: Sequence[str]) -> list[Message]:
    """The rules about the order of turns: what comes out has no names, and every chat template can render it."""
    return _apply(TURN_RULES, messages, notes, speakers)


def text(written: str, notes: Notes) -> str:
    """A card's or a lore entry's text under the same rules as a message's."""
    return texts([Message("system", written)], notes)[0].content


def _apply(rules: Sequence[Rule], messages: Sequence[Message], notes: Notes, speakers: Sequence[str]) -> list[Message]:
    normal = list(messages)
    for rule in rules:
        normal = rule(normal, notes, speakers)
    return normal


def clean(messages: list[Message], notes: Notes, speakers: Sequence[str]) -> list[Message]:
    """Text is stripped and NFC: templates trim, and two spellings of one letter are two different tokens."""
    return [Message(m.role, _tidy(m.content), _tidy(m.name) if m.name else None) for m in messages]


def defuse(messages: list[Message], notes: Notes, speakers: Sequence[str]) -> list[Message]:
    """Special tokens inside content are broken up: nothing that a card or a user writes becomes a role switch."""
    return [Message(m.role, _defused(m.content, notes), _defused(m.name, notes) if m.name else None) for m in messages]


def name_speakers(messages: list[Message], notes: Notes, speakers: Sequence[str]) -> list[Message]:
    """User text begins with the speaker's name where there is more than one; templates render no names themselves."""
    several = len(speakers) > 1
    return [
        Message(m.role, f"{m.name}: {m.content}" if several and m.role == "user" and m.name else m.content)
        for m in messages
    ]


def place_later_system(messages: list[Message], notes: Notes, speakers: Sequence[str]) -> list[Message]:
    """A system message in mid-conversation goes into the next user turn where the template has no place for it."""
    if notes.template.accepts_later_system:
        return messages
    opening = next((i for i, m in enumerate(messages) if m.role != "system"), len(messages))
    return messages[:opening] + _fold_system(messages[opening:])


def join_neighbours(messages: list[Message], notes: Notes, speakers: Sequence[str]) -> list[Message]:
    """Neighbouring turns of one role become one, because some templates refuse them."""
    joined: list[Message] = []
    for message in messages:
        if joined and joined[-1].role == message.role:
            joined[-1] = Message(message.role, f"{joined[-1].content}\n{message.content}".strip())
        else:
            joined.append(message)
    return joined


def begin_with_user(messages: list[Message], notes: Notes, speakers: Sequence[str]) -> list[Message]:
    """A greeting, spoken or still to come, gets a user turn before it where the template wants one."""
    opening = next((i for i, m in enumerate(messages) if m.role != "system"), len(messages))
    speaks_first = opening == len(messages) or messages[opening].role == "assistant"
    if not speaks_first or notes.template.accepts_greeting:
        return messages
    return [*messages[:opening], Message("user", BEGIN), *messages[opening:]]


def fold_first_system(messages: list[Message], notes: Notes, speakers: Sequence[str]) -> list[Message]:
    """The system message goes into the first user turn where the template has no such role."""
    return messages if notes.template.accepts_system else _fold_system(messages)


TEXT_RULES: tuple[Rule, ...] = (clean, defuse)
"""Applied before anything is measured: a special token that is broken up has more tokens than before."""

TURN_RULES: tuple[Rule, ...] = (name_speakers, place_later_system, join_neighbours, begin_with_user, fold_first_system)
"""Applied to the finished list of turns."""


def _fold_system(messages: Sequence[Message]) -> list[Message]:
    """System messages become the first paragraphs of the user turn behind them, or one of their own at the end."""
    folded: list[Message] = []
    waiting: list[str] = []
    for message in messages:
        if message.role == "system":
            waiting.append(message.content)
        elif message.role == "user" and waiting:
            folded.append(Message("user", "\n\n".join([*waiting, message.content]).strip()))
            waiting = []
        else:
            folded.append(message)
    return folded + ([Message("user", "\n\n".join(waiting))] if waiting else [])


def _tidy(text: str) -> str:
    # Half of a character, as broken clients send it, has no UTF-8 and no token.
    plain = _SURROGATE.sub("\ufffd", text).replace("\r\n", "\n").replace("\r", "\n")
    return unicodedata.normalize("NFC", plain).strip()


def _defused(text: str, notes: Notes) -> str:
    safe, found = notes.template.defuse(text)
    for mark in found:
        notes.warn(f"the special token {mark!r} in a text was broken up")
    return safe
