"""Do time and memory grow with the rows? Real rows, copied with other words, are read, encoded and planned.

`--rows N ...` (1000 10000; 100000 take a quarter of an hour), each in a process of its own. Memory is what the process
held at most, above what it held after one row. Time is the processor's: that of reading all splits, encoding them to
disk and taking their digest; of planning an epoch, its order first, then the tokens of all its steps; and of reading
one example back.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from itertools import count, islice, pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

ROWS_A_STEP = 16
READ = 2_000
FIGURES = "rows examples tokens seconds memory order_seconds tokens_seconds planned_memory access".split()


def copies(rows):
    """The rows again and again; no text occurs in two of them."""
    for number in count():
        for row in rows:
            said = tuple(replace(m, content=f"{m.content} Night {number + 1} of the watch.") for m in row.messages)
            yield replace(row, id=f"{row.id}-{number}", messages=said)


def write_dataset(folder, character, rows):
    """`rows` trained rows; those held out are the character's own."""
    from data.build import make_dataset
    from data.inputs import read_input

    made = make_dataset(read_input(character), 0, {})[1].rows
    folder.mkdir(parents=True)
    for split, own in made.items():
        wanted = islice(copies(own), rows) if split == "train" else own
        with (folder / f"{split}.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row.to_row()) + "\n" for row in wanted)


def memory(what):
    """`VmRSS` is what this process holds now, `VmHWM` what it has held at most, in MB."""
    return int(Path("/proc/self/status").read_text().split(f"{what}:")[1].split()[0]) / 1000


def measure(character):
    """One process's figures, for the dataset in its working folder."""
    from finetune.encoded import OnAccess
    from finetune.inputs import read_inputs
    from finetune.plan import _work
    from finetune.rows import encode_rows, plan_epoch, read_split
    from finetune.settings import FinetuneSettings
    from persona.base import Base
    from persona.card import CharacterCard
    from persona.paths import find_character

    settings, place = FinetuneSettings(), find_character(character)
    first = islice(read_split(place.dataset, "train", character), 1)
    encode_rows(first, CharacterCard.load(place.card), Base.resolve(settings.model).template())  # imports the rest
    start, times = memory("VmRSS"), [time.process_time()]
    inputs = read_inputs(character, settings)
    train, encoded = inputs.train, memory("VmHWM") - start
    times.append(time.process_time())
    likeness = OnAccess(range(len(train)), lambda row: train[row].ids)
    steps = plan_epoch(likeness, seed=0, epoch=0, rows_per_step=ROWS_A_STEP)
    times.append(time.process_time())
    for step in steps:
        _work([train[row] for row in step], 1, settings.forward_tokens, True)
    times.append(time.process_time())
    planned = memory("VmHWM") - start
    for row in random.Random(0).choices(range(len(train)), k=READ):
        train[row]
    times.append(time.process_time())
    encoding, order, sizes, reading = (b - a for a, b in pairwise(times))
    tokens = sum(len(example.ids) for example in train)
    found = (inputs.rows["train"], len(train), tokens, encoding, encoded, order, sizes, planned, reading / READ * 1e6)
    print(json.dumps(dict(zip(FIGURES, found, strict=True))))


def run(character, rows):
    """The figures of a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        write_dataset(Path(folder) / "runs" / character / "dataset", character, rows)
        program = [sys.executable, str(Path(__file__).resolve()), "--character", character, "--measure"]
        done = subprocess.run(program, cwd=folder, env=os.environ, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])  # behind lines of progress


def main(character, sizes):
    print(f"{character}: {'rows':>8} tokens/row   encoded    rows/s   memory | order   tokens   memory | one example")
    known = []
    for rows in sizes:
        found = run(character, rows)
        known.append(found)
        print(
            f"{'':{len(character)}}  {found['rows']:8,} {found['tokens'] / found['rows']:10.0f} {found['seconds']:8.1f} s "
            f"{found['rows'] / found['seconds']:8.0f} {found['memory']:5.0f} MB | {found['order_seconds']:3.1f} s "
            f"{found['tokens_seconds']:6.1f} s {found['planned_memory']:5.0f} MB | {found['access']:.0f} us",
            flush=True,
        )
    for first, second in pairwise(known):
        ratios = {key: second[key] / first[key] for key in FIGURES}
        more = (second["planned_memory"] - first["planned_memory"]) * 1e6 / (second["rows"] - first["rows"])
        print(
            f"{ratios['rows']:.1f} times the rows: {ratios['seconds']:.1f} times the seconds to encode, "
            f"{ratios['order_seconds']:.1f} and {ratios['tokens_seconds']:.1f} to plan; {ratios['memory']:.2f} times "
            f"the memory to encode, {ratios['planned_memory']:.2f} to plan ({more:,.0f} bytes a row)"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--character", default="ada")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        measure(given.character)
    else:
        main(given.character, given.rows)
