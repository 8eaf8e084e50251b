"""The Discord client: events go in, answers are put in line. It keeps nothing that a new client would miss."""

import logging
import time
from typing import Any

import discord
from discord import app_commands

from bot import commands, notices
from bot.answer import NO_MENTIONS, Room, answer, notice
from bot.attention import decide
from bot.incoming import event_of, line_of
from bot.permissions import intents, invite_link, missing

_WARN_SECONDS = 600.0
_LONGEST_LIMIT_SECONDS = 30.0
"""discord.py else sleeps as long as Discord says, an hour if need be."""
_log = logging.getLogger(__name__)


class PersonaClient(discord.Client):
    """One connection to Discord for one character."""

    def __init__(self, room: Room) -> None:
        super().__init__(
            intents=intents(),
            allowed_mentions=NO_MENTIONS,
            max_messages=None,
            max_ratelimit_timeout=_LONGEST_LIMIT_SECONDS,
        )
        self.room = room
        self.tree = app_commands.CommandTree(self)
        self._warned = notices.Seldom(_WARN_SECONDS)
        commands.add_commands(self.tree, room)

    @property
    def me(self) -> int:
        """The bot's own user id; 0 before it is logged in."""
        return self.user.id if self.user else 0

    async def setup_hook(self) -> None:
        """Called by discord.py after the login, before the connection."""
        await commands.sync(self.tree, self.room)

    async def on_ready(self) -> None:
        """Called after each new session, so more than once."""
        if self._warned.ready("invite", time.monotonic()) and self.application_id:
            print(
                f"{self.room.character.name} is on Discord as {self.user}. To add the bot to a server, open:",
                flush=True,
            )
            print(f"  {invite_link(self.application_id)}", flush=True)

    async def on_message(self, message: discord.Message) -> None:
        """Put an answer in line, or say why there is none."""
        event = event_of(message, self.me)
        if event.mentions_me and not event.from_me:
            self.room.seen.keep(line_of(message, self.me, self.room.character.name))
        if decide(event) is None or not await self._can_answer(message):
            return
        refusal = self.room.turns.submit(message.channel.id, message.id, lambda: answer(message, self.room, self.me))
        if refusal is not None:
            await notice(message, self.room, notices.NO_TURN[refusal])

    async def on_raw_message_edit(self, payload: discord.RawMessageUpdateEvent) -> None:
        """A known line follows its message, as far as Discord shows the new text."""
        known = self.room.seen.get(payload.message_id)
        if known is not None and not known.mine and payload.data.get("content"):
            self.room.seen.keep(line_of(payload.message, self.me, self.room.character.name))

    async def on_raw_message_delete(self, payload: discord.RawMessageDeleteEvent) -> None:
        """Nobody waits for the answer to a deleted message."""
        self.room.seen.forget(payload.message_id)
        self.room.turns.drop(payload.message_id, notices.DELETED)

    async def on_raw_bulk_message_delete(self, payload: discord.RawBulkMessageDeleteEvent) -> None:
        """The same for many."""
        for id in payload.message_ids:
            self.room.seen.forget(id)
            self.room.turns.drop(id, notices.DELETED)

    async def on_error(self, event_method: str, /, *args: Any, **kwargs: Any) -> None:
        """An exception in a handler is logged, without the event that caused it: that may hold a message."""
        _log.exception("Handling %s failed.", event_method)

    async def _can_answer(self, message: discord.Message) -> bool:
        """Whether all permissions are there; if not, one sentence says so where it can be read."""
        if message.guild is None:
            return True
        lacking = missing(message.channel)
        if not lacking:
            return True
        if self._warned.ready((message.channel.id, lacking), time.monotonic()):
            _log.warning(
                "Missing permission in #%s of %s: %s. Give it to the bot's role, or invite it again: %s",
                message.channel,
                message.guild.name,
                ", ".join(lacking),
                invite_link(self.application_id or 0),
            )
        if lacking == ("Read Message History",):
            await notice(message, self.room, notices.NO_HISTORY)
        return False
