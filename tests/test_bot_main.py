"""The command line of the bot."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]


@pytest.fixture
def bot(tmp_path):
    return lambda *arguments, **environment: run(tmp_path, *arguments, **environment)


def run(folder, *arguments, **environment):
    clean = {k: v for k, v in os.environ.items() if k not in ("DISCORD_TOKEN", "PERSONA_SERVER_TOKEN")}
    clean["PYTHONPATH"] = str(CHECKOUT)
    command = [sys.executable, "-m", "bot", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, env=clean | environment)


def test_help_is_quick_and_imports_no_discord():
    code = "import sys, bot.__main__ as m\ntry: m.main(['--help'])\nexcept SystemExit: pass\n"
    code += "print([n for n in ('discord', 'torch', 'httpx2', 'sqlalchemy') if n in sys.modules], file=sys.stderr)"
    start = time.perf_counter()
    result = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True)
    assert time.perf_counter() - start < 2, "0.05 s on an idle machine"
    assert result.stderr.strip() == "[]" and "--endpoint" in result.stdout


def test_missing_things_are_one_clear_error(bot):
    for arguments, environment, word in [
        (("ada",), {}, "There is no Discord token."),
        (("nobody-of-this-name",), {"DISCORD_TOKEN": "t"}, "nobody-of-this-name"),
        (("ada", "--endpoint", "nowhere"), {"DISCORD_TOKEN": "t"}, "not the address"),
    ]:
        result = bot(*arguments, **environment)
        assert result.returncode == 2 and word in result.stderr
        assert "Traceback" not in result.stderr and len(result.stderr.splitlines()) <= 4


def test_a_missing_endpoint_is_one_clear_error(bot):
    result = bot("ada", "--endpoint", "http://127.0.0.1:9", DISCORD_TOKEN="t")
    assert result.returncode == 2 and "No persona server answers." in result.stderr
    assert "Traceback" not in result.stderr and len(result.stderr.splitlines()) <= 4


def test_check_names_what_is_missing(bot):
    result = bot("--check")
    assert result.returncode == 2
    assert "ok    packages: discord.py" in result.stdout and "FAIL  There is no Discord token." in result.stdout
    assert bot("--check", DISCORD_TOKEN="t").returncode == 0


@pytest.mark.parametrize("endpoint", [(), ("--endpoint", "http://127.0.0.1:9")])
def test_the_log_shows_no_token(tmp_path, endpoint):
    code = """
import logging, sys, bot.app, bot.__main__ as command
async def run(settings):
    logging.error("tokens: %s %s", settings.token, settings.server_token)
bot.app.run = run
command.main(sys.argv[1:])
"""
    environment = os.environ | {
        "PYTHONPATH": str(CHECKOUT),
        "DISCORD_TOKEN": "dis.cord",
        "PERSONA_SERVER_TOKEN": "serv-er",
    }
    command = [sys.executable, "-c", code, "ada", *endpoint]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, env=environment)
    assert result.stderr.endswith("tokens: [secret] [secret]\n"), result.stderr
