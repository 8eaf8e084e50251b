"""A run whose results are cut off or find no room ends, started again, with all files of one run and nothing besides.

The long form, with real kills of forked trainers, is `tests/benchmarks/killed_runs.py`.
"""

import errno
import os
from pathlib import Path

import pytest

from finetune import samples
from finetune.command import main
from finetune.state import State, forget_states, save_state
from tests.forked_trainer import COMMAND, RUN, make_workplace, result

SHORT = [*COMMAND[:-1], "--epochs", "1", "--batch-size", "12", "--seed"]


class Died(BaseException):
    """The process is gone."""


@pytest.fixture(autouse=True)
def small(tmp_path, one_thread, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(samples, "REPLY_TOKENS", 4)


def start_with_end_at(name, how, seed, monkeypatch):
    """Start a run that ends where its file `name` takes its place: before, with a full disk, or right after."""
    really = os.replace

    def replace(source, target):
        if Path(target).name == name and how == "full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        really(source, target)
        if Path(target).name == name:
            raise Died

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        return main([*SHORT, seed])


def test_results_that_are_cut_off_anywhere_are_all_written_again(monkeypatch, capsys):
    make_workplace()
    assert main([*SHORT, "6"]) == 0
    wanted = result()
    assert main([*SHORT, "5"]) == 0
    assert result() != wanted
    for name in ("adapter", "loss.png", "report.html"):
        with pytest.raises(Died):
            start_with_end_at(name, "killed", "6", monkeypatch)
    for name in ("adapter_model.safetensors", "metrics.json", "row_losses.jsonl"):
        capsys.readouterr()
        assert start_with_end_at(name, "full", "6", monkeypatch) == 2
        shown = capsys.readouterr()
        assert "going on after step 2 of 2" in shown.out
        assert "The disk is full" in shown.err and "run the same command" in shown.err
    for folder in (".adapter.a1b2c3_4/adapter", ".adapter.0a1b2c3d.old", "state/.step-000001.tmp"):
        (RUN / folder).mkdir(parents=True)
        (RUN / folder / "half").write_text("{")
    for name in (".metrics.json.0a1b2c3d.tmp", ".rate.png.0a1b2c3d.tmp"):
        (RUN / name).write_text("{")
    (RUN / ".note").write_text("of somebody else")
    assert main([*SHORT, "6"]) == 0
    (RUN / ".note").unlink()
    assert result() == wanted


def test_what_saves_that_were_cut_off_have_left_goes_with_the_states(tmp_path):
    save_state(tmp_path, State(4, {}, {}))
    for name in (".step-000003.old", ".step-000006-older.old", ".step-000006.tmp", ".step-none", "notes"):
        (tmp_path / name).mkdir()
    forget_states(tmp_path, after=4)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".step-none", "notes", "step-000004"]
