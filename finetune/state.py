"""The training state on disk: all that a run needs to go on to the same bytes, written whole or not at all.

Tensors are safetensors, the rest is JSON; randomness is a function of seed and step, so no generator is saved. The
caller holds `finetune.lock.exclusive` on the run folder.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from persona.errors import PersonaError
from persona.formats.text import read_bytes

if TYPE_CHECKING:
    import torch

TENSORS, RECORD, DIGESTS = "tensors.safetensors", "state.json", "SHA256SUMS"
FORMAT = 1
KEPT = 2
"""States that stay: the newest, and one for the day when the newest is damaged."""

TENSOR_BYTES = 16 * 1024**3
"""Rank 32 on every layer of a 70 B base, with both moments and the best weights so far, has 7 GB."""
HEADER_BYTES = 8 * 1024**2
RECORD_BYTES = 16 * 1024**2
MAX_CONTAINERS = 500_000
"""Lists and objects in the record: an empty one is 3 bytes of JSON and 80 of memory."""
MAX_DEPTH = 64

_STATE = re.compile(r"step-([0-9]{6,15})(-older)?")
_LEFTOVER = re.compile(r"\.step-[0-9]{6,15}(-older)?\.(tmp|old)")


@dataclass(frozen=True, slots=True)
class State:
    """What a run has reached after optimizer step `step`: `tensors` by flat names, `record` anything that JSON holds."""

    step: int
    tensors: Mapping[str, "torch.Tensor"]
    record: Mapping[str, Any]


def save_state(folder: Path, state: State) -> Path:
    """Write `folder/step-000123/`; the same state gives the same bytes. The newest two stay, newer steps are forgotten.

    Raises `PersonaError` when it cannot be written, naming the space that is missing, or when the record is larger
    than what `latest_state` reads; the states that were there are then untouched.
    """
    files = _files_of(state)
    final = folder / f"step-{state.step:06d}"
    temporary = folder / f".{final.name}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        forget_leftovers(folder)
        temporary.mkdir()
        for name, data in files.items():
            _write(temporary / name, data)
        _flush(temporary)
        _put_in_place(temporary, final)
        _flush(folder)
    except OSError as error:
        remove(temporary)
        raise _not_saved(folder, error, sum(map(len, files.values()))) from error
    forget_states(folder, after=state.step)
    found = [path for _, path in _states(folder)]
    newest = [path for path in found if not path.name.endswith("-older")][:KEPT]
    for path in found:
        if path not in newest:
            with contextlib.suppress(OSError):  # The state is safe; the next save tries again.
                _discard(path)
    return final


def latest_state(folder: Path, say: Callable[[str], None]) -> State | None:
    """The newest whole state. Each damaged one is named to `say`, in a sentence, with the file and what is wrong."""
    found = _states(folder)
    for step, path in found:
        try:
            return _read(path, step)
        except PersonaError as error:
            say(f"the state {path.name} is damaged and is not used: {error.what}")
    if found:
        say(f"no whole state is left in {folder}: training begins at the first step")
    return None


def forget_states(folder: Path, *, after: int) -> None:
    """Remove the states of later steps than `after`, whole or not, and what was left of saves and removals cut off.

    The run goes on from there (-1: from the start).
    """
    forget_leftovers(folder)
    for step, path in reversed(_states(folder)):  # The newest goes last: cut off before, it is still the one found.
        if step > after:
            try:
                _discard(path)
            except OSError as error:
                what = f"An old state cannot be removed: {error.strerror}."
                fix = "make room or give access, then run the same command"
                raise PersonaError(what, where=str(path), fix=fix) from error


def forget_leftovers(folder: Path) -> None:
    """Remove what saves and removals that were cut off have left, as far as possible: the next save tries again."""
    for path in list(folder.glob(".step-*")):
        if _LEFTOVER.fullmatch(path.name):
            remove(path)


def remove(path: Path) -> None:
    """Remove a folder, or a link or file in its place, as far as possible: what stays is tried again later."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def _files_of(state: State) -> dict[str, bytes]:
    """File name -> content, in the order in which they are written."""
    from safetensors.torch import save

    tensors: dict[str, torch.Tensor] = {}
    memory: set[int] = set()
    for name, tensor in state.tensors.items():
        packed = tensor.detach().cpu().contiguous()
        # Two names of one memory, as when the best weights are the present ones, are two tensors in the file.
        shared = packed.untyped_storage().data_ptr() in memory
        tensors[name] = packed.clone() if shared else packed
        memory.add(packed.untyped_storage().data_ptr())
    record = _encode(state.step, state.record)
    _decode(record, state.step)
    files = {RECORD: record, TENSORS: save(tensors)}
    return files | {DIGESTS: "".join(_digest_line(name, data) for name, data in files.items()).encode()}


