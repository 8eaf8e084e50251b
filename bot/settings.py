"""What `python -m bot` was told: flags and environment become one value; the token is read and never shown."""

import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from persona.errors import PersonaError
from persona.paths import find_character, slugify

TOKEN_VARIABLE = "DISCORD_TOKEN"
SERVER_TOKEN_VARIABLE = "PERSONA_SERVER_TOKEN"


@dataclass(frozen=True, slots=True)
class BotSettings:
    """`name` is as typed; `slug` names the run and the model on the server; `endpoint` None starts an own server.

    `server_token` is what the named server asks for, "" where it asks for nothing, or a fresh one for the own server.
    """

    name: str
    slug: str
    token: str = field(repr=False)
    database: Path
    endpoint: str | None = None
    server_token: str = field(default="", repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown."""
        return tuple(secret for secret in (self.token, self.server_token) if secret)

    @property
    def lock(self) -> Path:
        """The file that keeps a second bot out of this run."""
        return self.database.with_name("bot.lock")


def resolve(
    name: str,
    *,
    endpoint: str | None = None,
    token_file: str | None = None,
    environment: Mapping[str, str] = os.environ,
    working_folder: Path | None = None,
) -> BotSettings:
    """Settle everything before anything is started. Raises `PersonaError` saying what is missing.

    With an `endpoint` the character may be known to the server only.
    """
    here = working_folder or Path.cwd()
    slug = model_name(name, here) if endpoint else find_character(name, here).slug
    return BotSettings(
        name=name,
        slug=slug,
        token=read_token(token_file, environment),
        database=here / "runs" / slug / "bot.sqlite3",
        endpoint=base_url(endpoint) if endpoint else None,
        server_token=server_token(environment) if endpoint else secrets.token_urlsafe(32),
    )


def model_name(name: str, working_folder: Path | None = None) -> str:
    """What a server calls the character that was typed as a name or a path, be it known here or there only."""
    try:
        return find_character(name, working_folder).slug
    except PersonaError:
        return slugify(name)


def read_token(token_file: str | None, environment: Mapping[str, str] = os.environ) -> str:
    """The bot's token from a file that only its owner can read, else from `DISCORD_TOKEN`."""
    if token_file:
        path = Path(token_file).expanduser()
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
            token = path.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise PersonaError(
                "The token file cannot be read.", where=str(path), fix="a text file with the token alone"
            ) from error
        if os.name == "posix" and mode & 0o077:
            raise PersonaError(
                f"Others can read the token file (mode {mode:04o}).", where=str(path), fix=f"chmod 600 {path}"
            )
        where = str(path)
    else:
        token, where = environment.get(TOKEN_VARIABLE, "").strip(), TOKEN_VARIABLE
    if not token:
        raise PersonaError(
            "There is no Discord token.",
            where=where,
            fix=f"create a bot at https://discord.com/developers/applications, then: export {TOKEN_VARIABLE}=...",
        )
    if not token.isascii() or not token.isprintable() or " " in token:
        raise PersonaError(
            "The Discord token has characters that no token has.",
            where=where,
            fix="copy the token alone, without 'Bot '",
        )
    return token


def server_token(environment: Mapping[str, str] = os.environ) -> str:
    """The token that a server named with `--endpoint` asks for; "" when none is given."""
    return environment.get(SERVER_TOKEN_VARIABLE, "")


def base_url(endpoint: str) -> str:
    """The server's address without a trailing `/v1`, which people copy along from other clients."""
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise PersonaError(f"{endpoint!r} is not the address of a server.", fix="--endpoint http://127.0.0.1:8000")
    return endpoint.rstrip("/").removesuffix("/v1").rstrip("/")
