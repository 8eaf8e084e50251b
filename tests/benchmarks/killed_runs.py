"""Fine-tuning runs that are killed, stopped or run out of disk: does each end with the bytes of one left in peace?

Four experiments, by name, all of them by default: `moments` (kill -9 at random moments of whole runs), `saves` (kill -9
inside checkpoints and results), `steps` (stopped after every step), `disk` (the disk is full, or the process is killed,
at calls that change it). What was disturbed is started again with the same command until it ends; nobody cleans up in
between. `--kills N` of either kind (20; 200 take half an hour), `--every N`th call (10; 1 for all takes an hour).
"""

import argparse
import contextlib
import itertools
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch

from tests.forked_trainer import (
    RUN,
    SAVE_EVERY,
    SEEDS,
    Disk,
    follow,
    full,
    make_workplace,
    result,
    stop_in,
    until_it_ends,
)

TURNS = itertools.cycle(SEEDS)
"""The seed of the next run."""


class Tally:
    """What came of the runs of an experiment; `wanted` is the undisturbed result of each seed."""

    def __init__(self, wanted):
        self.wanted, self.wrong, self.runs, self.lost = wanted, 0, 0, [0]

    def note(self, told, reached=0):
        """The step that a run has reached, and those that it has to make again because it was disturbed."""
        for word, *number in told:
            if word == "from":
                self.lost.append(reached - int(number[0]))
            if word in ("from", "step"):
                reached = int(number[0])
        return reached

    def fail(self, what):
        self.wrong += 1
        print(f"WRONG: {what}")

    def end(self, seed, status, printed, name):
        """A run has ended by itself: is everything as it has to be?"""
        self.runs += 1
        found, wanted = result(), self.wanted[seed]
        different = [key for key in found.keys() | wanted.keys() if found.get(key) != wanted.get(key)]
        if status or different or "damaged" in printed or "Traceback" in printed:
            extra = set(found["the names of all files"]) ^ set(wanted["the names of all files"])
            self.fail(f"{name}: status {status}, different: {different} {extra or ''}\n{printed[-300:]}")

    def show(self, line):
        """Print the figures; how much went wrong."""
        if max(self.lost) > SAVE_EVERY:
            self.fail(f"{max(self.lost)} steps were lost")
        print(f"{line}\n  wrong: {self.wrong}; the same bytes, nothing left over: the rest of {self.runs} runs")
        print(f"  steps made again: {sum(self.lost)}, at most {max(self.lost)} at once (--save-every {SAVE_EVERY})")
        return self.wrong


def at_random(longest, rng):
    """Kill at any moment of a whole run."""

    def watch(pid, lines):
        time.sleep(rng.uniform(0, longest))
        os.kill(pid, signal.SIGKILL)
        return until_it_ends(pid, lines)

    return watch


def inside_a_save(windows, rng):
    """Kill inside one of the saves of a run, the results and the removal of old states among them."""

    def watch(pid, lines):
        before, told = rng.randrange(len(windows)), []
        moment = rng.uniform(0, windows[before])
        for line in lines:
            told.append(line.split())
            if told[-1] == ["("] and told.count(["("]) == before + 1:
                time.sleep(moment)
                os.kill(pid, signal.SIGKILL)
        return told

    return watch


def kill(kills, watch, wanted, *, inside):
    """Kill, start again, perhaps kill again, until the run ends; then the next run, until there were enough kills."""
    tally, counted, all_kills = Tally(wanted), 0, 0
    while counted < kills:
        seed, reached, status = next(TURNS), 0, -signal.SIGKILL
        while status == -signal.SIGKILL:
            told, status, printed = follow(seed, watch)
            reached = tally.note(told, reached)
            if status == -signal.SIGKILL:
                all_kills += 1
                counted += not inside or told.count(["("]) > told.count([")"])
        tally.end(seed, status, printed, f"run {tally.runs}")
    of_them = f", {counted} of them inside a save" if inside else " at random moments"
    return tally.show(f"kill -9: {all_kills}{of_them}, in {tally.runs} runs")


def stop_everywhere(steps, wanted):
    """Stop once after each step; then a run that is stopped after every one."""
    tally = Tally(wanted)
    for number in range(1, steps + 1):
        seed = next(TURNS)
        told, status, printed = follow(seed, disturb=lambda say, number=number: stop_in(number))
        if number < steps:
            stopped = status == 130 and f"stopped after step {number} of {steps}" in printed
            reached = tally.note(told)
            told, status, printed = follow(seed)
            if not stopped or ["from", str(number)] not in told:
                tally.fail(f"not stopped after step {number}: {printed[-300:]}")
            tally.note(told, reached)
        tally.end(seed, status, printed, f"stopped after step {number}")
    starts, status, seed = 0, 130, next(TURNS)
    while status == 130:
        _, status, printed = follow(seed, disturb=lambda say: stop_in(1))
        starts += 1
    tally.end(seed, status, printed, "stopped after every step")
    return tally.show(f"stopped once after each of {steps} steps, and in one run after all of them ({starts} starts)")


