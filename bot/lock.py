"""One bot for each run: two with one token would both answer every message."""

from contextlib import AbstractContextManager
from pathlib import Path

from persona.lock import held


def only_one(path: Path) -> AbstractContextManager[None]:
    """Hold the lock at `path`. Raises `PersonaError` naming the holder while another bot does (see `held`)."""
    return held(
        path,
        lock="The bot's lock",
        taken="A bot for this character is running from this folder already",
        fix="stop that one first",
    )
