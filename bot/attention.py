"""When the bot answers: a pure rule over the facts of one message, without Discord."""

from dataclasses import dataclass
from typing import Literal

Reason = Literal["direct", "mention", "reply"]


@dataclass(frozen=True, slots=True)
class Event:
    """What has to be known of a message that somebody sent where the bot can see it."""

    from_me: bool = False
    from_bot: bool = False
    from_webhook: bool = False
    ordinary: bool = True
    """A text or a reply, not a notice of Discord's own such as "Tom pinned a message"."""
    direct: bool = False
    mentions_me: bool = False
    replies_to_me: bool = False


def decide(event: Event) -> Reason | None:
    """Why this message gets an answer, or None.

    Programs never get one: two bots that answer each other do not stop.
    """
    if event.from_me or event.from_bot or event.from_webhook or not event.ordinary:
        return None
    if event.direct:
        return "direct"
    if event.mentions_me:
        return "mention"
    return "reply" if event.replies_to_me else None
