"""From discord.py's messages to the values that the pure parts work with."""

import asyncio
import logging
from dataclasses import replace

import aiohttp
import discord

from bot.attention import Event
from bot.history import CHAIN_MESSAGES, History, Line, Seen, chain, direct
from bot.names import clean_name, readable

REST_SECONDS = 30.0
"""discord.py itself waits for up to five minutes."""
REST_ERRORS = (discord.DiscordException, aiohttp.ClientError, TimeoutError, OSError, RuntimeError)
"""How a call to Discord fails. aiohttp's errors pass through discord.py: a kept connection that Discord closed is a
`ServerDisconnectedError`, which is no `OSError`; a closed session is a `RuntimeError`."""
_ORDINARY = (discord.MessageType.default, discord.MessageType.reply)
_log = logging.getLogger(__name__)


def event_of(message: discord.Message, me: int) -> Event:
    """The facts by which `bot.attention` decides; `me` is the bot's own id."""
    replied = message.reference.resolved if message.reference else None
    return Event(
        from_me=message.author.id == me,
        from_bot=message.author.bot,
        from_webhook=message.webhook_id is not None,
        ordinary=message.type in _ORDINARY,
        direct=message.guild is None,
        mentions_me=any(user.id == me for user in message.mentions),
        replies_to_me=isinstance(replied, discord.Message)
        and replied.author.id == me
        and message.type is discord.MessageType.reply,
    )


def line_of(message: discord.Message, me: int, character: str) -> Line:
    """The message as the character hears it: names instead of numbers, and a word for what is not text."""
    mine = message.author.id == me
    parent = message.reference.message_id if message.reference and message.type is discord.MessageType.reply else None
    extras = [f"(sends a file: {clean_name(file.filename, 'file')})" for file in message.attachments]
    extras += [f"(sends a sticker: {clean_name(sticker.name, 'sticker')})" for sticker in message.stickers]
    text = message.content if mine else _text(message, me, character)
    return Line(
        id=message.id,
        author=message.author.id,
        name=clean_name(message.author.display_name),
        text="\n".join([text, *extras] if text else extras) or "(says nothing)",
        mine=mine,
        parent=parent,
        withheld=not (message.content or extras or mine or message.guild is None),
    )


def _text(message: discord.Message, me: int, character: str) -> str:
    return readable(
        message.content,
        me=me,
        character=character,
        users={user.id: clean_name(user.display_name) for user in message.mentions},
        roles={role.id: clean_name(role.name) for role in message.role_mentions},
        channels={channel.id: clean_name(channel.name) for channel in message.channel_mentions},
    )


async def history_of(message: discord.Message, me: int, character: str, seen: Seen, *, since: int) -> History:
    """Everything that was said before `message` and counts for its answer; messages up to the id `since` do not."""
    question = seen.keep(line_of(message, me, character))
    if message.guild is None:
        recent = await _recent(message.channel, me, character, since=since)
        history = direct(question, recent or [], since=since)
        return replace(history, gap=recent is None)
    if message.reference and isinstance(message.reference.resolved, discord.Message):
        seen.keep(line_of(message.reference.resolved, me, character))
    older: dict[int, Line] | None = None

    async def fetch(id: int) -> Line | None:
        nonlocal older
        if known := seen.get(id):
            return known
        if older is None:  # one request brings what most chains need after a restart
            recent = await _recent(message.channel, me, character, since=since, before=message)
            older = {line.id: line for line in recent or []}
        found = older.get(id) or await _single(message.channel, id, me, character)
        return found and seen.keep(found)

    return await chain(question, fetch, since=since)


async def _recent(
    channel: discord.abc.Messageable, me: int, character: str, *, since: int, before: discord.Message | None = None
) -> list[Line] | None:
    try:
        async with asyncio.timeout(REST_SECONDS):
            found = [m async for m in channel.history(limit=CHAIN_MESSAGES, before=before) if m.id > since]
    except REST_ERRORS as error:
        _log.warning("The channel's history could not be read: %s", error)
        return None
    return [line_of(m, me, character) for m in found if m.type in _ORDINARY]


async def _single(channel: discord.abc.Messageable, id: int, me: int, character: str) -> Line | None:
    try:
        async with asyncio.timeout(REST_SECONDS):
            return line_of(await channel.fetch_message(id), me, character)
    except discord.NotFound:
        return None
    except REST_ERRORS as error:
        _log.warning("A message could not be read: %s", error)
        return None
