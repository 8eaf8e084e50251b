import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from finetune import checkpoint, run
from finetune.command import main
from finetune.interrupt import stop_on_signals
from finetune.model import add_lora, default_learning_rate
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
def in_workplace(workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


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
    assert numbers["validation_loss_after"] == min(numbers["validation_losses"])
    assert numbers["validation_losses"].index(numbers["validation_loss_after"]) + 1 == numbers["best_epoch"]
    assert (numbers["steps"], numbers["epochs"], numbers["quantization"], numbers["finished"]) == (9, 3, "nf4", True)
    assert numbers["physical_tokens"] >= numbers["logical_tokens"] > numbers["trained_tokens"] > 0
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
    monkeypatch.setattr(run, "_train", lambda *given: trained.append(1) or real(*given))
    assert main(ARGUMENTS) == 0
    assert "unchanged" in capsys.readouterr().out and not trained
    assert main([*ARGUMENTS, "--force"]) == 0
    assert trained == [1] and weights.read_bytes() == first
    assert main([*ARGUMENTS, "--seed", "1"]) == 0
    assert trained == [1, 1] and weights.read_bytes() != first
    weights.unlink()
    assert main([*ARGUMENTS, "--seed", "1"]) == 0
    assert trained == [1, 1, 1]


def test_ctrl_c_saves_the_best_epoch_so_far(workplace, capsys, monkeypatch):
    from finetune import loop

    real = loop.train

    def interrupted(*given, **named):
        for step in real(*given, **named):
            if step.number == 4:
                os.kill(os.getpid(), signal.SIGINT)
            yield step

    monkeypatch.setattr(loop, "train", interrupted)
    assert main([*ARGUMENTS, "--seed", "5"]) == 130
    shown = capsys.readouterr().out
    assert "epoch 1 is saved" in shown and "accelerate launch finetune mira" in shown
    assert results(workplace)["finished"] is False
    monkeypatch.setattr(loop, "train", real)
    assert main([*ARGUMENTS, "--seed", "5"]) == 0
    assert results(workplace)["finished"] is True


def test_ctrl_c_before_the_first_epoch_leaves_what_was_there(workplace, capsys, monkeypatch):
    from finetune import loop

    assert main(ARGUMENTS) == 0
    before = {f: f.read_bytes() for f in (workplace / "runs/mira/adapter").iterdir()}
    real = loop.train

    def interrupted(*given, **named):
        for step in real(*given, **named):
            os.kill(os.getpid(), signal.SIGTERM)
            yield step
            return

    monkeypatch.setattr(loop, "train", interrupted)
    assert main([*ARGUMENTS, "--seed", "6"]) == 130
    assert "nothing was written" in capsys.readouterr().out
    assert {f: f.read_bytes() for f in (workplace / "runs/mira/adapter").iterdir()} == before


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
    assert run.default_epochs(1) == run.MOST_EPOCHS and run.default_epochs(10_000) == 2
