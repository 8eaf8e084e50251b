import json
import os
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from finetune import callbacks, checkpoint, loop, parts, rate, run, training
from finetune import results as results_of_runs
from finetune.command import main
from finetune.interrupt import stop_on_signals
from finetune.lock import exclusive
from finetune.model import add_lora, default_learning_rate
from finetune.prepare import MOST_EPOCHS, default_epochs
from finetune.settings import FinetuneSettings
from persona.base import Base
from persona.card import CharacterCard
from persona.contract import Contract
from persona.conversation import Conversation, Message
from persona.errors import PersonaError
from tests.tiny_base import save_tiny_base, tiny_llama

CHECKOUT = Path(__file__).parents[1]
QUESTIONS = ("Is the lamp lit?", "Who are you?", "Any tea?", "Where is the cat?", "How many steps?", "Is it late?")


def talk(number, origin="real"):
    question = QUESTIONS[number % len(QUESTIONS)]
    turns = (
        Message("user", question, "Tom"),
        Message("assistant", f"Yes, Tom. I count to {number} and light the lamp."),
    )
    return Conversation(turns, "Ada", id=f"{origin}-{number}", origin=origin, source="lines.md", scene=str(number))


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A working folder with a character, its dataset and a small base."""
    here = tmp_path_factory.mktemp("work")
    folder = here / "characters" / "mira"
    folder.mkdir(parents=True)
    (folder / "card.toml").write_text('name = "Mira"\ndescription = "Mira keeps the lamp."\ncreator = "A. Writer"\n')
    (folder / "lore.md").write_text("## The lamp\nThe lamp burns oil.\n")
    dataset = here / "runs" / "mira" / "dataset"
    dataset.mkdir(parents=True)
    splits = {
        "train": [talk(n) for n in range(24)],
        "validation": [talk(n) for n in range(24, 30)] + [talk(n, "lore") for n in range(30, 33)],
        "test": [talk(n) for n in range(33, 36)],
    }
    for split, rows in splits.items():
        (dataset / f"{split}.jsonl").write_text("".join(json.dumps(row.to_row()) + "\n" for row in rows))
    save_tiny_base(here / "base")
    return here


@pytest.fixture(autouse=True)
def in_workplace(workplace, one_thread, monkeypatch):
    monkeypatch.chdir(workplace)


ARGUMENTS = "mira --model base --dtype float32 --threads 1 --learning-rate 0.02 --epochs 3 --batch-size 8".split()


def results(workplace):
    return json.loads((workplace / "runs/mira/metrics.json").read_text())


def test_a_run_leaves_an_adapter_that_expects_held_out_lines_better(workplace, capsys):
    assert main(ARGUMENTS) == 0
    shown = capsys.readouterr().out
    assert "nf4" in shown and "epoch 3" in shown and str(workplace / "runs/mira/adapter") in shown
    numbers = results(workplace)
    for kind in ("validation", "synthetic_validation", "test"):
        assert 0 < numbers[f"{kind}_loss_after"] < numbers[f"{kind}_loss_before"]
        assert 0 < numbers[f"{kind}_bits_per_byte_after"] < numbers[f"{kind}_bits_per_byte_before"]
    assert len(numbers["validation_losses"]) == 3
    assert numbers["validation_losses"].index(numbers["validation_loss_after"]) + 1 == numbers["best_epoch"]
    assert (numbers["steps"], numbers["epochs"], numbers["quantization"], numbers["finished"]) == (9, 3, "nf4", True)
    assert numbers["logical_tokens"] > numbers["physical_tokens"] > numbers["trained_tokens"] > 0, "prompts are shared"
    assert numbers["tokens_per_second"] == pytest.approx(numbers["physical_tokens"] / numbers["seconds"], rel=0.05)
    assert numbers["peak_memory_bytes"] > 50e6
    assert (workplace / "runs/mira/loss.png").read_bytes()[:4] == b"\x89PNG"
    folder = workplace / "runs/mira/adapter"
    assert {f.name for f in folder.iterdir()} == {
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "card.json",
        "contract.json",
        "finetune.json",
    }
    assert {w.dtype for w in load_file(folder / "adapter_model.safetensors").values()} == {torch.float32}
    card = CharacterCard.load(folder / "card.json")
    assert (card.name, card.character_book.entries[0].content.strip()) == ("Mira", "The lamp burns oil.")
    base = Base.resolve("base")
    Contract.load(folder).check(base, base.template())
    assert "A. Writer" in (folder / "README.md").read_text()


def test_a_second_run_re_uses_and_a_changed_one_does_not(workplace, capsys, monkeypatch):
    assert main(ARGUMENTS) == 0
    weights = workplace / "runs/mira/adapter/adapter_model.safetensors"
    first = weights.read_bytes()
    capsys.readouterr()
    trained = []
    real = run._train
    monkeypatch.setattr(run, "_train", lambda *given, **how: trained.append(1) or real(*given, **how))
    assert main(ARGUMENTS) == 0
    assert "unchanged" in capsys.readouterr().out and not trained
    assert main([*ARGUMENTS, "--force"]) == 0
    assert trained == [1] and weights.read_bytes() == first
    assert main([*ARGUMENTS, "--seed", "1"]) == 0
    assert trained == [1, 1] and weights.read_bytes() != first
    weights.unlink()
    assert main([*ARGUMENTS, "--seed", "1"]) == 0
    assert trained == [1, 1, 1]


def test_what_a_kill_at_the_very_end_has_left_goes_at_the_next_run_unless_it_is_another_s(workplace, capsys):
    assert main(ARGUMENTS) == 0
    half_removed = workplace / "runs/mira/state/.step-000012.old"
    half_removed.mkdir(parents=True, exist_ok=True)
    (half_removed / "state.json").write_text("{}")
    with exclusive(workplace / "runs/mira"):
        assert main(ARGUMENTS) == 0 and half_removed.exists()
    assert main(ARGUMENTS) == 0 and not half_removed.exists()
    assert capsys.readouterr().out.count("unchanged") == 2


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), MemoryError()]
)
def test_a_base_that_memory_has_no_room_for_is_said_in_words(monkeypatch, capsys, error):
    monkeypatch.setattr(parts, "prepared", lambda *given, **how: (_ for _ in ()).throw(error))
    assert main([*ARGUMENTS, "--force"]) == 2
    said = capsys.readouterr().err
    assert "not enough memory" in said and "persona doctor --model base" in said and "Traceback" not in said


def stop_after(monkeypatch, number, signal_number=signal.SIGINT):
    """The next run is asked to stop while its step `number` is made."""
    real = loop.train

    def interrupted(*given, **named):
        for step in real(*given, **named):
            if step.number == number:
                os.kill(os.getpid(), signal_number)
            yield step

    monkeypatch.setattr(loop, "train", interrupted)


def adapter_of(workplace):
    return {file.name: file.read_bytes() for file in sorted((workplace / "runs/mira/adapter").iterdir())}


@pytest.fixture(scope="module")
def uninterrupted(workplace):
    """The adapter's files of a run with dropout, two forward passes a step and shuffling that nobody disturbs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workplace)
        patch.setenv("ACCELERATE_USE_CPU", "true")
        assert main([*DISTURBED, "--force"]) == 0
        return adapter_of(workplace), results(workplace)["validation_losses"]