def _digest_line(name: str, data: bytes) -> str:
    """As `sha256sum` writes and checks it."""
    return f"{hashlib.sha256(data).hexdigest()}  {name}\n"


def _encode(step: int, record: Mapping[str, Any]) -> bytes:
    content = {"format": FORMAT, "record": record, "step": step}
    return json.dumps(content, sort_keys=True, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def _decode(data: bytes, step: int) -> dict[str, Any]:
    """The record of `step`: only what `_encode` writes, so no duplicate key, no infinity and no other format."""
    if len(data) > RECORD_BYTES or data.count(b"[") + data.count(b"{") > MAX_CONTAINERS:
        raise PersonaError(f"{RECORD} is too large, with {len(data):,} bytes.")
    try:
        content = json.loads(data)
        record = content["record"]
        if isinstance(record, dict) and not _too_deep(record) and _encode(step, record) == data:
            return record
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    raise PersonaError(f"{RECORD} holds nothing that this version writes for step {step}.")


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        inner = (each for outer in level for each in (outer.values() if isinstance(outer, dict) else outer))
        level = [each for each in inner if isinstance(each, dict | list)]
    return bool(level)


def _read(folder: Path, step: int) -> State:
    """The state in `folder`. Raises `PersonaError` when a byte of it is not what was written."""
    listed = read_bytes(folder / DIGESTS, 1000).decode("ascii", errors="replace")
    files: dict[str, bytes] = {}
    for name, limit in ((RECORD, RECORD_BYTES), (TENSORS, TENSOR_BYTES)):
        path = folder / name
        size = path.stat().st_size if path.is_file() else 0
        if size > limit:
            raise PersonaError(f"{name} has {size:,} bytes, more than {limit:,}.")
        files[name] = read_bytes(path, size)
        if _digest_line(name, files[name]) not in listed:
            raise PersonaError(f"{name} is not what was written.")
    if listed != "".join(_digest_line(name, data) for name, data in files.items()):
        raise PersonaError(f"{DIGESTS} is not what was written.")
    return State(step, _tensors(files[TENSORS]), _decode(files[RECORD], step))


def _tensors(data: bytes) -> "dict[str, torch.Tensor]":
    from safetensors import SafetensorError
    from safetensors.torch import load

    if int.from_bytes(data[:8], "little") > HEADER_BYTES:
        raise PersonaError(f"{TENSORS} has a header of more than {HEADER_BYTES:,} bytes.")
    try:
        return load(data)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError):  # Types and shapes that torch has not.
        raise PersonaError(f"{TENSORS} holds no tensors that can be read.") from None


def _states(folder: Path) -> list[tuple[int, Path]]:
    """Step and path of every state, whole or not, in the order in which they are to be tried."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise PersonaError(f"The states cannot be listed: {error.strerror}.", where=str(folder)) from error
    found = [match for match in map(_STATE.fullmatch, names) if match and match[1] == f"{int(match[1]):06d}"]
    found.sort(key=lambda match: (-int(match[1]), match[0]))
    return [(int(match[1]), folder / match[0]) for match in found]


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _flush(folder: Path) -> None:
    """Make the names in a folder last, where the system can."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # Some network drives flush only files.
            raise
    finally:
        os.close(descriptor)


def _put_in_place(temporary: Path, final: Path) -> None:
    """Rename; a state of the same step moves aside first, under a name by which it is still found."""
    if os.path.lexists(final):
        older = final.with_name(f"{final.name}-older")
        if os.path.lexists(older):
            _discard(older)
        os.rename(final, older)
    os.rename(temporary, final)


def _discard(path: Path) -> None:
    """Rename away, then remove, so that half a folder is never taken for a state."""
    aside = path.with_name(f".{path.name}.old")
    os.rename(path, aside)
    remove(aside)


def _not_saved(folder: Path, error: OSError, needed: int) -> PersonaError:
    what = f"The training state cannot be saved: {error.strerror or error}."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        what = f"The disk is full: the training state needs {needed / 1e6:,.1f} MB"
        with contextlib.suppress(OSError):
            missing = needed - shutil.disk_usage(folder).free
            what += f", {missing / 1e6:,.1f} MB more than is free" if missing > 0 else ""
        what += "."
    fix = "make room or give access, then run the same command: it goes on from the state saved before"
    return PersonaError(what, where=str(folder), fix=fix)
