"""What the bot says for itself, never in the character's voice, marked so that it is not taken for a reply later.

Every notice is a line in Discord's small print (`-# `). A reply never has such a line (`bot.render` escapes it), so
the history that Discord keeps tells both apart, after a restart too.
"""

from collections import OrderedDict
from collections.abc import Hashable

MARK = "-# "
EMPTY = "(I have no answer to that. Ask me again, or in other words.)"
BUSY_CHANNEL = "I am still answering here. Please wait a moment, then ask again."
WITHHELD = (
    "I cannot see the text of your message: Discord shows me only messages that mention me, "
    "and replies to me with the mention left on. /who says more."
)
GAP = "(Some earlier messages were not shown to me; /who says why.)"
TRUNCATED = "(Our talk is longer than I can hold: its oldest messages are out of my reach.)"
CUT_LENGTH = "(This is as long as an answer may be; /settings max_new_tokens changes it.)"
CUT_ENDLESS = "(cut: the answer did not end)"
NO_HISTORY = 'I need the permission "Read Message History" in this channel to answer here.'
FAILED = "Something went wrong on my side. My operator finds the reason in my log."
RESTARTING = "cut short: I am being restarted. Ask me again in a minute."
RESET = "stopped: /reset"
DELETED = "stopped: the message was deleted"
DISCONNECTED = "stopped: the connection to Discord was lost"
NO_TURN = {"full": BUSY_CHANNEL, "closed": RESTARTING}
"""In-channel words for each refusal of `bot.turns.Turns.submit`."""
ENGINE = {
    "unreachable": "My model server cannot be reached. Please try again in a minute.",
    "failed": "My model server failed at this answer. Please try again in a minute.",
    "timeout": "My model server took too long. Please try again in a minute.",
    "busy": "My model server has too much to do. Please try again in a moment.",
    "missing": "My model server does not know this character. Its operator has to look.",
    "refused": "My model server does not let me in. Its operator has to look.",
    "rejected": "My model server cannot take this conversation. /reset starts a new one.",
}
"""In-channel words for each kind of `bot.endpoint.EndpointError`."""


def small(notice: str) -> str:
    """The notice as a line of small print."""
    return MARK + " ".join(notice.split())


def spoken(text: str) -> str:
    """What the character said in a message of the bot: the text without notices."""
    lines = (line for line in text.split("\n") if not line.startswith(MARK))
    return "\n".join(lines).replace("\\" + MARK, MARK).strip()


class Seldom:
    """Says whether something may be said again: at most once per `seconds` for a key, with a bounded memory."""

    def __init__(self, seconds: float, *, keys: int = 1000) -> None:
        self._seconds = seconds
        self._keys = keys
        self._last: OrderedDict[Hashable, float] = OrderedDict()

    def ready(self, key: Hashable, now: float) -> bool:
        """Whether `seconds` have passed since this last said yes for `key`; `now` is a clock reading in seconds."""
        last = self._last.get(key)
        if last is not None and now - last < self._seconds:
            return False
        self._last[key] = now
        self._last.move_to_end(key)
        while len(self._last) > self._keys:
            self._last.popitem(last=False)
        return True
