"""A file that one process at a time can hold: two trainers on one run, or two bots with one token, would do harm."""

import contextlib
import os
import platform
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from persona.errors import PersonaError
from persona.formats.text import printable


@contextlib.contextmanager
def held(path: Path, *, lock: str, taken: str, fix: str) -> Iterator[None]:
    """Hold the file at `path`, whose folder may not exist yet.

    Raises `PersonaError`: "`taken`: who holds it" with `fix` while another process does, "`lock` cannot be ..." where
    no lock can be made. The system frees it with the process, killed or not. The file stays, as the note of who holds
    it: who removed it could remove the lock of a process that has just started.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b", buffering=0)
    except OSError as error:
        what = f"{lock} cannot be written: {error.strerror}."
        fix_it = "make room there, or give access, then run the same command"
        raise PersonaError(what, where=str(path), fix=fix_it) from error
    with file:
        try:
            _lock(file.fileno())
        except (BlockingIOError, PermissionError) as error:
            file.seek(0)
            holder = printable(file.read(200).decode("utf-8", errors="replace").strip())
            what = f"{taken}: {holder or 'it has just started'}."
            raise PersonaError(what, where=str(path), fix=fix) from error
        except OSError as error:
            raise PersonaError(f"{lock} cannot be taken: {error.strerror}.", where=str(path)) from error
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
