"""The supervised server, with a stand-in of a few lines."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bot.child import Child, server_command
from bot.endpoint import EndpointError
from persona.errors import PersonaError

STAND_IN = """
import json, os, sys
print("loading", file=sys.stderr)
print("a line that is none", flush=True)
print(json.dumps({"port": int(sys.argv[1])}), flush=True)
with open(sys.argv[2], "a") as log:
    token = os.environ.get("PERSONA_SERVER_TOKEN")
    log.write(json.dumps([os.getpid(), token, "DISCORD_TOKEN" in os.environ]) + "\\n")
sys.stdin.read()
with open(sys.argv[2], "a") as log:
    log.write('"ended"\\n')
"""


def stand_in(tmp_path, port=4711):
    script = tmp_path / "server.py"
    script.write_text(STAND_IN)
    return [sys.executable, str(script), str(port), str(tmp_path / "log")]


def read_log(tmp_path):
    path = tmp_path / "log"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


async def until(condition, seconds=10):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def test_it_is_started_with_a_token_and_ends_with_its_input(tmp_path, monkeypatch):
    monkeypatch.setenv("DISCORD_TOKEN", "secret")
    async with Child(stand_in(tmp_path), "t0ken") as child:
        assert child.url() == "http://127.0.0.1:4711"
        await until(lambda: read_log(tmp_path))
    ((_, token, knows_discord), end) = read_log(tmp_path)
    assert token == "t0ken" and not knows_discord and end == "ended"
    with pytest.raises(EndpointError):
        child.url()


async def test_a_server_that_dies_is_started_again_with_the_same_token(tmp_path, caplog):
    async with Child(stand_in(tmp_path), "t0ken", first_pause_seconds=0.3) as child:
        await until(lambda: read_log(tmp_path))
        os.kill(read_log(tmp_path)[0][0], signal.SIGKILL)
        await until(lambda: child._port is None)
        with pytest.raises(EndpointError) as error:
            child.url()
        assert error.value.kind == "unreachable"
        await until(lambda: len(read_log(tmp_path)) == 2)
        await until(lambda: child._port is not None)
    first, second, _ = read_log(tmp_path)
    assert first[0] != second[0] and first[1] == second[1] == "t0ken"
    assert "The model server ended (exit status -9)" in caplog.text


async def test_a_server_that_does_not_start_is_one_clear_error(tmp_path, capfd):
    command = [sys.executable, "-c", "import sys; sys.exit('no such character: x')"]
    with pytest.raises(PersonaError, match=r"did not start \(exit status 1\)") as error:
        async with Child(command, "t0ken"):
            pass
    assert "no such character: x" in str(error.value) and len(str(error.value).splitlines()) <= 4
    assert "no such character: x" in capfd.readouterr().err


async def test_a_server_that_never_gets_ready_is_ended(tmp_path):
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    with pytest.raises(PersonaError, match="not ready after 0 seconds"):
        async with Child(command, "t0ken", start_seconds=0.3) as child:
            pass
    child = Child(command, "t0ken", start_seconds=0.3)
    with pytest.raises(PersonaError):
        await child.__aenter__()
    assert child._process.returncode is not None


def test_it_dies_with_a_killed_bot(tmp_path):
    """The bot gets SIGKILL, so nothing of ours can run in it any more."""
    program = f"""
import asyncio
from bot.child import Child
async def main():
    async with Child({stand_in(tmp_path)!r}, "t0ken"):
        print("up", flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""
    checkout = Path(__file__).parents[1]
    bot = subprocess.Popen([sys.executable, "-c", program], cwd=checkout, stdout=subprocess.PIPE)
    assert bot.stdout.readline() == b"up\n"
    bot.kill()
    bot.wait()
    asyncio.run(until(lambda: read_log(tmp_path)[-1:] == ["ended"]))
    bot.stdout.close()


def test_the_command_is_the_one_of_the_server():
    assert server_command("ada")[1:] == ["-m", "persona", "serve", "ada", "--port", "0", "--child"]
