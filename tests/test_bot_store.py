"""What outlives a restart, and nothing more."""

import sqlite3
import stat

import pytest

from bot.store import ChannelState, Store
from persona.errors import PersonaError


def test_settings_and_resets_outlive_a_restart(tmp_path):
    path = tmp_path / "runs" / "ada" / "bot.sqlite3"
    store = Store(path)
    assert store.channel(2**62) == ChannelState()
    store.set_settings(2**62, {"temperature": 0.5, "seed": 7})
    store.set_reset(2**62, 2**61)
    store.set_reset(3, 4)
    store.set_fact("commands", "abc")
    store.close()
    store = Store(path)
    assert store.channel(2**62) == ChannelState({"temperature": 0.5, "seed": 7}, 2**61)
    assert store.channel(3) == ChannelState({}, 4)
    store.set_settings(3, {"top_k": 5})
    assert store.channel(3) == ChannelState({"top_k": 5}, 4)
    assert store.fact("commands") == "abc" and store.fact("other") is None
    store.close()


def test_only_the_owner_can_read_it(tmp_path):
    path = tmp_path / "bot.sqlite3"
    path.touch(mode=0o644)
    Store(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_there_is_no_room_for_messages_or_people(tmp_path):
    Store(tmp_path / "bot.sqlite3").close()
    with sqlite3.connect(tmp_path / "bot.sqlite3") as connection:
        tables = connection.execute("select name from sqlite_master where type = 'table'").fetchall()
        columns = {t: [row[1] for row in connection.execute(f"pragma table_info({t})")] for (t,) in tables}
    assert columns == {"channels": ["channel", "settings", "reset"], "facts": ["name", "value"]}


def test_bad_values_are_refused(tmp_path):
    store = Store(tmp_path / "bot.sqlite3")
    with pytest.raises(PersonaError, match="temperature is 9"):
        store.set_settings(1, {"temperature": 9})
    assert store.channel(1) == ChannelState()


@pytest.mark.parametrize("content", [b"this is no database" * 50, None])
def test_a_file_that_is_not_ours_is_named(tmp_path, content):
    path = tmp_path / "bot.sqlite3"
    if content is None:
        store = Store(path)
        store.set_fact("version", "99")
        store.close()
    else:
        path.write_bytes(content)
    with pytest.raises(PersonaError) as error:
        Store(path)
    assert str(path) in str(error.value) and len(str(error.value).splitlines()) <= 4
