"""A small fine-tuning run in a forked process, watched through a pipe and disturbed on purpose.

The process that forks has done all imports, computes with one thread and trains nothing itself.
"""

import builtins
import contextlib
import errno
import importlib
import io
import itertools
import json
import os
import pkgutil
import signal
import sys
import traceback
from pathlib import Path

import finetune
from finetune import loop, results, samples, state
from finetune.command import main
from persona.conversation import Conversation, Message
from tests.tiny_base import save_tiny_base

for name in ("bitsandbytes", "matplotlib.backends.backend_agg", "matplotlib.figure", "peft", "persona.engines.local"):
    importlib.import_module(name)
for found in pkgutil.iter_modules(finetune.__path__, "finetune."):
    if not found.ispkg and not found.name.endswith("__"):
        importlib.import_module(found.name)

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
    counted = f"Yes, Tom. I count to {number}, light the lamp, and write {number * 7} into the book of the tower."
    turns = (
        Message("user", f"Is lamp {number} lit?", "Tom"),
        Message("assistant", counted),
        Message("user", "And then?", "Tom"),
        Message(
            "assistant", f"Then I go down {number + 90} steps, feed the cat, and wait for the boat of the morning."
        ),
    )
    return Conversation(turns, "Ada", id=f"{origin}-{number}", origin=origin, source="lines.md", scene=str(number))


def make_workplace():
    """A character, its dataset and a small base in the working folder."""
    folder, dataset = Path("characters/mira"), RUN / "dataset"
    folder.mkdir(parents=True)
    dataset.mkdir(parents=True)
    (folder / "card.toml").write_text('name = "Mira"\ndescription = "Mira keeps the lamp."\n')
    splits = {"train": range(48), "validation": range(48, 54), "test": range(54, 56)}
    for split, numbers in splits.items():
        rows = [talk(number, "lore" if number > 52 and split == "validation" else "real") for number in numbers]
        (dataset / f"{split}.jsonl").write_text("".join(json.dumps(row.to_row()) + "\n" for row in rows))
    save_tiny_base(Path("base"))


def start(seed, disturb):
    """Fork a trainer whose reports can be read; `disturb` is called in it, with its way to report."""
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
    """Have the trainer tell where it begins, its forward passes and steps, and when it begins and ends to save."""
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

    loop.train = told_train
    loop._batch = lambda *given: say("pass") or batch(*given)
    state.save_state, state.forget_states = told(state.save_state), told(state.forget_states)
    results.write_results = told(results.write_results)


def until_it_ends(pid, lines):
    """Leave it in peace: what it reports, one list of words for each line."""
    return [line.split() for line in lines]


def follow(seed, watch=until_it_ends, disturb=lambda say: None):
    """Start once: what `watch` was told, the exit status (below zero: the signal), and what was printed."""
    pid, lines = start(seed, disturb)
    with lines:
        told = watch(pid, lines)
    return told, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), Path("log").read_text()


def result():
    """All that the run folder holds and that does not depend on the time of day, and whether its files agree."""
    metrics = json.loads((RUN / "metrics.json").read_text())
    speed, page = f"<b>{metrics['tokens_per_second']:,.0f}</b>tokens a second", (RUN / "report.html").read_text()
    files = sorted(path for path in RUN.rglob("*") if path.parts[2] != "dataset" and path.name != "train.lock")
    plain = [path for path in files if path.is_file() and path.name not in ("metrics.json", "report.html")]
    return {
        "the names of all files": [str(path) for path in files],
        "metrics": {key: value for key, value in metrics.items() if key not in OF_THE_DAY},
        "the page has the speed of metrics.json": speed in page,
        **{str(path): path.read_bytes() for path in plain},
    }


def stop_in(number):
    """Have the trainer told to stop while it makes its step `number`, counted from its start."""
    made, gradients = itertools.count(1), loop.gradients

    def asked(*given, **named):
        if next(made) == number:
            os.kill(os.getpid(), signal.SIGTERM)
        return gradients(*given, **named)

    loop.gradients = asked


class Disk:
    """Counts the calls by which this process changes the disk; `fails` is told each number, and may raise."""

    def __init__(self, fails):
        self.calls, self.fails, self.really_open = 0, fails, io.open
        for name in ("mkdir", "rename", "replace", "fsync", "unlink", "rmdir"):
            setattr(os, name, self.counted(getattr(os, name)))
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
        if not set(mode) & set("wxa+"):
            return self.really_open(file, mode, buffering, *rest, **named)
        assert "b" in mode, f"{file} is written as text"
        self.count()
        raw = HalfWritten(self, file, mode.replace("b", ""), named.get("opener"))
        return io.BufferedWriter(raw) if buffering else raw


class HalfWritten(io.FileIO):
    """A file on a disk that takes half of what is written before it is full."""

    def __init__(self, disk, file, mode, opener=None):
        self.disk = disk
        super().__init__(file, mode, opener=opener)

    def write(self, data):
        data = bytes(data)
        half = super().write(data[: len(data) // 2])
        self.disk.count()
        return half + super().write(data[half:])


def full():
    """What every write comes to on a full disk."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