WAYS = {
    "the disk is full from there on": lambda at: lambda number: full() if number >= at else None,
    "it alone fails, with a full disk": lambda at: lambda number: full() if number == at else None,
    "kill -9": lambda at: lambda number: os.kill(os.getpid(), signal.SIGKILL) if number == at else None,
}


def fail_everywhere(every, wanted):
    """Fail at every call of a run, one run for each; then start it again with nothing in its way."""
    wrong, total = 0, count_calls()
    for way, fails in WAYS.items():
        tally, statuses, adapters = Tally(wanted), [], []
        for number in range(1, total + 1, every):
            seed = next(TURNS)
            told, status, printed = follow(seed, disturb=lambda say, fails=fails, at=number: Disk(fails(at)))
            reached = tally.note(told)
            statuses.append(status)
            adapters.append(whose_adapter(seed, wanted))
            in_words = status != 2 or ("fix:" in printed and ("disk is full" in printed or "No space" in printed))
            if status not in (0, 2, -signal.SIGKILL) or "Traceback" in printed or not in_words:
                tally.fail(f"{way}, call {number}: status {status}; {printed[-900:]}")
            told, status, printed = follow(seed)
            tally.note(told, reached)
            tally.end(seed, status, printed, f"{way}, call {number}, started again")
        wrong += tally.show(f"each of {total} calls that change the disk, {way}; every {every}th was tried")
        ends = ", ".join(f"{statuses.count(each)} x {each}" for each in sorted(set(statuses)))
        print(f"  exit status: {ends}; adapter then: {', '.join(f'{adapters.count(a)} {a}' for a in set(adapters))}")
    return wrong


def count_calls():
    """How many calls a run makes that replaces an older one's results."""

    def watch(say):
        disk, leave = Disk(lambda number: None), os._exit
        os._exit = lambda status: say("calls", disk.calls) or leave(status)

    told, status, printed = follow(next(TURNS), disturb=watch)
    assert status == 0, printed
    return int(told[-1][1])


def whose_adapter(seed, wanted):
    """Which adapter is there, whole: that of the run before (old), that of this one (new), or none."""
    for name, of in (("new", seed), ("old", SEEDS[1 - SEEDS.index(seed)])):
        files = {path: data for path, data in wanted[of].items() if "/adapter/" in path}
        if all(Path(path).is_file() and Path(path).read_bytes() == data for path, data in files.items()):
            return name
    return "half" if (RUN / "adapter").exists() else "none"


def undisturbed():
    """The result of each seed, what was reported last, and seconds: of a whole run, and of each save in it."""
    wanted = {}
    for seed in itertools.islice(TURNS, 4):  # The second time is warm, and replaces another result.
        times, began = [], time.perf_counter()

        def watch(pid, lines, times=times):
            return [times.append((line[0], time.perf_counter())) or line.split() for line in lines]

        told, status, printed = follow(seed, watch)
        seconds = time.perf_counter() - began
        assert status == 0, printed
        assert wanted.setdefault(seed, result()) == result(), "the same run has other bytes the second time"
    moments = [moment for word, moment in times if word in "()"]
    return wanted, told, seconds, [end - begin for begin, end in zip(moments[::2], moments[1::2], strict=True)]


def measure(experiments, kills, every):
    make_workplace()
    wanted, told, seconds, windows = undisturbed()
    steps, passes = sum(word == "step" for word, *_ in told), told.count(["pass"])
    saves = f"{len(windows)} saves of {', '.join(f'{1e3 * each:.0f}' for each in windows)} ms"
    print(f"a run: {steps} steps of {passes / (steps + 2):.1f} forward passes, {seconds:.1f} s, {saves}")
    for experiment in experiments:
        rng = random.Random(experiment)
        if experiment == "moments":
            yield kill(kills, at_random(seconds, rng), wanted, inside=False)
        elif experiment == "saves":
            yield kill(kills, inside_a_save(windows, rng), wanted, inside=True)
        elif experiment == "steps":
            yield stop_everywhere(steps, wanted)
        else:
            yield fail_everywhere(every, wanted)


if __name__ == "__main__":
    ALL = ["moments", "saves", "steps", "disk"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiments", nargs="*", metavar="EXPERIMENT")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--every", type=int, default=10)
    given = parser.parse_args()
    if unknown := set(given.experiments) - set(ALL):
        parser.error(f"{', '.join(unknown)}: one of {', '.join(ALL)}")
    os.environ["ACCELERATE_USE_CPU"] = "true"
    torch.set_num_threads(1)
    sys.stdout.reconfigure(line_buffering=True)  # A fork would print again what waits in the buffer.
    with tempfile.TemporaryDirectory() as place, contextlib.chdir(place):
        failures = sum(measure(given.experiments or ALL, given.kills, given.every))
    sys.exit(bool(failures))
