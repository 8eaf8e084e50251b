"""One trainer for each run folder: two would overwrite each other's states."""

from contextlib import AbstractContextManager
from pathlib import Path

from persona.lock import held

LOCK_FILE = "train.lock"


def exclusive(folder: Path) -> AbstractContextManager[None]:
    """Hold the run folder. Raises `PersonaError` naming the holder while another trainer does (see `held`)."""
    return held(
        folder / LOCK_FILE,
        lock="The run folder's lock",
        taken="Another trainer uses this run folder",
        fix="wait until it has ended, or stop it first",
    )
