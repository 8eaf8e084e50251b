"""A growing text shown in messages that are edited, no more often than Discord likes and always to the last word."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from bot.render import split
from persona.errors import PersonaError

EDIT_EVERY_SECONDS = 1.2
_FINAL_TRIES = 3
_log = logging.getLogger(__name__)

Handle = TypeVar("Handle")
_T = TypeVar("_T")


class Gone(PersonaError):
    """A message was deleted, or its channel cannot be written to any more: nobody wants the rest."""


class Unsent(PersonaError):
    """A message did not get through this time."""


class Outlet(Protocol[Handle]):
    """Where messages go. Each method raises `Gone` or `Unsent`."""

    async def post(self, text: str, after: Handle | None) -> Handle:
        """Send a message, as an answer to `after` if it continues another one."""
        ...

    async def edit(self, message: Handle, text: str) -> None:
        """Replace a message's text."""
        ...

    async def delete(self, message: Handle) -> None:
        """Take a message back."""
        ...


class LiveText(Generic[Handle]):
    """The latest text wins: `show` returns at once, and one task at a time brings the messages up to date.

    `every_seconds` lie between any two calls to the outlet. `clock` and `sleep` can be replaced in tests.
    """

    def __init__(
        self,
        outlet: Outlet[Handle],
        *,
        every_seconds: float = EDIT_EVERY_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._outlet = outlet
        self._every = every_seconds
        self._clock = clock
        self._sleep = sleep
        self._last = float("-inf")
        self._latest = ""
        self._task: asyncio.Task[None] | None = None
        self.shown: list[tuple[Handle, str]] = []
        """The messages so far, and what stands in them."""

    def show(self, text: str) -> None:
        """Show `text`, not empty, when it is time. Raises `Gone` when an earlier text could not be shown."""
        self._latest = text
        if self._task is None or self._task.done():
            if self._task is not None:
                self._task.result()
            self._task = asyncio.create_task(self._catch_up())

    async def finish(self, text: str) -> None:
        """Show the final text, whatever is still on its way. Raises `Gone` or, after three tries, `Unsent`."""
        for _ in range(_FINAL_TRIES):
            self.show(text)
            assert self._task is not None
            # A call that is cut off in the middle may have posted a message that nobody knows of.
            await asyncio.shield(self._task)
            if [part for _, part in self.shown] == split(text):
                return
        raise Unsent(f"A message could not be sent, {_FINAL_TRIES} times in a row.")

    async def _catch_up(self) -> None:
        written = None
        while written != self._latest:
            await self._pace()
            written = self._latest
            try:
                await self._write(written)
            except Unsent as problem:
                _log.debug("An edit did not get through, the next one will: %s", problem)

    async def _write(self, text: str) -> None:
        parts = split(text)
        for index, part in enumerate(parts):
            if index == len(self.shown):
                await self._pace()
                after = self.shown[-1][0] if self.shown else None
                self.shown.append((await self._timed(self._outlet.post(part, after)), part))
            elif self.shown[index][1] != part:
                await self._pace()
                message = self.shown[index][0]
                await self._timed(self._outlet.edit(message, part))
                self.shown[index] = (message, part)
        while len(self.shown) > len(parts):
            await self._pace()
            await self._timed(self._outlet.delete(self.shown[-1][0]))
            self.shown.pop()

    async def _pace(self) -> None:
        wait = self._last + self._every - self._clock()
        if wait > 0:
            await self._sleep(wait)

    async def _timed(self, call: Awaitable[_T]) -> _T:
        try:
            return await call
        finally:
            self._last = self._clock()
