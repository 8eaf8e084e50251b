"""kill -9 at random moments inside saves: is a whole state left every time, and how many saves are lost?

A child forked from this process, which has imported torch already, saves one state after another in a folder that all
children use in turn; each begins with what the one before has left. `--kills N` (200), `--megabytes N` (1).
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch

from finetune.state import TENSORS, State, latest_state, save_state

LONGEST_RUN = 6
"""Saves that a child gets done before the one in which it is killed, at most."""


def state_at(step, floats):
    """What a run has at a step; every byte depends on it, so that a mixture of two cannot pass."""
    numbers = torch.arange(floats // 4, dtype=torch.float32)
    names = ("adapter/a", "optimizer/a/exp_avg", "optimizer/a/exp_avg_sq", "best/a")
    return State(step, {name: numbers * step + i for i, name in enumerate(names)}, {"history": [step] * 50})


def same(found, wanted):
    tensors = all(torch.equal(found.tensors[name], wanted.tensors[name]) for name in wanted.tensors)
    return found.tensors.keys() == wanted.tensors.keys() and tensors and found.record == wanted.record


def child(folder, floats, writer):
    """Save for ever; a byte before each save and one after it."""
    said = []
    state = latest_state(folder, said.append)
    step = state.step if state else 0
    os.write(writer, b"?" if said else b".")
    while True:
        step += 1
        state = state_at(step, floats)
        os.write(writer, b"(")
        save_state(folder, state)
        os.write(writer, b")")


def kill_one(folder, floats, rng, longest):
    """Steps that were saved, were begun and were found afterwards, and what the child had to say at its start."""
    reader, writer = os.pipe()
    before = latest_state(folder, print)
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reader)
            child(folder, floats, writer)
        finally:
            os._exit(1)
    os.close(writer)
    begun = ended = before.step if before else 0
    greeting = os.read(reader, 1)
    for save in range(rng.randint(1, LONGEST_RUN)):
        if save:
            ended += os.read(reader, 1) == b")"
        begun += os.read(reader, 1) == b"("
    time.sleep(rng.uniform(0, longest))
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    while rest := os.read(reader, 4096):  # The child may have got further while this process slept.
        ended, begun = ended + rest.count(b")"), begun + rest.count(b"(")
    os.close(reader)
    assert os.WIFSIGNALED(status), "the child ended by itself"
    return ended, begun, greeting


def measure(kills, megabytes):
    floats, rng = megabytes * 250_000, random.Random(0)
    wrong, behind, halves, inside = [], 0, 0, 0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "state"
        began = time.perf_counter()
        for step in (1, 2, 3):
            save_state(folder, state_at(step, floats))
        longest = 1.2 * (time.perf_counter() - began) / 3
        for kill in range(kills):
            said = []
            ended, begun, greeting = kill_one(folder, floats, rng, longest)
            inside += begun > ended
            halves += any(path.name.startswith(".") for path in folder.iterdir())
            found = latest_state(folder, said.append)
            whole = found is not None and same(found, state_at(found.step, floats))
            if not whole or not ended <= found.step <= begun or said or greeting != b".":
                wrong.append(f"kill {kill}: saved {ended}, begun {begun}, found {found and found.step}; {said}")
            else:
                behind += found.step < begun
        last = save_state(folder, state_at(begun + 1, floats))
        left = sorted(
            path.name for path in folder.iterdir() if path.name.startswith(".") or not (path / TENSORS).exists()
        )
        assert latest_state(folder, wrong.append).step == begun + 1 and last.exists()
    print(f"{kills} kills, {inside} inside a save, {halves} left half a folder ({longest / 1.2 * 1e3:.0f} ms a save)")
    print(f"whole and at most one save behind: {kills - len(wrong)} of {kills} (one behind: {behind}, none: the rest)")
    print(f"left to clean up by hand after the next save: {len(left)}")
    return wrong + left


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--megabytes", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(1)
    failures = measure(given.kills, given.megabytes)
    print(*failures, sep="\n")
    sys.exit(bool(failures))