DISTURBED = [*ARGUMENTS, "--seed", "5", "--dropout", "0.2", "--forward-tokens", "256", "--save-every", "2"]


@pytest.mark.parametrize("number", [1, 2, 3, 5, 6, 7])
def test_an_interrupted_run_ends_with_the_bytes_of_one_that_was_not(
    workplace, capsys, monkeypatch, uninterrupted, number
):
    with monkeypatch.context() as patch:
        stop_after(patch, number, signal.SIGTERM)
        assert main([*DISTURBED, "--force"]) == 130
    shown = capsys.readouterr().out
    assert f"stopped after step {number + 1} of 9" in shown
    assert "to go on: persona train mira --model base" in shown
    assert main(DISTURBED) == 0
    shown = capsys.readouterr().out
    assert f"going on after step {number + 1} of 9" in shown
    assert adapter_of(workplace) == uninterrupted[0]
    assert results(workplace)["validation_losses"] == uninterrupted[1]
    assert not list((workplace / "runs/mira/state").glob("step-*"))


def test_a_killed_run_goes_on_from_its_last_checkpoint(workplace, capsys, monkeypatch, uninterrupted):
    with monkeypatch.context() as patch:
        patch.setattr(callbacks, "save_checkpoint", killed_at(5))
        with pytest.raises(Killed):
            main([*DISTURBED, "--force"])
    capsys.readouterr()
    assert main(DISTURBED) == 0
    assert "going on after step 4 of 9" in capsys.readouterr().out
    assert adapter_of(workplace) == uninterrupted[0]


