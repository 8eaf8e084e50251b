"""What is not trained on: plain functions from a conversation to the reason why it is left out, or None."""

import re
from collections import Counter
from collections.abc import Callable, Sequence

from persona.conversation import Conversation

Filter = Callable[[Conversation], str | None]

REPLY_CHARACTERS = 4_000
CONVERSATION_CHARACTERS = 20_000
IDENTICAL_REPLIES = 5
"""A character who is trained to say one thing more often answers everything with it."""

_PLACEHOLDER = re.compile(r"\{\{|\}\}|<(?:bot|user|char)>|\[(?:insert|your|user|name)\b[^\]]*\]", re.IGNORECASE)
_TEMPLATE_TOKEN = re.compile(r"<\|[^|>\n]{1,40}\|>|\[/?INST\]|</?s>|<</?SYS>>|<(?:start|end)_of_turn>|</?think>")
_ASSISTANT = re.compile(
    r"\bas an? (?:ai|artificial intelligence|(?:large )?language)(?: language)? (?:model|assistant)\b"
    r"|\bI(?:'m| am) (?:just |only )?an? (?:ai|large|virtual)(?: language)? (?:model|assistant)\b"
    r"|\bhow (?:can|may) I assist\b|\bI (?:cannot|can't|can not) (?:assist|help) (?:you )?with that\b"
    r"|\bmy (?:training data|knowledge cutoff)\b|\bOpenAI\b",
    re.IGNORECASE,
)


def normalised(text: str) -> str:
    """Letters and digits alone, in one case: two texts that differ in nothing else are the same."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def no_reply(row: Conversation) -> str | None:
    """The character says nothing here."""
    return None if any(normalised(r) for r in row.replies) else "the character says nothing"


def empty(row: Conversation) -> str | None:
    """A turn without text."""
    return None if all(m.content.strip() for m in row.messages) else "empty message"


def too_long(row: Conversation) -> str | None:
    """Longer than anyone reads in a chat: an accident of the source."""
    longest = max((len(r) for r in row.replies), default=0)
    whole = sum(len(m.content) for m in row.messages)
    return "too long" if longest > REPLY_CHARACTERS or whole > CONVERSATION_CHARACTERS else None


def placeholder(row: Conversation) -> str | None:
    """A macro or a blank that nobody filled in."""
    return "placeholder left over" if any(_PLACEHOLDER.search(m.content) for m in row.messages) else None


def template_token(row: Conversation) -> str | None:
    """The marks of a chat template, copied along with the text."""
    return "chat template mark" if any(_TEMPLATE_TOKEN.search(m.content) for m in row.messages) else None


def assistant_speak(row: Conversation) -> str | None:
    """The phrases of a helpful assistant, which are nobody's voice."""
    return "talks like an assistant" if any(_ASSISTANT.search(r) for r in row.replies) else None


def speaks_for_the_user(row: Conversation) -> str | None:
    """A reply that goes on with the other's lines."""
    others = {m.name for m in row.messages if m.role == "user" and m.name} | {"User", "You"}
    line = re.compile(
        rf"^\W*(?:{'|'.join(re.escape(o) for o in sorted(others))})\W{{0,2}}:", re.MULTILINE | re.IGNORECASE
    )
    return "speaks for the user" if any(line.search(r) for r in row.replies) else None


def duplicates() -> Filter:
    """A filter that remembers: the second time, a conversation is left out."""
    seen: set[tuple[bool, tuple[tuple[str, str], ...]]] = set()

    def duplicate(row: Conversation) -> str | None:
        key = (row.lore, tuple((m.role, normalised(m.content)) for m in row.messages))
        if key in seen:
            return "duplicate"
        seen.add(key)
        return None

    return duplicate


def repeated_replies(limit: int = IDENTICAL_REPLIES) -> Filter:
    """A filter that counts: a row of one reply is left out when that reply has been seen `limit` times."""
    seen: Counter[str] = Counter()

    def repeated(row: Conversation) -> str | None:
        if len(row.replies) == 1 and seen[normalised(row.replies[0])] >= limit:
            return f"reply seen {limit} times"
        seen.update(normalised(r) for r in row.replies)
        return None

    return repeated


def all_filters() -> list[Filter]:
    """The filters in the order in which they are asked."""
    return [
        no_reply,
        empty,
        too_long,
        placeholder,
        template_token,
        assistant_speak,
        speaks_for_the_user,
        duplicates(),
        repeated_replies(),
    ]


def sift(rows: Sequence[Conversation]) -> tuple[list[Conversation], list[tuple[Conversation, str]]]:
    """(kept, (dropped, reason)), in order; the first filter that objects gives the reason."""
    filters = all_filters()
    kept: list[Conversation] = []
    dropped: list[tuple[Conversation, str]] = []
    for row in rows:
        reason = next((r for f in filters if (r := f(row))), None)
        if reason:
            dropped.append((row, reason))
        else:
            kept.append(row)
    return kept, dropped
