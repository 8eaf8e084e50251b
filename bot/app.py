"""The whole program, wired once: settings, model server, store, connection, and an orderly end."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator

from bot import notices
from bot.answer import Room
from bot.child import Child, server_command
from bot.client import PersonaClient
from bot.endpoint import Endpoint
from bot.gateway import stay_connected
from bot.lock import only_one
from bot.settings import BotSettings
from bot.store import Store
from bot.turns import Turns

STOP_SECONDS = 20.0
"""How long answers may take to end once the bot is told to stop."""
_log = logging.getLogger(__name__)


class RedactingFormatter(logging.Formatter):
    """Keeps secrets out of log lines and tracebacks."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        """The formatted record without the secrets."""
        text = super().format(record)
        for secret in self._secrets:
            text = text.replace(secret, "[secret]")
        return text


async def run(settings: BotSettings) -> None:
    """Run until a signal says stop, then let answers end; a second signal ends them. Raises `PersonaError`."""
    stopping, at_once = asyncio.Event(), asyncio.Event()
    _on_signals(stopping, at_once)
    turns = Turns()
    work = asyncio.create_task(_work(settings, turns))
    stop = asyncio.create_task(stopping.wait())
    await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if not work.done():
        print("Stopping.", flush=True)
        if unanswered := await turns.drain(STOP_SECONDS, notices.RESTARTING, at_once):
            _log.warning("%d messages were left without an answer.", unanswered)
        work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work


async def _work(settings: BotSettings, turns: Turns) -> None:
    with only_one(settings.lock), contextlib.closing(Store(settings.database)) as store:
        async with _server(settings) as endpoint:
            character = await endpoint.describe(settings.slug if settings.endpoint else None)
            adapter = "its adapter" if character.adapter else "no adapter"
            print(
                f"{character.name} is ready: base {character.base or 'unknown'}, {adapter}. Going to Discord.",
                flush=True,
            )
            room = Room(character, endpoint, store, own_server=settings.endpoint is None, turns=turns)
            await stay_connected(
                lambda: PersonaClient(room), settings.token, on_lost=lambda: turns.clear_all(notices.DISCONNECTED)
            )


@contextlib.asynccontextmanager
async def _server(settings: BotSettings) -> AsyncIterator[Endpoint]:
    """The server that was named, or an own one."""
    async with contextlib.AsyncExitStack() as stack:
        if settings.endpoint is not None:
            address = settings.endpoint
            endpoint = Endpoint(lambda: address, settings.server_token)
        else:
            print(f"Starting the model server for {settings.name}. The first time may take a while.", flush=True)
            child = await stack.enter_async_context(Child(server_command(settings.name), settings.server_token))
            endpoint = Endpoint(child.url, settings.server_token, local=True)
        stack.push_async_callback(endpoint.close)
        yield endpoint


def _on_signals(stopping: asyncio.Event, at_once: asyncio.Event) -> None:
    """The first SIGINT or SIGTERM sets `stopping`, the next one `at_once`."""

    def stop() -> None:
        (at_once if stopping.is_set() else stopping).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))
