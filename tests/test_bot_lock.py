"""One bot for each run, whatever became of the one before."""

import subprocess
import sys
from pathlib import Path

import pytest

from bot.lock import only_one
from persona.errors import PersonaError

HOLDER = """
import sys
from pathlib import Path
from bot.lock import only_one
with only_one(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_refused_until_the_first_has_ended_killed_or_not(tmp_path):
    path = tmp_path / "runs" / "ada" / "bot.lock"
    pipe = subprocess.PIPE
    checkout = Path(__file__).parents[1]
    with subprocess.Popen([sys.executable, "-c", HOLDER, path], cwd=checkout, stdin=pipe, stdout=pipe) as holder:
        assert holder.stdout.readline().strip() == b"held"
        with pytest.raises(PersonaError, match="running from this folder already") as error, only_one(path):
            pass
        assert str(path) in str(error.value) and len(str(error.value).splitlines()) <= 4
        holder.kill()
    for _ in range(2):
        with only_one(path):
            pass


def test_runs_do_not_lock_each_other(tmp_path):
    with only_one(tmp_path / "ada" / "bot.lock"), only_one(tmp_path / "juno" / "bot.lock"):
        pass


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(PersonaError, match="lock cannot be written"), only_one(tmp_path / "runs" / "bot.lock"):
        pass
