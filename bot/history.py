"""What was said before: the chain of replies in a guild, the last messages in a direct conversation."""

import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from bot.notices import spoken
from persona.conversation import Message

CHAIN_MESSAGES = 50
"""How far a chain or a direct conversation is followed back; the server cuts it to the model's context."""


@dataclass(frozen=True, slots=True)
class Line:
    """A Discord message as the character may hear it."""

    id: int
    author: int
    name: str
    text: str
    mine: bool = False
    """Said by the bot."""
    parent: int | None = None
    """The message that this one replies to, in the same channel."""
    withheld: bool = False
    """Discord did not show its text, because it neither mentions the bot nor is a direct message."""


@dataclass(frozen=True, slots=True)
class History:
    """Lines in order, the question last; `gap` says that some between them are missing."""

    lines: tuple[Line, ...]
    gap: bool = False


class Seen:
    """The last `size` lines that the bot received or said, in memory only: they are never written to disk."""

    def __init__(self, size: int = 2000) -> None:
        self._size = size
        self._lines: OrderedDict[int, Line] = OrderedDict()

    def keep(self, line: Line) -> Line:
        """Remember a line and return what is known of it: a text received once is not lost to an empty copy."""
        known = self._lines.get(line.id)
        if known is None or not line.withheld:
            self._lines[line.id] = known = line
        self._lines.move_to_end(line.id)
        while len(self._lines) > self._size:
            self._lines.popitem(last=False)
        return known

    def get(self, id: int) -> Line | None:
        """The line with this message id, if it is still known."""
        return self._lines.get(id)

    def forget(self, id: int) -> None:
        """A deleted message is forgotten."""
        self._lines.pop(id, None)


async def chain(question: Line, fetch: Callable[[int], Awaitable[Line | None]], *, since: int) -> History:
    """Follow the replies back from `question` to a message that replies to none, or to a reset (`since`, an id).

    `fetch` gives None for a message that is gone: there the chain ends, with a gap.
    """
    lines, gap = [question], False
    while (parent := lines[-1].parent) is not None and parent > since:
        line = await fetch(parent) if len(lines) < CHAIN_MESSAGES else None
        if line is None:
            gap = True
            break
        lines.append(line)
    return History(tuple(reversed(lines)), gap or any(line.withheld for line in lines))


def direct(question: Line, lines: Iterable[Line], *, since: int) -> History:
    """The last messages of a direct conversation, each answer put behind the question that it answers.

    While the bot was still answering one message, the next ones may have come: by time alone the answers would stand
    behind questions that they do not know.
    """
    known = {line.id: line for line in lines if line.id > since} | {question.id: question}

    def place(line: Line) -> tuple[int, bool, int]:
        root = line
        while root.mine and root.parent in known and root.parent != root.id:
            root = known[root.parent]
        return root.id, line.mine, line.id

    ordered = sorted(known.values(), key=place)
    return History(tuple(line for line in ordered if place(line) <= place(question)))


def to_messages(lines: Sequence[Line], *, character: str) -> tuple[Message, ...]:
    """The lines as messages for the server; withheld lines and the bot's notices are left out.

    Two people with one display name, or one who took the character's, get a number.
    """
    names: dict[int, str] = {}
    messages = []
    for line in lines:
        text = spoken(line.text) if line.mine else line.text
        if line.withheld or not text:
            continue
        if line.mine:
            messages.append(Message("assistant", text))
            continue
        if line.author not in names:
            taken = {character, *names.values()}
            free = (line.name if n == 1 else f"{line.name} {n}" for n in range(1, len(lines) + 3))
            names[line.author] = next(name for name in free if name not in taken)
        messages.append(Message("user", text, names[line.author]))
    return tuple(messages)


def seed_of(channel: int, since: int) -> int:
    """One seed for the random macros of everything said in a channel between two resets; the same after a restart."""
    return int.from_bytes(hashlib.sha256(f"{channel}:{since}".encode()).digest()[:4], "big")
