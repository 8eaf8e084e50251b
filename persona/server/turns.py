"""One generation at a time, first come first served: the bridge from asyncio to the synchronous core."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from persona.chat import Reply
from persona.engines.protocol import Piece
from persona.server.wire import Refusal

WAITING_LIMIT = 16
"""Requests that may wait; one more is refused, because its client would give up before its turn."""

RETRY_SECONDS = 10


class Turns:
    """A fair queue of bounded length. `running` holds what was started and has not ended."""

    def __init__(self, waiting_limit: int = WAITING_LIMIT) -> None:
        self.waiting = 0
        self.running: set[Generation] = set()
        self._limit = waiting_limit
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Wait for a turn and hold it. Raises `Refusal` (429) when too many wait already."""
        if self.waiting >= self._limit:
            message = f"{self.waiting} others are waiting to be answered. Try again in a moment."
            raise Refusal(429, message, "queue_full", {"Retry-After": str(RETRY_SECONDS)})
        self.waiting += 1
        try:
            await self._lock.acquire()
        finally:
            self.waiting -= 1
        try:
            yield
        finally:
            self._lock.release()

    def cancel_all(self) -> None:
        """Ask everything that runs or waits to end."""
        for generation in list(self.running):
            generation.cancel()


class Generation:
    """One reply made in a thread of its own and read piece by piece on the event loop.

    The turn is held until the thread has ended, which is a token after `cancel`, and not only until the client is gone:
    two generations never run at once.
    """

    def __init__(self, turns: Turns, start: Callable[[threading.Event], Reply]) -> None:
        self._turns = turns
        self._start = start
        self._stop = threading.Event()
        self._items: asyncio.Queue[Reply | Piece | Exception | None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._has_turn = False
        self._task = asyncio.create_task(self._run())
        turns.running.add(self)
        self._task.add_done_callback(lambda _: turns.running.discard(self))

    async def opening(self) -> Reply:
        """Wait for the turn and the prompt. Raises what making them raised."""
        item = await self._next()
        assert isinstance(item, Reply)
        return item

    async def pieces(self) -> AsyncIterator[Piece]:
        """The pieces as they come; raises what the engine raised."""
        while (item := await self._next()) is not None:
            assert isinstance(item, Piece)
            yield item

    def cancel(self) -> None:
        """Leave the queue, or stop at the next token."""
        self._stop.set()
        if not self._has_turn:
            self._task.cancel()
            self._items.put_nowait(Refusal(503, "The server is stopping.", "stopping"))

    async def ended(self) -> None:
        """Wait until the turn is free again."""
        await asyncio.wait({self._task})

    async def _next(self) -> Reply | Piece | None:
        item = await self._items.get()
        if isinstance(item, Exception):
            raise item
        return item

    async def _run(self) -> None:
        try:
            async with self._turns.take():
                self._has_turn = True
                done = asyncio.Event()
                # A daemon: an engine that hangs must not keep the process from ending.
                threading.Thread(target=self._work, args=(done,), name="generation", daemon=True).start()
                await done.wait()
        except Refusal as refusal:
            self._items.put_nowait(refusal)

    def _work(self, done: asyncio.Event) -> None:
        try:
            reply = self._start(self._stop)
            self._tell(self._items.put_nowait, reply)
            for piece in reply:
                self._tell(self._items.put_nowait, piece)
            self._tell(self._items.put_nowait, None)
        except Exception as error:  # whatever it is, the client is told and the server lives on
            self._tell(self._items.put_nowait, error)
        finally:
            self._tell(done.set)

    def _tell(self, call: Callable[..., object], *values: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(call, *values)
