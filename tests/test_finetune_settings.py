import argparse
import shlex
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from finetune.settings import FinetuneSettings, add_flags, settings_from
from persona.errors import PersonaError

CHECKOUT = Path(__file__).parents[1]


def parse(*arguments):
    parser = argparse.ArgumentParser()
    add_flags(parser)
    return settings_from(parser.parse_args(arguments))


def test_without_flags_the_defaults_hold():
    assert parse() == FinetuneSettings()


def test_every_flag_reaches_its_setting():
    flags = """
        --model some/base --rank 32 --alpha 8 --dropout 0.1 --learning-rate 3e-4 --epochs 2 --batch-size 4
        --gradient-accumulation 3 --context 512 --quantization none --dtype float32 --threads 1 --seed 7
        --gradient-checkpointing --deterministic --schedule one_cycle --patience 2 --forward-tokens 2048 --save-every 9
        --max-minutes 2.5 --tracker tensorboard --parallel fsdp
    """
    given = parse(*shlex.split(flags))
    assert given == FinetuneSettings(
        model="some/base",
        rank=32,
        alpha=8,
        dropout=0.1,
        learning_rate=3e-4,
        epochs=2,
        batch_size=4,
        gradient_accumulation=3,
        context=512,
        quantization="none",
        dtype="float32",
        gradient_checkpointing=True,
        deterministic=True,
        threads=1,
        seed=7,
        schedule="one_cycle",
        patience=2,
        forward_tokens=2048,
        save_every=9,
        max_minutes=2.5,
        tracker="tensorboard",
        parallel="fsdp",
    )
    changed = {f.name for f in fields(given) if getattr(given, f.name) != getattr(FinetuneSettings(), f.name)}
    assert changed == {f.name for f in fields(given)}


def test_what_to_type_again_works_in_any_folder_and_with_as_many_processes():
    assert FinetuneSettings(rank=8).command("my ada", 1) == "persona train 'my ada' --rank 8"
    launched = FinetuneSettings(deterministic=True).command("ada", 2).split()
    assert launched[:4] == ["accelerate", "launch", "--num_processes", "2"] and launched[5:] == [
        "ada",
        "--deterministic",
    ]
    assert (Path(launched[4]) / "__main__.py").is_file()


def test_every_flag_explains_itself():
    parser = argparse.ArgumentParser()
    add_flags(parser)
    helps = {action.dest: action.help for action in parser._actions if action.dest != "help"}
    assert set(helps) == {f.name for f in fields(FinetuneSettings)}
    assert all(text and text[0].isupper() and "." in text for text in helps.values())


@pytest.mark.parametrize(
    "wrong",
    [
        {"rank": 12},
        {"alpha": 0},
        {"dropout": 0.9},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"epochs": 0},
        {"batch_size": 2.5},
        {"batch_size": True},
        {"gradient_accumulation": None},
        {"context": 10},
        {"quantization": "int8"},
        {"dtype": "float8"},
        {"seed": -1},
    ],
)
def test_a_value_outside_its_range_is_named(wrong):
    with pytest.raises(PersonaError, match=next(iter(wrong))):
        FinetuneSettings(**wrong)


@pytest.mark.parametrize("start", [["-m", "finetune"], ["finetune"]])
def test_help_loads_nothing_heavy(start):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *start, "--help"], cwd=CHECKOUT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0
    assert "--learning-rate" in done.stdout
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "finetune.settings" in loaded
    assert not loaded & {"torch", "transformers", "peft", "accelerate", "datasets", "matplotlib", "numpy"}
