"""One answer at a time in each channel; what comes meanwhile waits in a short line. No task lives without work."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Literal

_log = logging.getLogger(__name__)
Job = Callable[[], Coroutine[Any, Any, None]]
Refusal = Literal["full", "closed"]


@dataclass(slots=True)
class _Channel:
    waiting: deque[tuple[int, Job]] = field(default_factory=deque)
    key: int = 0
    running: asyncio.Task[None] | None = None


class Turns:
    """Runs the jobs of a channel one after the other; at most `waiting` of them wait. An exception is only logged."""

    def __init__(self, *, waiting: int = 5) -> None:
        self._most = waiting
        self._closed = False
        self._channels: dict[int, _Channel] = {}

    def submit(self, channel: int, key: int, job: Job) -> Refusal | None:
        """Run `job` when its turn comes, or say why not: the line is full, or `drain` has closed it.

        `key` is the message that asked, for `drop`.
        """
        if self._closed:
            return "closed"
        place = self._channels.setdefault(channel, _Channel())
        if len(place.waiting) >= self._most:
            return "full"
        place.waiting.append((key, job))
        if place.running is None:
            self._next(channel)
        return None

    def drop(self, key: int, reason: str) -> None:
        """Cancel the job of this message, running or waiting; a running one gets `reason` with its cancellation."""
        for place in self._channels.values():
            place.waiting = deque(turn for turn in place.waiting if turn[0] != key)
            if place.key == key and place.running is not None:
                place.running.cancel(reason)

    def clear(self, channel: int, reason: str) -> None:
        """Cancel everything in one channel."""
        if place := self._channels.get(channel):
            place.waiting.clear()
            if place.running is not None:
                place.running.cancel(reason)

    def clear_all(self, reason: str) -> None:
        """Cancel everything."""
        for channel in list(self._channels):
            self.clear(channel, reason)

    async def drain(
        self, seconds: float, reason: str, at_once: asyncio.Event, *, last_words_seconds: float = 10
    ) -> int:
        """Take nothing new and let the running jobs end for `seconds`, or until `at_once` is set; then cancel them.

        Returns how many waiting jobs never had their turn. Cancelled jobs get `last_words_seconds` for a last word.
        """
        self._closed = True
        unanswered = 0
        for place in self._channels.values():
            unanswered += len(place.waiting)
            place.waiting.clear()
        running = [place.running for place in self._channels.values() if place.running is not None]
        if running:
            impatient = asyncio.create_task(at_once.wait())
            everything = asyncio.create_task(_all_of(running))
            await asyncio.wait({impatient, everything}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            impatient.cancel()
            self.clear_all(reason)
            await asyncio.wait({everything}, timeout=last_words_seconds)
            everything.cancel()
        return unanswered

    def _next(self, channel: int) -> None:
        place = self._channels[channel]
        if not place.waiting:
            del self._channels[channel]
            return
        place.key, job = place.waiting.popleft()
        place.running = asyncio.create_task(job())
        place.running.add_done_callback(lambda task: self._done(channel, task))

    def _done(self, channel: int, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            _log.error("An answer failed: %s: %s", type(error).__name__, error, exc_info=error)
        self._channels[channel].running = None
        self._next(channel)


async def _all_of(tasks: list[asyncio.Task[None]]) -> None:
    await asyncio.wait(tasks)
