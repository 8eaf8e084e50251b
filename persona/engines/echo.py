"""A scripted engine: says given replies and keeps the prompts it was handed, for tests and for trying out clients."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence

from persona.engines.protocol import Piece
from persona.generation import GenerationSettings
from persona.prompt import Prompt


class EchoEngine:
    """Says `replies` one after another, or `reply(prompt)`; without either repeats the last user message."""

    def __init__(
        self,
        replies: Sequence[str] = (),
        *,
        reply: Callable[[Prompt], str] | None = None,
        seconds_per_word: float = 0.0,
    ) -> None:
        self.prompts: list[Prompt] = []
        self.settings: list[GenerationSettings] = []
        self._replies = list(replies)
        self._reply = reply
        self._seconds_per_word = seconds_per_word

    def stream(self, prompt: Prompt, settings: GenerationSettings, cancelled: threading.Event) -> Iterator[Piece]:
        """One piece a word."""
        self.prompts.append(prompt)
        self.settings.append(settings)
        words = self._next(prompt).split(" ")
        for count, word in enumerate(words, 1):
            if cancelled.is_set():
                yield Piece("", "cancelled", count - 1)
                return
            if count > settings.max_new_tokens:
                yield Piece("", "length", count - 1)
                return
            time.sleep(self._seconds_per_word)
            yield Piece(word if count == len(words) else word + " ", None, count)
        yield Piece("", "stop", len(words))

    def close(self) -> None:
        """Nothing to let go of."""

    def _next(self, prompt: Prompt) -> str:
        if self._reply:
            return self._reply(prompt)
        if self._replies:
            return self._replies.pop(0)
        return next((m.content for m in reversed(prompt.messages) if m.role == "user"), "")
