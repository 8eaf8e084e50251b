"""Fine-tuning runs that are killed, stopped or run out of disk: does each end with the bytes of one left in peace?

Four experiments, by name, all of them by default: `moments` (kill -9 at random moments of whole runs), `saves` (kill -9
inside checkpoints and results), `steps` (stopped after every step), `disk` (the disk is full, or the process is killed,
at every call that changes the run folder). What was disturbed is started again with the same command until it ends;
nobody cleans up in between. The trainer is forked from this process, which has done its imports.
`--kills N` of either kind (200), `--every N`th call (1).
"""

import argparse
import builtins
import contextlib
import errno
import io
import itertools
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch

from finetune import loop, run, samples, state
from finetune.command import main
from persona.conversation import Conversation, Message
from tests.tiny_base import save_tiny_base

SAVE_EVERY = 2
COMMAND = (
    "mira --model base --dtype float32 --threads 1 --learning-rate 0.02 --epochs 2 --batch-size 4 "
    f"--gradient-accumulation 2 --dropout 0.2 --forward-tokens 256 --save-every {SAVE_EVERY} --seed"
).split()
SEEDS = "5", "6"
"""Of every two runs in a row, so that the adapter of the one before is never taken for the result."""
OF_THE_DAY = {"seconds", "tokens_per_second", "logical_tokens_per_second", "peak_memory_bytes"}
RUN = Path("runs/mira")


def talk(number, origin="real"):
    words = f"Yes, Tom. I count to {number}, light the lamp, and write {number * 7} into the book of the tower."
    turns = Message("user", f"Is lamp {number} lit?", "Tom"), Message("assistant", words)
    return Conversation(turns, "Ada", id=f"{origin}-{number}", origin=origin, source="lines.md", scene=str(number))


def make_workplace():
    """A character, its dataset and a small base in the working folder."""
    folder, dataset = Path("characters/mira"), RUN / "dataset"
    folder.mkdir(parents=True)
    dataset.mkdir(parents=True)
    (folder / "card.toml").write_text('name = "Mira"\ndescription = "Mira keeps the lamp."\n')
    made = [talk(n, "lore") for n in range(62, 64)]
    splits = {"train": range(48), "validation": range(48, 54), "test": range(54, 56)}
    for split, numbers in splits.items():
        rows = [talk(n) for n in numbers] + (made if split == "validation" else [])
        (dataset / f"{split}.jsonl").write_text("".join(json.dumps(row.to_row()) + "\n" for row in rows))
    save_tiny_base(Path("base"))


# One start of the trainer


