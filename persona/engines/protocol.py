"""What an engine is: something that turns a finished prompt into pieces of text and knows nothing of personas."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from persona.generation import GenerationSettings
from persona.prompt import Prompt

Finish = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a reply. The last one carries `finish`; `tokens` is how many were generated so far."""

    text: str
    finish: Finish | None = None
    tokens: int = 0


class Engine(Protocol):
    """`stream` checks `cancelled` at every token: a generator cannot be closed from another thread."""

    def stream(self, prompt: Prompt, settings: GenerationSettings, cancelled: threading.Event) -> Iterator[Piece]:
        """Yield the reply piece by piece; exactly the last piece has a `finish`."""
        ...

    def close(self) -> None:
        """Let go of weights and connections."""
        ...
