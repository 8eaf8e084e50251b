"""What strangers write, made harmless before it reaches a prompt: display names and Discord's markup."""

import unicodedata
from collections.abc import Mapping

import regex

NAME_CHARACTERS = 32
_MARKUP = regex.compile(
    r"<@!?(?P<user>\d+)>|<@&(?P<role>\d+)>|<#(?P<channel>\d+)>|<a?:(?P<emoji>\w+):\d+>|</(?P<command>[^:<>]+):\d+>"
)


def clean_name(name: str, fallback: str = "User") -> str:
    """A display name on one line, without controls, direction marks, colons and stacked accents; 32 characters.

    A colon would end a name in a script (`Name: text`), and an invisible character would make two names look the same.
    """
    text = unicodedata.normalize("NFKC", name)
    text = regex.sub(r"[\s:]+", " ", text)
    text = regex.sub(r"\p{C}+", "", text)
    text = regex.sub(r"(\p{M}{2})\p{M}+", r"\1", text)
    return " ".join(text.split())[:NAME_CHARACTERS].strip() or fallback


def readable(
    text: str,
    *,
    me: int,
    character: str,
    users: Mapping[int, str],
    roles: Mapping[int, str],
    channels: Mapping[int, str],
) -> str:
    """A message as a person reads it: `<@1>` becomes `@Tom`, `<:wave:2>` becomes `:wave:`.

    A mention of the bot itself (`me`) at either end only calls it and goes away; inside a sentence it is the
    character's name.
    """
    own = rf"<@!?{me}>"
    text = regex.sub(rf"^(?:\s*{own}[\s,:;]*)+", "", text)
    text = regex.sub(rf"(?:\s*{own})+\s*$", "", text)

    def spoken(match: "regex.Match[str]") -> str:
        if user := match["user"]:
            return character if int(user) == me else "@" + users.get(int(user), "someone")
        if role := match["role"]:
            return "@" + roles.get(int(role), "a role")
        if channel := match["channel"]:
            return "#" + channels.get(int(channel), "a channel")
        return f":{match['emoji']}:" if match["emoji"] else f"/{match['command']}"

    return _MARKUP.sub(spoken, text).strip()
