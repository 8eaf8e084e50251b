"""`persona serve` as a process: the port, the token, the parent that it dies with, and how it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading

import httpx2
import pytest

from persona.commands import main
from persona.commands.serve import _bind, _listen
from persona.engines.echo import EchoEngine
from persona.errors import PersonaError
from persona.server.app import create_app
from tests.serving import HELLO, SlowEngine, personas, running, wait_until


@pytest.fixture(scope="module")
def slow():
    return SlowEngine()


@pytest.fixture(scope="module")
def engine(slow):
    """The address of a server to generate, so that no process here has to load a model."""
    with running(create_app(personas(slow))) as url:
        yield url


def serve(engine, *arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "persona", "serve", "ada", "--engine", engine, "--engine-model", "ada:raw", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )


def test_a_child_reports_its_port_asks_for_its_token_and_ends_with_its_parent(engine):
    child = serve(engine, "--port", "0", "--child", PERSONA_SERVER_TOKEN="sesame")
    try:
        url = f"http://127.0.0.1:{json.loads(child.stdout.readline())['port']}"
        assert httpx2.get(url + "/healthz").json()["status"] == "ok"
        assert httpx2.get(url + "/v1/models").status_code == 401
        assert httpx2.get(url + "/v1/models", headers={"Authorization": "Bearer sesame"}).status_code == 200
        child.stdin.close()
        assert child.wait(8) == 0
        assert child.stdout.read() == "" and "Traceback" not in child.stderr.read()
    finally:
        child.kill()


@pytest.mark.skipif(os.name != "posix", reason="Windows has other signals")
def test_a_signal_ends_replies_in_words_and_the_server_with_zero(engine, slow):
    server = serve(engine, "--port", "0")
    try:
        lines = [server.stdout.readline() for _ in range(4)]
        page = next(line.split()[-1] for line in lines if line.startswith("a page to talk: "))
        assert lines[0].startswith("ada: Ada speaks through persona-nano")
        body = {"messages": HELLO, "stream": True, "max_tokens": 8000}
        with httpx2.stream("POST", page + "v1/chat/completions", json=body, timeout=20) as response:
            events = (line for line in response.iter_lines() if line.startswith("data: "))
            next(events)
            server.send_signal(signal.SIGTERM)
            rest = list(events)
        assert "stopping" in rest[-2] and rest[-1] == "data: [DONE]"
        assert server.wait(8) == 0
        assert "Traceback" not in server.stderr.read()
        wait_until(lambda: slow.at_once == 0)
    finally:
        server.kill()


@pytest.mark.skipif(os.name != "posix", reason="Windows has other signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_an_idle_server_at_once(engine, name):
    server = serve(engine, "--port", "0")
    try:
        while not server.stdout.readline().startswith("Ctrl-C"):
            assert server.poll() is None
        server.send_signal(getattr(signal, name))
        assert server.wait(3) == 0
        assert server.stderr.read() == ""
    finally:
        server.kill()


def run(*arguments):
    """The exit status, in this process."""
    return main(["serve", *arguments])


def test_a_taken_port_is_known_before_anything_is_loaded(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert run("ada", "--port", str(port)) == 2
    said = capsys.readouterr().err
    assert str(port) in said and "--port 0" in said


@pytest.mark.skipif(os.name != "posix", reason="Windows refuses the second one earlier")
def test_of_two_servers_that_start_at_once_the_slower_one_is_told():
    with _bind("127.0.0.1", 0) as first, _bind("127.0.0.1", first.getsockname()[1]) as second:
        _listen(first)
        with pytest.raises(PersonaError, match="cannot be opened"):
            _listen(second)


@pytest.mark.parametrize("port", ["99999", "-1"])
def test_ports_that_are_none(port, capsys):
    assert run("ada", "--port", port) == 2
    assert port in capsys.readouterr().err


def test_no_open_door_to_the_network_without_a_token(capsys, monkeypatch):
    monkeypatch.delenv("PERSONA_SERVER_TOKEN", raising=False)
    assert run("ada", "--host", "0.0.0.0") == 2
    assert "PERSONA_SERVER_TOKEN" in capsys.readouterr().err


def test_token_files(tmp_path, capsys):
    file = tmp_path / "token"
    for content, mode, said in ((b"sesame", 0o644, "chmod 600"), (b" ", 0o600, "no token"), (b"\xff", 0o600, "read")):
        file.write_bytes(content)
        file.chmod(mode)
        assert run("ada", "--token-file", str(file), "--port", "99999") == 2
        assert said in capsys.readouterr().err
    file.write_text("sesame\n")
    assert run("ada", "--token-file", str(file), "--port", "99999") == 2
    assert "99999" in capsys.readouterr().err
    assert run("ada", "--token-file", str(tmp_path / "none")) == 2


def test_an_engine_that_is_not_there_is_known_at_once(capsys):
    with running(create_app(personas(EchoEngine()))) as url:
        pass
    assert run("ada", "--port", "0", "--engine", url) == 2
    assert "No server answers" in capsys.readouterr().err


def test_unknown_character(capsys):
    assert run("nobody-of-that-name", "--port", "0", "--engine", "nonsense") == 2
    assert "nonsense" in capsys.readouterr().err


def test_a_child_whose_parent_is_gone_before_the_start_does_not_wait():
    door = threading.Event()

    class Silent:
        async def __call__(self, scope, receive, send):
            if scope["type"] == "http":
                door.set()
                await receive()
                await receive()

    with running(Silent()) as url:
        child = serve(url, "--port", "0", "--child")
        try:
            assert door.wait(8)
            child.stdin.close()
            assert child.wait(5) == 0
        finally:
            child.kill()
