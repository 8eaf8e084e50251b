"""What outlives a restart: settings and reset marks per channel. No message and no person is ever stored."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from persona.errors import PersonaError
from persona.generation import GenerationSettings

if TYPE_CHECKING:
    import sqlalchemy

_VERSION = "1"


@dataclass(frozen=True, slots=True)
class ChannelState:
    """`settings` as changed by /settings; messages up to the id `reset` are forgotten."""

    settings: Mapping[str, int | float] = field(default_factory=dict)
    reset: int = 0


class Store:
    """One SQLite file, readable by its owner only (mode 0600). Calls block for about a millisecond."""

    def __init__(self, path: Path) -> None:
        """Open or create the file. Raises `PersonaError` when it is not ours or cannot be written."""
        import sqlalchemy as sql

        _make_private(path)
        metadata = sql.MetaData()
        self._channels = sql.Table(
            "channels",
            metadata,
            sql.Column("channel", sql.BigInteger, primary_key=True, autoincrement=False),
            sql.Column("settings", sql.Text, nullable=False, default="{}"),
            sql.Column("reset", sql.BigInteger, nullable=False, default=0),
        )
        self._facts = sql.Table(
            "facts",
            metadata,
            sql.Column("name", sql.Text, primary_key=True),
            sql.Column("value", sql.Text, nullable=False),
        )
        self._engine = sql.create_engine(sql.URL.create("sqlite", database=str(path)))
        try:
            metadata.create_all(self._engine)
            version = self.fact("version")
            if version is None:
                self.set_fact("version", _VERSION)
        except sql.exc.SQLAlchemyError as error:
            raise PersonaError(
                "The bot's file cannot be read.", where=str(path), fix="move it away; /settings are set anew"
            ) from error
        if version not in (None, _VERSION):
            raise PersonaError(
                f"The bot's file has version {version}, this program reads {_VERSION}.",
                where=str(path),
                fix="update the program",
            )

    def channel(self, channel: int) -> ChannelState:
        """What is set for a channel. Raises `PersonaError` for settings that no `GenerationSettings` takes."""
        import sqlalchemy as sql

        with self._engine.connect() as connection:
            row = connection.execute(sql.select(self._channels).where(self._channels.c.channel == channel)).first()
        if row is None:
            return ChannelState()
        settings = json.loads(row.settings)
        GenerationSettings().updated(settings)
        return ChannelState(settings, row.reset)

    def set_settings(self, channel: int, settings: Mapping[str, int | float]) -> None:
        """Replace a channel's settings. Raises `PersonaError` for a value outside its range."""
        GenerationSettings().updated(settings)
        self._put(channel, settings=json.dumps(dict(settings)))

    def set_reset(self, channel: int, message: int) -> None:
        """Forget everything in a channel up to this message id."""
        self._put(channel, reset=message)

    def fact(self, name: str) -> str | None:
        """A note of the program to itself."""
        import sqlalchemy as sql

        with self._engine.connect() as connection:
            return connection.execute(sql.select(self._facts.c.value).where(self._facts.c.name == name)).scalar()

    def set_fact(self, name: str, value: str) -> None:
        """Replace such a note."""
        from sqlalchemy.dialects.sqlite import insert

        self._execute(
            insert(self._facts)
            .values(name=name, value=value)
            .on_conflict_do_update(index_elements=["name"], set_={"value": value})
        )

    def close(self) -> None:
        """Close the file."""
        self._engine.dispose()

    def _put(self, channel: int, **values: Any) -> None:
        from sqlalchemy.dialects.sqlite import insert

        row = insert(self._channels).values(channel=channel, **values)
        self._execute(row.on_conflict_do_update(index_elements=["channel"], set_=values))

    def _execute(self, statement: "sqlalchemy.Executable") -> None:
        with self._engine.begin() as connection:
            connection.execute(statement)


def _make_private(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        path.chmod(0o600)
    except OSError as error:
        raise PersonaError(f"The bot's file cannot be written: {error.strerror}.", where=str(path)) from error