class Killed(BaseException):
    """What no handler catches."""


def killed_at(step):
    real = callbacks.save_checkpoint

    def save(training):
        if training.position.step >= step:
            raise Killed
        real(training)

    return save


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(workplace, capsys, monkeypatch, uninterrupted):
    with monkeypatch.context() as patch:
        stop_after(patch, 6)
        assert main([*DISTURBED, "--force"]) == 130
    newest = max((workplace / "runs/mira/state").glob("step-*"))
    file = newest / "tensors.safetensors"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    capsys.readouterr()
    assert main(DISTURBED) == 0
    shown = capsys.readouterr().out
    assert f"the state {newest.name} is damaged" in shown and "going on after step 6 of 9" in shown
    assert adapter_of(workplace) == uninterrupted[0]


def test_what_changed_since_an_interruption_is_said_before_anything_is_lost(workplace, capsys, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(patch, 4)
        assert main([*DISTURBED, "--force"]) == 130
    states = sorted((workplace / "runs/mira/state").iterdir())
    capsys.readouterr()
    assert main([*DISTURBED, "--rank", "8"]) == 2
    error = capsys.readouterr().err
    assert "stands at step 5" in error and "rank: 16 -> 8" in error and "--force" in error
    assert sorted((workplace / "runs/mira/state").iterdir()) == states
    assert main([*DISTURBED, "--save-every", "3"]) == 0, "how often it saves changes nothing"
    assert main([*DISTURBED, "--rank", "8", "--epochs", "1"]) == 0


def test_time_that_is_over_saves_and_says_how_to_go_on(workplace, capsys):
    assert main([*DISTURBED, "--force", "--max-minutes", "0.01"]) == 75
    shown = capsys.readouterr().out
    assert "to go on: persona train mira" in shown and "--max-minutes 0.01" in shown
    assert main(DISTURBED) == 0 and "going on after step" in capsys.readouterr().out


def test_a_search_for_the_rate_that_is_stopped_trains_nothing(workplace, capsys, monkeypatch):
    real, plans = rate.train, []

    def interrupted(model, examples, accelerator, plan, *given, **named):
        plans.append(plan)
        for step in real(model, examples, accelerator, plan, *given, **named):
            if step.number == 3:
                os.kill(os.getpid(), signal.SIGTERM)
            yield step

    monkeypatch.setattr(rate, "train", interrupted)
    assert main([*ARGUMENTS, "--seed", "11", "--force", "--lr", "find"]) == 130
    shown = capsys.readouterr().out
    assert "stopped after step 0 of" in shown and "to go on: persona train mira" in shown
    assert "before training" not in shown and not list((workplace / "runs/mira/state").glob("step-*"))
    assert {len(rows) for epoch in plans[0] for rows in epoch[:-1]} <= {8, 4} and max(map(len, plans[0][0])) == 8


class Noted:
    """What a tracker is told."""

    name, requires_logging_directory, main_process_only = "tensorboard", True, True

    def __init__(self, project, folder):
        self.told.append((project, Path(folder).name))

    def start(self):
        pass

    def store_init_configuration(self, values):
        self.told.append(values)

    def log(self, values, step, **given):
        self.told.append((step, *values))

    def finish(self):
        self.told.append("end")


def test_a_tracker_is_told_of_every_step_and_evaluation(workplace, monkeypatch):
    from accelerate import tracking

    monkeypatch.setattr(tracking, "_available_trackers", [tracking.LoggerType.TENSORBOARD])
    noted = []
    monkeypatch.setattr(Noted, "told", noted, raising=False)
    monkeypatch.setitem(tracking.LOGGER_TYPE_TO_CLASS, "tensorboard", Noted)
    assert main([*ARGUMENTS, "--force", "--tracker", "tensorboard"]) == 0
    project, settings, *told, end = noted
    assert project == ("persona", "mira") and settings["rank"] == 16 and None not in settings.values() and end == "end"
    steps = [number for number, *names in told if "loss" in names]
    assert steps == list(range(1, 10)) and [n for n, *names in told if "validation_loss" in names] == [0, 3, 6, 9]


def test_a_tracker_that_is_not_there_is_missed_before_anything_is_loaded(capsys, monkeypatch):
    from accelerate import tracking

    monkeypatch.setattr(tracking, "_available_trackers", [])
    assert main([*ARGUMENTS, "--force", "--tracker", "trackio"]) == 2
    said = capsys.readouterr()
    assert "pip install trackio" in said.err and "base:" not in said.out


def test_ctrl_c_saves_the_best_epoch_so_far(workplace, capsys, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(patch, 4)
        assert main([*ARGUMENTS, "--seed", "7", "--force"]) == 130
    assert "kept epoch 1 of 1" in capsys.readouterr().out and results(workplace)["finished"] is False
    assert main([*ARGUMENTS, "--seed", "7"]) == 0
    assert results(workplace)["finished"] is True


def test_ctrl_c_before_the_first_epoch_leaves_the_adapter_that_was_there(workplace, monkeypatch):
    assert main(ARGUMENTS) == 0
    before = adapter_of(workplace)
    with monkeypatch.context() as patch:
        stop_after(patch, 1, signal.SIGTERM)
        assert main([*ARGUMENTS, "--seed", "6"]) == 130
    assert adapter_of(workplace) == before
    assert main([*ARGUMENTS, "--force"]) == 0


def test_a_run_stopped_in_its_first_epoch_has_a_page_and_that_of_the_run_gone_on_with_is_whole(
    workplace, capsys, monkeypatch
):
    told, write = [], results_of_runs.training_page
    monkeypatch.setattr(results_of_runs, "training_page", lambda given: told.append(given) or write(given))
    with monkeypatch.context() as patch:
        stop_after(patch, 1)
        assert main([*ARGUMENTS, "--seed", "8", "--force"]) == 130
    shown = capsys.readouterr().out
    assert "report of what was trained so far: " in shown and "held-out real lines" not in shown
    page = (workplace / "runs/mira/report.html").read_text()
    assert "It stands at step 2 of 9" in page and "persona train mira --model base" in page
    assert main([*ARGUMENTS, "--seed", "8"]) == 0
    stopped, whole = told
    assert (len(stopped.memory), len(whole.memory)) == (2, 9) and whole.memory[:2] == stopped.memory
    assert max(whole.memory) <= results(workplace)["peak_memory_bytes"]
    assert "It stands at" not in (workplace / "runs/mira/report.html").read_text()


def test_a_disk_without_room_is_refused_before_the_first_step(workplace, capsys, monkeypatch):
    usage = namedtuple("usage", "total used free")(0, 0, 1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert main([*ARGUMENTS, "--seed", "10", "--force"]) == 2
    shown = capsys.readouterr()
    assert "There is no room for the run: 0.0 GB free for" in shown.err and "plan: disk: 0.0 GB" in shown.out
    assert "before training" not in shown.out and not list((workplace / "runs/mira/state").glob("step-*"))


def test_a_second_trainer_is_refused(workplace, capsys):
    with exclusive(workplace / "runs/mira"):
        assert main([*ARGUMENTS, "--force"]) == 2
    assert "Another trainer" in capsys.readouterr().err


def test_the_plan_trains_nothing(workplace, capsys):
    before = adapter_of(workplace) if (workplace / "runs/mira/adapter").exists() else None
    assert main([*ARGUMENTS, "--seed", "9", "--plan"]) == 0
    shown = capsys.readouterr().out
    assert (
        "plan: 9 steps" in shown and "s a step" in shown and "GiB of memory" in shown and "before training" not in shown
    )
    assert "plan: disk: " in shown and "plan: other bases would need" in shown
    assert not list((workplace / "runs/mira").glob("state/step-*"))
    assert before is None or adapter_of(workplace) == before


def test_a_rate_that_was_found_is_that_of_a_run_which_was_given_it(workplace, capsys, monkeypatch):
    monkeypatch.setattr(rate, "STEPS", 40)
    common = "mira --model base --dtype float32 --threads 1 --epochs 1 --batch-size 8 --force".split()
    assert main([*common, "--lr", "find"]) == 0
    assert "learning rate" in capsys.readouterr().out
    assert (workplace / "runs/mira/rate.png").read_bytes()[:4] == b"\x89PNG"
    found, weights = results(workplace)["learning_rate"], adapter_of(workplace)["adapter_model.safetensors"]
    assert main([*common, "--lr", repr(found)]) == 0
    assert adapter_of(workplace)["adapter_model.safetensors"] == weights


def test_patience_ends_a_run_that_no_longer_learns(workplace, monkeypatch):
    asked = []
    monkeypatch.setattr(training, "should_stop", lambda losses, patience: asked.append(patience) or len(losses) == 3)
    assert main([*ARGUMENTS, "--force", "--epochs", "9", "--patience", "2"]) == 0
    assert (results(workplace)["epochs"], results(workplace)["finished"]) == (3, True) and set(asked) == {2}


def test_the_second_signal_stops_at_once():
    with pytest.raises(KeyboardInterrupt), stop_on_signals() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.is_set()
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


LOAD_WITH_PEFT = """
import sys, torch
from peft import PeftModel
from transformers import AutoModelForCausalLM
base = AutoModelForCausalLM.from_pretrained(sys.argv[1])
ids = torch.arange(5, 25)[None]
with torch.no_grad():
    plain = base(input_ids=ids).logits
    adapted = PeftModel.from_pretrained(base, sys.argv[2])(input_ids=ids).logits
assert torch.isfinite(adapted).all() and not torch.allclose(plain, adapted, atol=1e-3)
print("loaded")
"""


def test_the_adapter_loads_with_plain_peft_in_a_fresh_process(workplace):
    assert main(ARGUMENTS) == 0
    config = json.loads((workplace / "runs/mira/adapter/adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == Base.resolve("base").name
    assert (config["r"], config["bias"], config["use_dora"], config["modules_to_save"]) == (16, "none", False, None)
    assert sorted(config["target_modules"]) == config["target_modules"] and len(config["target_modules"]) == 7
    done = subprocess.run(
        [sys.executable, "-c", LOAD_WITH_PEFT, str(workplace / "base"), str(workplace / "runs/mira/adapter")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.strip() == "loaded", done.stderr[-2000:]


def test_weights_that_are_no_numbers_are_not_saved(tmp_path):
    model = add_lora(tiny_llama(), FinetuneSettings())
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "older.txt").write_text("stays")
    with torch.no_grad():
        next(p for n, p in model.named_parameters() if "lora_B" in n)[0, 0] = float("inf")
    base = Base.resolve("base")
    contract = Contract.of(base, base.template())
    card = CharacterCard(name="Mira")
    with pytest.raises(PersonaError, match="not finite"):
        checkpoint.save_adapter(folder, model, base=base, card=card, contract=contract, record={}, model_card="# Mira")
    assert [f.name for f in tmp_path.rglob("*")] == ["adapter", "older.txt"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Which character?"),
        (["nobody"], "nobody"),
        (["mira", "--model", "no-such-base"], "no-such-base"),
        (["mira", "--epochs", "0"], "epochs is 0"),
        (["mira", "--context", "99999999"], "context"),
        (["ada"], "python -m data ada"),
    ],
)
def test_problems_are_printed_in_a_few_lines(arguments, said, capsys):
    assert main(arguments) == 2
    shown = capsys.readouterr().err
    assert said in shown and len(shown.splitlines()) <= 4


def test_check_is_one_line(capsys):
    assert main(["--check"]) == 0
    assert capsys.readouterr().out.startswith("finetune: ok (torch ")


def test_defaults_follow_size():
    rates = [default_learning_rate(n) for n in (7e6, 500e6, 4e9, 8e9)]
    assert rates == sorted(rates, reverse=True) and rates[-1] == 2e-4
    assert default_epochs(1) == MOST_EPOCHS and default_epochs(10_000) == 2
