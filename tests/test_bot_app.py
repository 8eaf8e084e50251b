"""The wired program: start, wrong token, orderly end. Discord and the model server are sockets on this machine."""

import asyncio
import contextlib
import json
import os
import signal

import discord
import pytest

from bot import app
from bot.lock import only_one
from bot.settings import BotSettings
from persona.errors import PersonaError

MODELS = {"data": [{"id": "ada", "persona": {"name": "Ada", "base": "persona-nano", "adapter": False}}]}


@contextlib.asynccontextmanager
async def http_server(answers):
    """A server that knows a few paths: {path: (status line, JSON)}; anything else is 404."""
    asked = []

    async def serve(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split(b" ")[1].decode()
                asked.append(path)
                status, body = answers.get(path, ("404 Not Found", {}))
                text = json.dumps(body).encode()
                lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(text)}", "", ""]
                writer.write("\r\n".join(lines).encode() + text)
                await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked


def settings(tmp_path, endpoint):
    return BotSettings("ada", "ada", "secret-token", tmp_path / "bot.sqlite3", endpoint)


async def test_a_wrong_token_is_found_after_the_model_server(tmp_path, monkeypatch, capsys):
    models = {"/v1/models": ("200 OK", MODELS)}
    refused = {"/api/v10/users/@me": ("401 Unauthorized", {"message": "401: Unauthorized", "code": 0})}
    async with http_server(models) as (endpoint, _), http_server(refused) as (address, asked):
        monkeypatch.setattr(discord.http.Route, "BASE", address + "/api/v10")
        with pytest.raises(PersonaError, match="does not accept the bot's token") as error:
            await app.run(settings(tmp_path, endpoint))
    assert asked == ["/api/v10/users/@me"] and "secret-token" not in str(error.value)
    assert "Ada is ready: base persona-nano, no adapter." in capsys.readouterr().out


async def test_discord_is_not_asked_while_there_is_no_voice(tmp_path, monkeypatch):
    async with (
        http_server({"/v1/models": ("200 OK", {"data": [{"id": "juno"}]})}) as (endpoint, _),
        http_server({}) as (address, asked),
    ):
        monkeypatch.setattr(discord.http.Route, "BASE", address + "/api/v10")
        with pytest.raises(PersonaError, match="does not serve 'ada'"):
            await app.run(settings(tmp_path, endpoint))
    assert asked == []


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_in_order(tmp_path, monkeypatch, capsys, number):
    log = []

    async def connected(make_client, token, *, on_lost):
        log.append("connected")
        try:
            await asyncio.sleep(60)
        finally:
            log.append("closed")

    monkeypatch.setattr(app, "stay_connected", connected)
    async with http_server({"/v1/models": ("200 OK", MODELS)}) as (endpoint, _):
        running = asyncio.create_task(app.run(settings(tmp_path, endpoint)))
        while not log:
            await asyncio.sleep(0.01)
        os.kill(os.getpid(), number)
        await asyncio.wait_for(running, 5)
    assert log == ["connected", "closed"] and "Stopping." in capsys.readouterr().out


async def test_a_second_bot_for_the_same_run_is_refused_before_anything_is_asked(tmp_path):
    async with http_server({"/v1/models": ("200 OK", MODELS)}) as (endpoint, asked):
        second = settings(tmp_path, endpoint)
        with only_one(second.lock), pytest.raises(PersonaError, match="running from this folder already"):
            await app.run(second)
    assert asked == [] and not second.database.exists()
