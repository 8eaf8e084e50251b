"""Staying connected."""

from types import SimpleNamespace

import discord
import pytest

from bot.gateway import stay_connected
from persona.errors import PersonaError


class Client:
    def __init__(self, outcome):
        self.outcome, self.closed = outcome, False

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.closed = True

    async def start(self, token):
        assert token == "secret-token"
        if self.outcome:
            raise self.outcome


def closed(code):
    return discord.ConnectionClosed(SimpleNamespace(close_code=code), shard_id=None, code=code)


async def connect(outcomes):
    clients, pauses, lost = [], [], []

    def make():
        clients.append(Client(outcomes[len(clients)]))
        return clients[-1]

    async def sleep(seconds):
        pauses.append(seconds)

    await stay_connected(make, "secret-token", on_lost=lambda: lost.append(1), sleep=sleep, jitter=lambda: 1.0)
    assert all(client.closed for client in clients) and len(lost) == len(pauses)
    return pauses


async def test_a_failed_start_is_tried_again_with_a_new_client():
    """AttributeError is discord.py's answer to a failed first connection, KeyError to an event it cannot read."""
    outcomes = [
        AttributeError("'NoneType' object has no attribute 'sequence'"),
        KeyError("id"),
        OSError(),
        closed(4000),
    ]
    assert await connect([*outcomes, None]) == [2, 4, 8, 16]


async def test_pauses_have_an_end():
    assert max(await connect([OSError()] * 12 + [None])) == 300


@pytest.mark.parametrize("outcome", [discord.LoginFailure("Improper token"), closed(4004)])
async def test_a_wrong_token_is_one_sentence_and_never_tried_again(outcome):
    with pytest.raises(PersonaError, match="does not accept the bot's token") as error:
        await connect([outcome, None])
    assert "secret-token" not in str(error.value)


async def test_a_refused_connection_is_not_tried_again():
    with pytest.raises(PersonaError, match="4014"):
        await connect([closed(4014), None])
