"""The slash commands: /settings, /reset, /who. Each is deferred at once and answered to the asking person alone."""

import hashlib
import json
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import discord
from discord import app_commands
from discord.app_commands import Range

from bot import notices
from bot.answer import NO_MENTIONS, Room
from bot.history import CHAIN_MESSAGES
from bot.incoming import REST_ERRORS
from persona.errors import PersonaError
from persona.generation import GenerationSettings

Callback = Callable[..., Coroutine[Any, Any, None]]
SETTINGS = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "max_new_tokens", "seed")
_LARGEST_INTEGER = 2**53 - 1
"""Discord's integers are JavaScript's."""
NOT_ALLOWED = (
    'Only people with the permission "Manage Channels" can change the settings here; /settings alone shows them to all.'
)
_log = logging.getLogger(__name__)


_RANGES = GenerationSettings.ranges()
_LOW = {name: low for name, (low, _) in _RANGES.items()}
_HIGH = {name: high for name, (_, high) in _RANGES.items()}
_HIGH["seed"] = min(_HIGH["seed"], _LARGEST_INTEGER)


def add_commands(tree: app_commands.CommandTree[Any], room: Room) -> None:
    """Register the commands for guilds and direct messages."""
    for callback, description in (
        (_settings(room), "How the character's answers in this channel are chosen; alone it shows what is set"),
        (_reset(room), "Forget what was said in this channel"),
        (_who(room), "Who this is, what it remembers, and what it cannot see"),
    ):
        command: app_commands.Command[Any, ..., None] = app_commands.Command(
            name=callback.__name__,
            description=description,
            callback=callback,
            allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=True, private_channel=False),
            allowed_installs=app_commands.AppInstallationType(guild=True, user=False),
        )
        tree.add_command(command)
    tree.error(_failed)


def _settings(room: Room) -> Callback:
    @app_commands.describe(
        temperature="0 always takes the likeliest word; higher is more varied",
        top_p="Choose among the likeliest words that make up this share",
        top_k="Choose among this many likeliest words; 0 is no limit",
        min_p="Leave out words less likely than this share of the likeliest",
        repetition_penalty="Above 1 avoids words that were used already",
        max_new_tokens="The longest answer, in tokens",
        seed="The same seed and the same talk give the same answer",
        clear="Take back all changes made in this channel",
    )
    async def settings(
        interaction: discord.Interaction,
        temperature: Range[float, float(_LOW["temperature"]), float(_HIGH["temperature"])] | None = None,
        top_p: Range[float, float(_LOW["top_p"]), float(_HIGH["top_p"])] | None = None,
        top_k: Range[int, int(_LOW["top_k"]), int(_HIGH["top_k"])] | None = None,
        min_p: Range[float, float(_LOW["min_p"]), float(_HIGH["min_p"])] | None = None,
        repetition_penalty: Range[float, float(_LOW["repetition_penalty"]), float(_HIGH["repetition_penalty"])]
        | None = None,
        max_new_tokens: Range[int, int(_LOW["max_new_tokens"]), int(_HIGH["max_new_tokens"])] | None = None,
        seed: Range[int, int(_LOW["seed"]), int(_HIGH["seed"])] | None = None,
        clear: bool = False,
    ) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        values = (temperature, top_p, top_k, min_p, repetition_penalty, max_new_tokens, seed)
        changes = {name: value for name, value in zip(SETTINGS, values, strict=True) if value is not None}
        if (changes or clear) and not _may_change(interaction):
            await _say(interaction, NOT_ALLOWED)
            return
        await _say(interaction, change_settings(room, _channel(interaction), changes, clear=clear))

    return settings


def _reset(room: Room) -> Callback:
    async def reset(interaction: discord.Interaction) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        channel = _channel(interaction)
        room.store.set_reset(channel, interaction.id)
        room.turns.clear(channel, notices.RESET)
        await _say(interaction, f"{room.character.name} has forgotten everything said in this channel until now.")

    return reset


def _who(room: Room) -> Callback:
    async def who(interaction: discord.Interaction) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        await _say(interaction, describe(room))

    return who


def change_settings(room: Room, channel: int, changes: Mapping[str, int | float], *, clear: bool) -> str:
    """Clear and change a channel's settings, and return the text that shows what holds now and why."""
    held = dict(room.store.channel(channel).settings)
    if clear or changes:
        held = ({} if clear else held) | dict(changes)
        room.store.set_settings(channel, held)
    own, usual = room.character.settings, GenerationSettings()
    lines = ["Changed." if changes else "Cleared."] if clear or changes else []
    for name in SETTINGS:
        value = held.get(name, own.get(name, getattr(usual, name)))
        shown = "a fresh one each time" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
        lines.append(f"`{name}` {shown} ({'set in this channel' if name in held else 'default'})")
    return "\n".join(lines)


def describe(room: Room) -> str:
    """Who the character is, that it is an AI, what it remembers and what it cannot see."""
    who = room.character
    base = f"the language model `{who.base}`" if who.base else "a language model"
    trained = "with an adapter trained on this character" if who.adapter else "without training on this character"
    place = "on the machine of this bot's operator" if room.own_server else "on a server that this bot's operator chose"
    return "\n".join(
        [
            f"**{who.name}** is a fictional character, played by an AI: {base}, {trained}, {place}.",
            f"**What it remembers**: in a server, the chain of replies above your message; in direct messages, our last "
            f"{CHAIN_MESSAGES} messages; nothing from before the last /reset. What does not fit into the model is left out, "
            "and a note says so.",
            "**What it cannot see**: Discord shows this bot only direct messages, messages that mention it, and replies to it "
            "with the mention left on. Other messages of a chain reach it without their text.",
            "**What is stored**: /settings and the moment of the last /reset for each channel. No message and no name is stored, "
            "and nothing is used for training.",
        ]
    )


async def sync(tree: app_commands.CommandTree[Any], room: Room) -> None:
    """Tell Discord about the commands, only if they are others than the last time: the number of times is limited."""
    payload = json.dumps([command.to_dict(tree) for command in tree.get_commands()], sort_keys=True)
    digest = hashlib.sha256(payload.encode()).hexdigest()
    name = f"commands of {tree.client.application_id}"
    if room.store.fact(name) == digest:
        return
    try:
        await tree.sync()
    except REST_ERRORS as error:
        _log.warning("The slash commands could not be registered, they are as before: %s", error)
    else:
        room.store.set_fact(name, digest)


def _may_change(interaction: discord.Interaction) -> bool:
    """Whether this person may change how the character answers everybody in the channel."""
    return interaction.guild_id is None or interaction.permissions.manage_channels


def _channel(interaction: discord.Interaction) -> int:
    assert interaction.channel_id is not None, "the commands are allowed in channels only"
    return interaction.channel_id


async def _say(interaction: discord.Interaction, text: str) -> None:
    await interaction.edit_original_response(content=text, allowed_mentions=NO_MENTIONS)


async def _failed(interaction: discord.Interaction, error: app_commands.AppCommandError) -> None:
    cause = error.__cause__ or error
    _log.error("A command failed: %s", cause, exc_info=None if isinstance(cause, PersonaError) else cause)
    text = (
        str(cause)
        if isinstance(cause, PersonaError)
        else "That did not work. The bot's operator finds the reason in its log."
    )
    try:
        await _say(interaction, text)
    except REST_ERRORS as problem:
        _log.warning("The error could not be shown: %s", problem)
