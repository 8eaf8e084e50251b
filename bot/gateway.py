"""Staying connected: discord.py's client ends on a failed first connection and on an event it cannot read."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

import discord

from persona.errors import PersonaError

_LONGEST_PAUSE_SECONDS = 300.0
_GOOD_CONNECTION_SECONDS = 300.0
_BAD_TOKEN = 4004
_BAD_REQUEST = frozenset({4010, 4011, 4012, 4013, 4014})
_log = logging.getLogger(__name__)


async def stay_connected(
    make_client: Callable[[], discord.Client],
    token: str,
    *,
    on_lost: Callable[[], None] = lambda: None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    jitter: Callable[[], float] = random.random,
) -> None:
    """Run one client after another until one ends by itself. Pauses double from two seconds to five minutes.

    `on_lost` is called before each pause. Raises `PersonaError` where trying again cannot help: Discord takes back
    tokens that are used for a thousand logins a day.
    """
    clock = asyncio.get_running_loop().time
    failures = 0
    while True:
        client, since = make_client(), clock()
        try:
            async with client:
                await client.start(token)
            return
        except discord.LoginFailure as error:
            raise _wrong_token() from error
        except discord.ConnectionClosed as error:
            _raise_permanent(error)
            problem: Exception = error
        except PersonaError:
            raise
        except Exception as error:  # AttributeError, KeyError, TypeError: see above; OSError: no network
            problem = error
        on_lost()
        failures = 1 if clock() - since > _GOOD_CONNECTION_SECONDS else failures + 1
        pause = min(2.0**failures, _LONGEST_PAUSE_SECONDS) * (0.5 + jitter() / 2)
        _log.warning(
            "No connection to Discord (%s: %s); the next try is in %.0f s.", type(problem).__name__, problem, pause
        )
        _log.debug("The reason in full:", exc_info=problem)
        await sleep(pause)


def _raise_permanent(error: discord.ConnectionClosed) -> None:
    if error.code == _BAD_TOKEN:
        raise _wrong_token() from error
    if error.code in _BAD_REQUEST:
        what = f"Discord does not accept this program's connection (code {error.code})."
        raise PersonaError(what, fix="update the program") from error


def _wrong_token() -> PersonaError:
    return PersonaError(
        "Discord does not accept the bot's token.",
        fix="copy it anew: https://discord.com/developers/applications, your application, Bot, Reset Token",
    )
