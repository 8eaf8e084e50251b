"""The permissions that the bot uses, and no others: asked for in its invite link, looked up before each answer."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import discord

NEEDED = {
    "view_channel": "View Channels",
    "send_messages": "Send Messages",
    "send_messages_in_threads": "Send Messages in Threads",
    "read_message_history": "Read Message History",
}
"""discord.py's name -> the name in Discord's settings."""
SCOPES = ("bot", "applications.commands")


def intents() -> "discord.Intents":
    """What Discord is asked to report. None is privileged: Discord then shows only messages that concern the bot."""
    import discord

    wanted = discord.Intents.none()
    wanted.guilds = wanted.guild_messages = wanted.dm_messages = True
    return wanted


def invite_link(application: int) -> str:
    """The link with which somebody adds the bot to a server."""
    import discord

    return discord.utils.oauth_url(
        application, permissions=discord.Permissions(**dict.fromkeys(NEEDED, True)), scopes=SCOPES
    )


def missing(channel: Any) -> tuple[str, ...]:
    """Names, as Discord's settings show them, of the permissions that the bot lacks in a channel of a guild.

    Empty where that is not known, because discord.py does not know the channel or the thread's parent: sending will show.
    """
    import discord

    if isinstance(channel, discord.PartialMessageable):  # it would always be said to lack all of them
        return ()
    thread = isinstance(channel, discord.Thread)
    try:
        granted = channel.permissions_for(channel.guild.me)
    except discord.ClientException:
        return ()
    unused = "send_messages" if thread else "send_messages_in_threads"
    return tuple(title for name, title in NEEDED.items() if name != unused and not getattr(granted, name))
