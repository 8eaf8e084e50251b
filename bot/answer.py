"""One answer from the first keystroke to the last edit: history, request, stream, and a last word if it breaks."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass, field

import discord

from bot import notices
from bot.endpoint import Character, Ending, EndpointError, Request, Voice
from bot.history import History, Line, Seen, seed_of, to_messages
from bot.incoming import REST_ERRORS, REST_SECONDS, history_of
from bot.notices import Seldom
from bot.render import clean_reply, with_notes
from bot.store import Store
from bot.stream import EDIT_EVERY_SECONDS, Gone, LiveText, Unsent
from bot.turns import Turns

LONGEST_REPLY = 16_000
"""Characters; a server that does not stop is stopped here."""
NO_MENTIONS = discord.AllowedMentions.none()
_TYPING_SECONDS = 8.0
_NOTICE_SECONDS = 10.0
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Room:
    """What outlives a connection to Discord, so that a new client can go on where the last one broke."""

    character: Character
    voice: Voice
    store: Store
    own_server: bool = True
    edit_every_seconds: float = EDIT_EVERY_SECONDS
    turns: Turns = field(default_factory=Turns)
    seen: Seen = field(default_factory=Seen)
    notices: Seldom = field(default_factory=lambda: Seldom(_NOTICE_SECONDS))
    told: Seldom = field(default_factory=lambda: Seldom(float("inf")))
    """Notes that are made once in each channel."""


class Messages:
    """The `bot.stream.Outlet` of one answer: replies that mention nobody, below the message that asked."""

    def __init__(self, question: discord.Message) -> None:
        self._question = question

    async def post(self, text: str, after: discord.Message | None) -> discord.Message:
        """Reply to the question, or to the part of the answer that this one continues."""
        target = (after or self._question).to_reference(fail_if_not_exists=False)
        with _translated():
            async with asyncio.timeout(REST_SECONDS):
                return await self._question.channel.send(
                    text, reference=target, mention_author=False, allowed_mentions=NO_MENTIONS, suppress_embeds=True
                )

    async def edit(self, message: discord.Message, text: str) -> None:
        """Replace the text."""
        with _translated():
            async with asyncio.timeout(REST_SECONDS):
                await message.edit(content=text, allowed_mentions=NO_MENTIONS)

    async def delete(self, message: discord.Message) -> None:
        """Take a part back."""
        with _translated():
            async with asyncio.timeout(REST_SECONDS):
                await message.delete()


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """discord.py's errors in the two kinds that matter to a stream."""
    try:
        yield
    except (discord.NotFound, discord.Forbidden) as error:
        raise Gone(f"A message is gone or may not be written: {error}") from error
    except REST_ERRORS as error:
        raise Unsent(f"A message was not sent: {type(error).__name__}: {error}") from error


async def answer(message: discord.Message, room: Room, me: int) -> None:
    """Answer one message that asked for it. Nothing but a cancellation is raised."""
    try:
        await _answer(message, room, me)
    except Exception:
        _log.exception("An answer failed.")
        await notice(message, room, notices.FAILED)


async def _answer(message: discord.Message, room: Room, me: int) -> None:
    state = room.store.channel(message.channel.id)
    if message.id <= state.reset:
        return
    name = room.character.name
    history = await history_of(message, me, name, room.seen, since=state.reset)
    question = history.lines[-1]
    if question.withheld:
        await notice(message, room, notices.WITHHELD)
        return
    messages = to_messages(history.lines, character=name)
    request = Request(
        model=room.character.id,
        messages=messages,
        user_name=messages[-1].name or question.name,
        seed=seed_of(message.channel.id, state.reset),
        settings=state.settings,
    )
    async with _typing(message.channel):
        await _deliver(message, room, request, history)


async def notice(message: discord.Message, room: Room, text: str) -> None:
    """Say something for the bot itself, at most every ten seconds for each channel and text."""
    if not room.notices.ready((message.channel.id, text), time.monotonic()):
        return
    try:
        await Messages(message).post(notices.small(text), None)
    except (Gone, Unsent) as error:
        _log.warning("A notice was not sent: %s", error)


async def _deliver(message: discord.Message, room: Room, request: Request, history: History) -> None:
    live = LiveText(Messages(message), every_seconds=room.edit_every_seconds)
    text = ""
    notes = _once(room, message.channel.id, notices.GAP) if history.gap else []
    try:
        async with contextlib.aclosing(_bounded(room.voice, request)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Ending):
                    notes += _notes_on(piece, room, message.channel.id)
                else:
                    text += piece
                    if shown := clean_reply(text):
                        live.show(shown)
        await live.finish(with_notes(text, notes))
    except EndpointError as error:
        _log.warning("No answer from the model server: %s", error)
        excuse = notices.ENGINE[error.kind]
        if not clean_reply(text):
            await notice(message, room, excuse)
            return
        await _last_word(live, text, [*notes, excuse])
    except asyncio.CancelledError as reason:
        why = str(reason.args[0]) if reason.args else notices.RESTARTING
        if clean_reply(text):  # a first message may be on its way
            await _last_word(live, text, [*notes, f"({why})"])
        elif why == notices.RESTARTING:
            await notice(message, room, why)
        raise
    except (Gone, Unsent) as error:
        _log.info("An answer was given up: %s", error)
    finally:
        _remember(live, room.seen, message, me_name=room.character.name)


async def _last_word(live: LiveText[discord.Message], text: str, notes: list[str]) -> None:
    try:
        await live.finish(with_notes(text, notes))
    except (Gone, Unsent) as error:
        _log.info("An answer was given up: %s", error)


async def _bounded(voice: Voice, request: Request) -> AsyncGenerator[str | Ending, None]:
    """The pieces of an answer, until it is longer than anybody would read."""
    length = 0
    async with contextlib.aclosing(voice.stream(request)) as pieces:
        async for piece in pieces:
            yield piece
            length += len(piece) if isinstance(piece, str) else 0
            if length > LONGEST_REPLY:
                yield Ending("endless")
                return


def _notes_on(ending: Ending, room: Room, channel: int) -> list[str]:
    notes = _once(room, channel, notices.TRUNCATED) if ending.truncated_turns else []
    if ending.finish == "length":
        notes.append(notices.CUT_LENGTH)
    elif ending.finish == "endless":
        notes.append(notices.CUT_ENDLESS)
    return notes


def _once(room: Room, channel: int, note: str) -> list[str]:
    return [note] if room.told.ready((channel, note), time.monotonic()) else []


def _remember(live: LiveText[discord.Message], seen: Seen, question: discord.Message, *, me_name: str) -> None:
    parent = question.id
    for sent, part in live.shown:
        seen.keep(Line(id=sent.id, author=sent.author.id, name=me_name, text=part, mine=True, parent=parent))
        parent = sent.id


@contextlib.asynccontextmanager
async def _typing(channel: discord.abc.Messageable) -> AsyncIterator[None]:
    """Show that the character writes. Not `channel.typing()`: an error in that one ends the answer."""

    async def keep_typing() -> None:
        while True:
            with contextlib.suppress(*REST_ERRORS):
                async with asyncio.timeout(REST_SECONDS):
                    await channel.typing()
            await asyncio.sleep(_TYPING_SECONDS)

    task = asyncio.create_task(keep_typing())
    try:
        yield
    finally:
        task.cancel()
