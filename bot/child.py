"""The bot's own persona server: a process that is started, watched, restarted, and that dies with the bot.

It is told its token through its environment, and lives as long as its standard input is open; so it ends when the
bot ends, killed or not.
"""

import asyncio
import contextlib
import json
import logging
import os
import sys
from collections.abc import Sequence
from types import TracebackType

from bot.endpoint import EndpointError
from bot.settings import SERVER_TOKEN_VARIABLE, TOKEN_VARIABLE
from persona.errors import PersonaError

START_SECONDS = 900.0
"""A large base may have to be read from a slow disk."""
_LONGEST_PAUSE_SECONDS = 60.0
_GOOD_RUN_SECONDS = 60.0
_STOP_SECONDS = 10.0
_log = logging.getLogger(__name__)


def server_command(name: str) -> list[str]:
    """The command that serves one character to this bot alone."""
    return [sys.executable, "-m", "persona", "serve", name, "--port", "0", "--child"]


class Child:
    """`async with Child(command, token) as child` gives `child.url()` once the server is ready; it asks for `token`."""

    def __init__(
        self,
        command: Sequence[str],
        token: str,
        *,
        start_seconds: float = START_SECONDS,
        first_pause_seconds: float = 1.0,
    ) -> None:
        self._command = list(command)
        self._token = token
        self._start_seconds = start_seconds
        self._first_pause = first_pause_seconds
        self._port: int | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._readers: list[asyncio.Task[None]] = []
        self._watch: asyncio.Task[None] | None = None
        self._last_words = b""

    def url(self) -> str:
        """Where the server listens now. Raises `EndpointError` while there is none."""
        if self._port is None:
            raise EndpointError("unreachable", "The model server is being started again.")
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> "Child":
        """Start the server. Raises `PersonaError` with its last line when it does not come up."""
        try:
            await self._launch()
        except BaseException:
            await self._stop(patience_seconds=0.5)
            raise
        self._watch = asyncio.create_task(self._keep_alive())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop watching, then let the server end."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait({self._watch})
        await self._stop()

    async def _launch(self) -> None:
        environment = {name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE}
        environment[SERVER_TOKEN_VARIABLE] = self._token
        pipe = asyncio.subprocess.PIPE
        self._last_words = b""
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            env=environment,
            limit=2**20,
            # Ctrl-C is for the bot, which lets answers end before the server goes.
            start_new_session=True,
        )
        assert self._process.stdout is not None and self._process.stderr is not None
        errors = asyncio.create_task(self._forward(self._process.stderr))
        self._readers = [errors]
        try:
            async with asyncio.timeout(self._start_seconds):
                port = await self._read_port(self._process.stdout)
                if port is None:
                    await asyncio.wait({errors})
                    code = await self._process.wait()
                    raise self._failure(f"The model server did not start (exit status {code}).")
        except TimeoutError:
            raise self._failure(f"The model server was not ready after {self._start_seconds:.0f} seconds.") from None
        self._port = port
        self._readers.append(asyncio.create_task(self._forward(self._process.stdout)))

    def _failure(self, what: str) -> PersonaError:
        lines = self._last_words.decode("utf-8", "replace").strip().splitlines()
        return PersonaError(
            what, where=lines[-1][:300] if lines else None, fix="look at it alone: " + " ".join(self._command[1:6])
        )

    async def _read_port(self, stdout: asyncio.StreamReader) -> int | None:
        """The port of the ready line; other lines are shown. None at the end of the output."""
        while line := await stdout.readline():
            with contextlib.suppress(ValueError, TypeError, KeyError):
                return int(json.loads(line)["port"])
            self._show(line)
        return None

    async def _forward(self, stream: asyncio.StreamReader) -> None:
        # Not by lines: a progress bar can be one line without an end.
        while data := await stream.read(4096):
            self._last_words = (self._last_words + data)[-4096:]
            self._show(data)

    def _show(self, data: bytes) -> None:
        sys.stderr.write(data.decode("utf-8", "replace"))
        sys.stderr.flush()

    async def _keep_alive(self) -> None:
        """Start the server again whenever it ends, after a pause that doubles while it keeps ending."""
        clock = asyncio.get_running_loop().time
        pause, since = self._first_pause, clock()
        while True:
            assert self._process is not None
            code = await self._process.wait()
            self._port = None
            if clock() - since > _GOOD_RUN_SECONDS:
                pause = self._first_pause
            _log.error("The model server ended (exit status %s); it is started again in %.0f s.", code, pause)
            await asyncio.sleep(pause)
            pause, since = min(2 * pause, _LONGEST_PAUSE_SECONDS), clock()
            try:
                await self._launch()
                _log.info("The model server is back.")
            except (PersonaError, OSError) as error:
                _log.error("%s", error)
                await self._stop()

    async def _stop(self, patience_seconds: float = _STOP_SECONDS) -> None:
        """Close the server's input, wait, and end it by force if it does not go."""
        self._port = None
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        for end in (None, process.terminate, process.kill):
            if end is not None:
                with contextlib.suppress(ProcessLookupError):
                    end()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), patience_seconds)
                break
        for reader in self._readers:
            reader.cancel()
