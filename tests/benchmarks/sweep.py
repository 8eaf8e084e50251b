"""What the settings are worth: a character trained with each value, the others as they are by default.

Every run has four epochs unless it says otherwise; the table shows the loss (nats a token) of the held-out lines that the
author wrote after each of them, the kept one marked; what the kept one makes of the made rows; and the bits per byte of
the author's lines in the held-out part and in the test part, which chooses nothing. `--character NAME` (ada), `--only
TEXT` of a row's name, `--at-once N` runs side by side, of one thread each; without `--whole`, the smallest comparison
alone.
"""

import argparse
import concurrent.futures
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
USUAL = {"epochs": 4}
SWEEP = {
    "defaults": {},
    "learning rate 1e-3": {"learning-rate": 1e-3},
    "learning rate 2e-3": {"learning-rate": 2e-3},
    "learning rate 8e-3": {"learning-rate": 8e-3},
    "rank 8": {"rank": 8},
    "rank 32": {"rank": 32},
    "alpha 16": {"alpha": 16},
    "alpha 64": {"alpha": 64},
    "dropout 0.1": {"dropout": 0.1},
    "4 dialogues a step": {"batch-size": 4},
    "16 dialogues a step": {"batch-size": 16},
    "2 epochs": {"epochs": 2},
    "3 epochs": {"epochs": 3},
    "half of the rows": {"rows": 1 / 2},
    "a quarter of the rows": {"rows": 1 / 4},
    "an eighth of the rows": {"rows": 1 / 8},
    "an eighth of the rows, 2 epochs": {"rows": 1 / 8, "epochs": 2},
    "an eighth of the rows, 6 epochs": {"rows": 1 / 8, "epochs": 6},
}
SMALLEST = {name: SWEEP[name] | {"epochs": 2, "rows": 1 / 8} for name in ("defaults", "rank 8")}


def run(folder, module, *arguments):
    """A command of the project in a working folder of its own."""
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    command = [sys.executable, "-P", "-m", module, *map(str, arguments)]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def trained(made, folder, name, settings, threads):
    """The metrics of a run on the dataset that was `made`."""
    settings = USUAL | settings
    shutil.copytree(made / "runs", folder / "runs")
    keep_rows(folder / "runs" / name / "dataset" / "train.jsonl", settings.pop("rows", 1))
    flags = [part for key, value in settings.items() for part in (f"--{key}", value)]
    run(folder, "finetune", name, "--threads", threads, *flags)
    return json.loads((folder / "runs" / name / "metrics.json").read_text())


def keep_rows(file, share):
    """Leave a part of the rows, drawn without regard to where they stand."""
    rows = file.read_bytes().splitlines(keepends=True)
    kept = random.Random(0).sample(rows, round(len(rows) * share))
    file.write_bytes(b"".join(row for row in rows if row in set(kept)))


def row_of(name, metrics):
    """A line of the table."""
    curve = " ".join(
        f"**{loss:.3f}**" if number == metrics["best_epoch"] else f"{loss:.3f}"
        for number, loss in enumerate(metrics["validation_losses"], 1)
    )
    made, real, test = (
        metrics[f"{part}_after"]
        for part in ("synthetic_validation_loss", "validation_bits_per_byte", "test_bits_per_byte")
    )
    return f"| {name} | {curve} | {made:.3f} | {real:.3f} | {test:.3f} |"


def main(character, chosen, at_once):
    threads = max(1, len(os.sched_getaffinity(0)) // at_once)
    print("| setting | loss of held-out lines after each epoch | of made rows | bits a byte | of the test part |")
    print("|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as place, concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        made = Path(place)
        run(made, "data", character)

        def line(name):
            with tempfile.TemporaryDirectory() as folder:
                return row_of(name, trained(made, Path(folder), character, chosen[name], threads))

        for text in pool.map(line, chosen):
            print(text, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--character", default="ada")
    parser.add_argument("--only", default="")
    parser.add_argument("--at-once", type=int, default=1)
    parser.add_argument("--whole", action="store_true")
    given = parser.parse_args()
    every = SWEEP if given.whole else SMALLEST
    main(given.character, {name: every[name] for name in every if re.search(given.only, name)}, given.at_once)
