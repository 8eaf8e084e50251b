"""Real servers on free loopback ports, and the personas and engines that tests put behind them."""

import contextlib
import socket
import threading
import time

import uvicorn

from persona.chat import load_personas
from persona.engines.protocol import Piece

HELLO = [{"role": "user", "content": "Who keeps the lamp lit?"}]


@contextlib.contextmanager
def running(app):
    """Serve an ASGI application in a thread; yields its address."""
    door = socket.socket()
    door.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, http="h11", ws="none", log_config=None, access_log=False, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([door],), daemon=True)
    thread.start()
    wait_until(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{door.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


def personas(engine, *names):
    """Sample characters that speak through `engine`, with the built-in base's tokenizer."""
    return load_personas(list(names or ("ada", "bram")), engine=engine, adapter=None)


def wait_until(true, seconds=5.0):
    """Poll; a condition that never holds fails the test."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


class SlowEngine:
    """Says "word " until it is cancelled or let go, and remembers what happened to it."""

    def __init__(self, words=10_000, before=None):
        self.words, self.before = words, before
        self.started, self.ended, self.at_once, self.most_at_once = [], [], 0, 0

    def stream(self, prompt, settings, cancelled):
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.started.append(prompt.messages[-1].content)
        try:
            while self.before is not None and not self.before.is_set() and not cancelled.is_set():
                time.sleep(0.005)
            for count in range(1, self.words + 1):
                if cancelled.is_set():
                    self.ended.append("cancelled")
                    yield Piece("", "cancelled", count - 1)
                    return
                time.sleep(0.005)
                yield Piece("word ", None, count)
            self.ended.append("stop")
            yield Piece("", "stop", self.words)
        finally:
            self.at_once -= 1

    def close(self):
        pass
