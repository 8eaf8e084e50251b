"""A polite end: the first Ctrl-C or SIGTERM asks the loop to stop after its step, the second one stops at once."""

import contextlib
import math
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

from finetune.parallel import is_first_process


class Deadline:
    """A stop that also comes by itself, `minutes` after `began`, a moment of `time.monotonic`."""

    def __init__(self, asked: threading.Event, minutes: float | None, began: float) -> None:
        self.asked = asked
        self.end = math.inf if minutes is None else began + 60 * minutes

    def is_set(self) -> bool:
        """Whether somebody asked, or the time is over."""
        return self.asked.is_set() or time.monotonic() >= self.end


@contextlib.contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that is set by the first signal; the handlers that were there before come back at the end."""
    stop = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        if is_first_process():
            # At once, because accelerate's own process may be gone before the step is over.
            print("\nstopping after this step, then saving; Ctrl-C again gives up", file=sys.stderr, flush=True)

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