def start(seed, disturb=lambda say: None):
    """Fork a trainer that reports to a pipe; `disturb` is called in it with its way to report."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(reader)
            log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1)
            os.dup2(log, 2)

            def say(*words):
                os.write(writer, f"{' '.join(map(str, words))}\n".encode())

            report(say)
            disturb(say)
            status = main([*COMMAND, seed])
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError):
                sys.stdout.flush()
            os._exit(status)
    os.close(writer)
    return pid, os.fdopen(reader)


def report(say):
    """Have the trainer tell where it begins, each step, and when it begins and ends to save something."""
    train, batch, depth = loop.train, loop._batch, 0
    samples.REPLY_TOKENS = 4

    def told_train(model, examples, accelerator, plan, position, **named):
        say("from", position.step)
        for step in train(model, examples, accelerator, plan, position, **named):
            say("step", step.number)
            yield step

    def told(function):
        def call(*given, **named):
            nonlocal depth
            depth += 1
            if depth == 1:
                say("(")
            try:
                return function(*given, **named)
            finally:
                depth -= 1
                if depth == 0:
                    say(")")

        return call

    from finetune import results

    loop.train = told_train
    loop._batch = lambda *given: say("pass") or batch(*given)
    state.save_state, state.forget_states = told(state.save_state), told(state.forget_states)
    results.write_results = told(results.write_results)


def until_it_ends(pid, lines):
    """Leave it in peace: what it reports, one list of words for each line."""
    return [line.split() for line in lines]


def follow(seed, watch=until_it_ends, disturb=lambda say: None):
    """Start once, with somebody watching: what was reported, the exit status (below zero: the signal), what was printed."""
    pid, lines = start(seed, disturb)
    with lines:
        told = watch(pid, lines)
    return told, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), Path("log").read_text()


def result():
    """All that the run folder holds and that does not depend on the time of day, and what contradicts itself."""
    metrics = json.loads((RUN / "metrics.json").read_text())
    speed, page = f"<b>{metrics['tokens_per_second']:,.0f}</b>tokens a second", (RUN / "report.html").read_text()
    files = sorted(path for path in RUN.rglob("*") if path.parts[2] != "dataset" and path.name != "train.lock")
    plain = [path for path in files if path.is_file() and path.name not in ("metrics.json", "report.html")]
    return {
        "files": [str(path) for path in files],
        "metrics": {key: value for key, value in metrics.items() if key not in OF_THE_DAY},
        "the page has the speed of metrics.json": speed in page,
        **{str(path): path.read_bytes() for path in plain},
    }


class Tally:
    """What came of all runs of an experiment."""

    def __init__(self, wanted):
        self.wanted, self.wrong, self.runs, self.lost = wanted, [], 0, [0]

    def note(self, told, reached):
        """Steps that have to be made again, now that a run has gone on; the step that it has reached."""
        for word, *number in told:
            if word == "from":
                self.lost.append(reached - int(number[0]))
            if word in ("from", "step"):
                reached = int(number[0])
        return reached

    def end(self, seed, status, printed, name):
        """A run has ended by itself: is everything as it has to be?"""
        self.runs += 1
        found, wanted = result(), self.wanted[seed]
        different = [key for key in found.keys() | wanted.keys() if found.get(key) != wanted.get(key)]
        if status or different or "damaged" in printed or "Traceback" in printed:
            self.wrong.append(f"{name}: status {status}, different: {different}; {printed[-400:]}")

    def show(self, line):
        print(f"{line}\n  {self.runs - len(self.wrong)} of {self.runs} runs ended with the bytes of the undisturbed run")
        print(f"  steps made again: at most {max(self.lost)} (--save-every {SAVE_EVERY}), {sum(self.lost)} in all")
        return [*self.wrong, *(["too many steps lost"] if max(self.lost) > SAVE_EVERY else [])]


# The experiments


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
        left, told = rng.randrange(len(windows)), []
        moment = rng.uniform(0, windows[left])
        for line in lines:
            told.append(line.split())
            if told[-1] == ["("]:
                if left == 0:
                    time.sleep(moment)
                    os.kill(pid, signal.SIGKILL)
                left -= 1
        return told

    return watch


def kill(kills, watch, wanted, *, inside):
    """Kill, start again, kill perhaps again, until the run ends; then the next run, until there were enough kills."""
    tally, counted, all_kills = Tally(wanted), 0, 0
    for number in itertools.count():
        seed, reached = SEEDS[number % 2], 0
        for life in itertools.count(1):
            told, status, printed = follow(seed, watch)
            reached = tally.note(told, reached)
            if status != -signal.SIGKILL:
                break
            all_kills += 1
            counted += not inside or told.count(["("]) > told.count([")"])
        tally.end(seed, status, printed, f"run {number}, life {life}")
        if counted >= kills:
            where = f", {counted} inside a save" if inside else " at random moments"
            return tally.show(f"kill -9: {all_kills} kills{where}, {tally.runs} runs")


def stop_in(number, say):
    """Have the trainer ask itself to stop, while it makes its step `number` from now on."""
    made, gradients = itertools.count(1), loop.gradients

    def asked(*given, **named):
        if next(made) == number:
            os.kill(os.getpid(), signal.SIGTERM)
        return gradients(*given, **named)

    loop.gradients = asked


def stop_everywhere(steps, wanted):
    """Stop once after each step; then a run that is stopped after every one."""
    tally = Tally(wanted)
    for number in range(1, steps + 1):
        seed = SEEDS[number % 2]
        told, status, printed = follow(seed, disturb=lambda say, number=number: stop_in(number, say))
        if number < steps:
            stopped = status == 130 and f"stopped after step {number} of {steps}" in printed
            reached = tally.note(told, 0)
            told, status, printed = follow(seed)
            if not stopped or told[0] != ["from", str(number)] != told[1]:
                tally.wrong.append(f"step {number}: {printed[-300:]}")
            tally.note(told, reached)
        tally.end(seed, status, printed, f"stopped after step {number}")
    lives, status = 0, 130
    while status == 130:
        _, status, printed = follow(SEEDS[0], disturb=lambda say: stop_in(1, say))
        lives += 1
    tally.end(SEEDS[0], status, printed, f"stopped {lives - 1} times")
    return tally.show(f"stopped after each of {steps} steps once, and in one run after every step ({lives} starts)")


class Disk:
    """Counts the calls by which a process changes the disk; `fails` decides what becomes of each."""

    def __init__(self, fails):
        self.calls, self.fails = 0, fails
        for name in ("mkdir", "rename", "replace", "fsync", "unlink", "rmdir"):
            setattr(os, name, self.counted(getattr(os, name)))
        self.really_open = io.open
        io.open = builtins.open = self.open

    def count(self):
        self.calls += 1
        self.fails(self.calls)

    def counted(self, function):
        def call(*given, **named):
            self.count()
            return function(*given, **named)

        return call

    def open(self, file, mode="r", buffering=-1, *rest, **named):
        if not set(mode) & set("wxa+") or "b" not in mode:
            return self.really_open(file, mode, buffering, *rest, **named)
        self.count()
        raw = HalfWritten(self, file, mode.replace("b", ""))
        return io.BufferedWriter(raw) if buffering else raw


class HalfWritten(io.FileIO):
    """A file on a disk that takes half of what is written before it is full."""

    def __init__(self, disk, file, mode):
        self.disk = disk
        super().__init__(file, mode)

    def write(self, data):
        data = bytes(data)
        half = super().write(data[: len(data) // 2])
        self.disk.count()
        return half + super().write(data[half:])


def full():
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


WAYS = {
    "the disk is full from that call on": lambda at: lambda n: full() if n >= at else None,
    "that call alone fails": lambda at: lambda n: full() if n == at else None,
    "kill -9 at that call": lambda at: lambda n: os.kill(os.getpid(), signal.SIGKILL) if n == at else None,
}


def fill_everywhere(every, wanted):
    """Fail at every call of a run, one run for each; then start it again on a sound disk."""
    wrong, total = [], count_calls()
    for way, fails in WAYS.items():
        tally, statuses, adapters = Tally(wanted), [], {"old": 0, "new": 0, "none": 0}
        for number in range(1, total + 1, every):
            seed = SEEDS[(number // every) % 2]
            told, status, printed = follow(seed, disturb=lambda say, fails=fails, at=number: Disk(fails(at)))
            reached = tally.note(told, 0)
            statuses.append(status)
            said = "The disk is full" in printed or "cannot be" in printed
            if status not in (0, 2, -signal.SIGKILL) or "Traceback" in printed or (status == 2 and not said):
                tally.wrong.append(f"{way}, call {number}: status {status}; {printed[-600:]}")
            adapters[whose_adapter(seed, wanted)] += 1
            told, status, printed = follow(seed)
            tally.note(told, reached)
            tally.end(seed, status, printed, f"{way}, call {number}, started again")
        counts = ", ".join(f"{statuses.count(each)} with status {each}" for each in sorted(set(statuses)))
        wrong += tally.show(f"call {'1' if every == 1 else f'1 + {every} n'} of {total}, {way}: ended {counts}")
        print("  adapter afterwards: " + ", ".join(f"{count} {name}" for name, count in adapters.items()))
    return wrong


def count_calls():
    """How many calls a run makes that replaces an older one's results."""

    def watch(say):
        disk = Disk(lambda number: None)
        real = os._exit
        os._exit = lambda status: say("calls", disk.calls) or real(status)

    told, status, _ = follow(SEEDS[0], disturb=watch)
    assert status == 0
    return int(told[-1][1])


