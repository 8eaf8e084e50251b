"""One bot for each run: two with one token would both answer every message."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from persona.errors import PersonaError


@contextlib.contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Hold a lock on `path`. Raises `PersonaError` while another process holds it, or where it cannot be made.

    The system frees the lock with the process, killed or not. The file stays: who removed it could remove the lock of
    a bot that has just started.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    except OSError as error:
        raise PersonaError(f"The bot's lock cannot be written: {error.strerror}.", where=str(path)) from error
    with file:
        try:
            _lock(file.fileno())
        except (BlockingIOError, PermissionError) as error:
            raise PersonaError(
                "A bot for this character is running from this folder already.",
                where=str(path),
                fix="stop that one first",
            ) from error
        except OSError as error:
            raise PersonaError(f"The bot's lock cannot be taken: {error.strerror}.", where=str(path)) from error
        yield


if sys.platform == "win32":

    def _lock(file: int) -> None:
        import msvcrt

        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)

else:

    def _lock(file: int) -> None:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
