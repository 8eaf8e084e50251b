"""Examples in a file of their own while a run lasts, read back one at a time: memory does not grow with the rows."""

import contextlib
import os
import tempfile
import weakref
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import BinaryIO, TypeVar, overload

from persona.errors import PersonaError
from persona.prompt import IGNORED, Example

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class OnAccess(Sequence[T]):
    """A sequence whose items are made anew whenever they are asked for: `make` of each of `places`."""

    places: range
    make: Callable[[int], T]

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> "OnAccess[T]": ...

    def __getitem__(self, index: int | slice) -> "T | OnAccess[T]":
        if isinstance(index, slice):
            return OnAccess(self.places[index], self.make)
        return self.make(self.places[index])


def on_disk(examples: Iterable[Example]) -> OnAccess[Example]:
    """The same examples, written one after the other to a temporary file that has no name and goes with the process.

    Four bytes a token on disk, eight bytes an example in memory. Nothing is left behind, even by kill -9. The file is
    where `tempfile` has its files, so TMPDIR decides. Raises `PersonaError` where there is no room for it.
    """
    with _refusal():
        file = tempfile.TemporaryFile()  # noqa: SIM115 (open for as long as examples are read)
    ends = array("q", [0])
    for example in examples:
        with _refusal():
            ends.append(ends[-1] + file.write(_packed(example)))
    with _refusal():
        file.flush()

    def one(row: int) -> Example:
        return _unpacked(_read(file, ends[row], ends[row + 1]))

    weakref.finalize(one, file.close)
    return OnAccess(range(len(ends) - 1), one)


@contextlib.contextmanager
def _refusal() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PersonaError(
            f"The encoded rows cannot be kept: {error.strerror or error}.",
            where=tempfile.tempdir or "",
            fix="make room there, or set TMPDIR to a folder on a larger disk",
        ) from error


def _read(file: BinaryIO, start: int, end: int) -> bytes:
    # Not mapped into memory: pages that were read would count as memory of this process.
    if hasattr(os, "pread"):  # One call, so that neither threads nor forked processes get in between.
        return os.pread(file.fileno(), end - start, start)
    file.seek(start)
    return file.read(end - start)


def _packed(example: Example) -> bytes:
    """Two counts, the ids, the lengths of the runs of context and of trained tokens in turn, and the example's id."""
    runs = [len(list(run)) for _, run in groupby(example.labels, IGNORED.__eq__)]
    if example.labels[:1] != (IGNORED,):
        runs.insert(0, 0)
    numbers = array("i", [len(example.ids), len(runs), *example.ids, *runs])
    return numbers.tobytes() + example.id.encode("utf-8", "surrogatepass")


def _unpacked(packed: bytes) -> Example:
    size = array("i").itemsize
    tokens, count = memoryview(packed)[: 2 * size].cast("i")
    end = (2 + tokens + count) * size
    numbers = tuple(memoryview(packed)[2 * size : end].cast("i"))
    ids = numbers[:tokens]
    labels: list[int] = []
    for place, run in enumerate(numbers[tokens:]):
        labels += ids[len(labels) : len(labels) + run] if place % 2 else [IGNORED] * run
    return Example(packed[end:].decode("utf-8", "surrogatepass"), ids, tuple(labels))