def whose_adapter(seed, wanted):
    """Which adapter is there, whole: that of the run before, that of this one, or none. Anything else is an error."""
    for name, of in (("new", seed), ("old", SEEDS[1 - SEEDS.index(seed)])):
        files = {path: data for path, data in wanted[of].items() if "/adapter/" in path}
        if all(Path(path).is_file() and Path(path).read_bytes() == data for path, data in files.items()):
            return name
    assert not (RUN / "adapter").exists(), "half an adapter"
    return "none"


def undisturbed():
    """The result of each seed, what is reported, and seconds: of a whole run, and of each save in it."""
    wanted = {}
    for seed in (*SEEDS, *SEEDS):  # The second time is warm, and replaces another result.
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
    print(f"a run: {steps} steps, {passes / (steps + 2):.1f} forward passes each, {seconds:.1f} s, {len(windows)} saves")
    failures = []
    rng = random.Random(0)
    if "moments" in experiments:
        failures += kill(kills, at_random(seconds, rng), wanted, inside=False)
    if "saves" in experiments:
        failures += kill(kills, inside_a_save(windows, rng), wanted, inside=True)
    if "steps" in experiments:
        failures += stop_everywhere(steps, wanted)
    if "disk" in experiments:
        failures += fill_everywhere(every, wanted)
    return failures


if __name__ == "__main__":
    ALL = ["moments", "saves", "steps", "disk"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiments", nargs="*", choices=[[], *ALL], default=ALL)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--every", type=int, default=1)
    given = parser.parse_args()
    os.environ["ACCELERATE_USE_CPU"] = "true"
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place, contextlib.chdir(place):
        failures = measure(given.experiments, given.kills, given.every)
    print(*failures, sep="\n")
    sys.exit(bool(failures))
