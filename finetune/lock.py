"""One trainer for each run folder: two would overwrite each other's states."""

import contextlib
import os
import platform
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from persona.errors import PersonaError
from persona.formats.text import printable

LOCK_FILE = "train.lock"


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold the run folder. Raises `PersonaError` naming the holder while another one does, or where no lock can be made.

    The system frees the lock with the process, killed or not. The file stays, as the note of who holds it: who removed
    it could remove the lock of a trainer that has just started.
    """
    path = folder / LOCK_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b", buffering=0)
    except OSError as error:
        raise PersonaError(f"The run folder's lock cannot be written: {error.strerror}.", where=str(path)) from error
    with file:
        try:
            _lock(file.fileno())
        except (BlockingIOError, PermissionError) as error:
            file.seek(0)
            holder = printable(file.read(200).decode("utf-8", errors="replace").strip())
            raise PersonaError(
                f"Another trainer uses this run folder: {holder or 'it has just started'}.",
                where=str(path),
                fix="wait until it has ended, or stop it first",
            ) from error
        except OSError as error:
            raise PersonaError(f"The run folder's lock cannot be taken: {error.strerror}.", where=str(path)) from error
        with contextlib.suppress(OSError):  # A full disk loses the note, not the lock.
            file.truncate(0)
            began = datetime.now().astimezone().isoformat(" ", timespec="seconds")
            file.write(f"process {os.getpid()} on {platform.node()}, since {began}\n".encode())
        yield


if sys.platform == "win32":

    def _lock(file: int) -> None:
        import msvcrt

        os.lseek(file, 1 << 30, os.SEEK_SET)  # Others cannot read locked bytes there; the note stands before them.
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)

else:

    def _lock(file: int) -> None:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
