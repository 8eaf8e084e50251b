"""Flags, environment and the token."""

import logging
from pathlib import Path

import pytest

from bot import permissions
from bot.app import RedactingFormatter
from bot.settings import base_url, read_token, resolve
from persona.errors import PersonaError

TOKEN = "MTA.secret.value"


@pytest.fixture
def mira(tmp_path):
    folder = tmp_path / "characters" / "mira"
    folder.mkdir(parents=True)
    (folder / "card.toml").write_text('name = "Mira"\n')
    return tmp_path


def test_resolve(mira):
    settings = resolve("mira", environment={"DISCORD_TOKEN": f" {TOKEN}\n"}, working_folder=mira)
    assert (settings.slug, settings.token, settings.endpoint) == ("mira", TOKEN, None)
    assert settings.database == mira / "runs" / "mira" / "bot.sqlite3"
    assert TOKEN not in repr(settings)


def test_with_an_endpoint_the_character_may_be_elsewhere(tmp_path):
    environment = {"DISCORD_TOKEN": TOKEN, "PERSONA_SERVER_TOKEN": "s"}
    settings = resolve("juno", endpoint="http://box:8000/v1/", environment=environment, working_folder=tmp_path)
    assert (settings.slug, settings.endpoint, settings.server_token) == ("juno", "http://box:8000", "s")
    with pytest.raises(PersonaError, match="juno"):
        resolve("juno", environment=environment, working_folder=tmp_path)


@pytest.mark.parametrize("name", ["mira", "./characters/mira", "characters/mira/"])
def test_a_path_means_the_same_character_on_a_server(mira, name):
    settings = resolve(name, endpoint="http://box:8000", environment={"DISCORD_TOKEN": TOKEN}, working_folder=mira)
    assert settings.slug == "mira" and settings.database == mira / "runs" / "mira" / "bot.sqlite3"


def test_every_token_is_a_secret(mira):
    """The named server's token, and the one that is made for an own server."""
    environment = {"DISCORD_TOKEN": TOKEN, "PERSONA_SERVER_TOKEN": "of-a-named-server"}
    named = resolve("mira", endpoint="http://box:8000", environment=environment, working_folder=mira)
    assert named.secrets == (TOKEN, "of-a-named-server")
    own, again = (resolve("mira", environment=environment, working_folder=mira) for _ in range(2))
    assert own.secrets == (TOKEN, own.server_token) and len(own.server_token) > 30
    assert own.server_token not in ("of-a-named-server", again.server_token)
    open_server = resolve("mira", endpoint="http://box", environment={"DISCORD_TOKEN": TOKEN}, working_folder=mira)
    assert open_server.secrets == (TOKEN,), "an empty secret would be found everywhere"


@pytest.mark.parametrize("address", ["box:8000", "ftp://box", "", "http://"])
def test_an_address_that_is_none(address):
    with pytest.raises(PersonaError, match="not the address"):
        base_url(address)


def test_token_file_must_be_private(tmp_path):
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    path.chmod(0o600)
    assert read_token(str(path), {}) == TOKEN
    path.chmod(0o640)
    with pytest.raises(PersonaError, match="0640") as error:
        read_token(str(path), {})
    assert TOKEN not in str(error.value) and "chmod 600" in str(error.value)


@pytest.mark.parametrize("token", ["", "  ", "Bot abc", "tökén"])
def test_a_token_that_cannot_be_one_is_not_shown(token):
    with pytest.raises(PersonaError) as error:
        read_token(None, {"DISCORD_TOKEN": token})
    message = str(error.value)
    assert len(message.splitlines()) <= 4 and "DISCORD_TOKEN" in message
    assert "abc" not in message and "tökén" not in message


def test_a_missing_token_file_is_one_sentence(tmp_path):
    with pytest.raises(PersonaError, match="cannot be read"):
        read_token(str(tmp_path / "none"), {})


def test_logs_never_show_the_token():
    record = logging.LogRecord("bot", logging.ERROR, __file__, 1, "got %s", (TOKEN,), None)
    try:
        raise ValueError(f"in a traceback: {TOKEN}")
    except ValueError as error:
        record.exc_info = (type(error), error, error.__traceback__)
    text = RedactingFormatter((TOKEN,)).format(record)
    assert TOKEN not in text and "[secret]" in text and "Traceback" in text


def test_the_invite_asks_for_exactly_what_is_used():
    import discord

    link = permissions.invite_link(42)
    granted = int(link.partition("permissions=")[2].partition("&")[0])
    assert granted == sum(getattr(discord.Permissions, name).flag for name in permissions.NEEDED)
    assert "client_id=42" in link and "scope=bot+applications.commands" in link
    wanted = permissions.intents()
    assert not (wanted.message_content or wanted.members or wanted.presences)


def test_no_module_is_named_like_a_library():
    import sys

    names = {path.stem for path in Path(permissions.__file__).parent.glob("*.py")} - {"__init__", "__main__"}
    assert not names & (set(sys.stdlib_module_names) | {"discord", "httpx2", "sqlalchemy", "regex", "persona"})
