"""SillyTavern chats (a header, then a message a line; groups too) -> scenes, with the swipes nobody kept beside each line."""

import random
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from data.readers.gathering import SAMPLE, Gathering
from data.readers.jsonlines import Records
from data.source import CHARACTER, USER, Source
from persona.errors import PersonaError
from persona.formats import macros
from persona.formats.envelope import kind_of

GAP_HOURS = 6.0
"""After a longer silence a new scene begins."""

_HEADER = ("user_name", "character_name", "chat_metadata")
_NO_NAME = ("", "unused")
"""What the header of a group chat says instead of a name."""

_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_STAMP = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})\s?@\s?(\d{1,2})h\s?(\d{1,2})m\s?(\d{1,2})s", re.ASCII)
_WORDS = re.compile(r"([a-z]{3})[a-z]{0,6} (\d{1,2}), (\d{4}),? (\d{1,2}):(\d{2})\s?([ap]m)?", re.ASCII | re.IGNORECASE)
_EPOCH = re.compile(r"\d{9,14}", re.ASCII)
_MILLISECONDS_FROM = 1e11  # as seconds, that is the year 5138
_DATE_CHARACTERS = 40


def looks_like(records: Records) -> bool:
    """Whether most of the first records are messages with `mes` and a speaker, behind a header or without one."""
    sample = [row for _, row in records.rows[:SAMPLE] if not _is_header(row)]
    known = sum(isinstance(row, dict) and "mes" in row and ("is_user" in row or "name" in row) for row in sample)
    return 2 * known > len(sample)


def read(records: Records, name: str) -> Source:
    """The chat as scenes: a new one after `GAP_HOURS`, a header or a broken line.

    The text of a message is `mes`, and its other swipes are rejected. Hidden messages and a narrator's are left out and
    counted.
    """
    out = Gathering(quarantined=list(records.quarantined))
    out.kinds["SillyTavern chat"] += 1
    broken = {part.place for part in records.quarantined}
    user = _user_in(records)
    header: Mapping[str, Any] = {}
    last: float | None = None
    for number, row in records.rows:
        out.record = records.place(number)
        if records.place(number - 1) in broken:
            out.cut()
        try:
            if _is_header(row):
                out.cut()
                header, last = row, None
                out.characters.update(filter(None, [_name(row, "character_name")]))
            else:
                last = _read_message(row, header, user, last, out)
        except PersonaError as error:
            out.refuse(error.what)
    return replace(out.source(name, records.notes), user=user)


def _user_in(records: Records) -> str:
    """What the person is called; "" where no message and no header says it."""
    rows = [row for _, row in records.rows if isinstance(row, dict)]
    named = (_name(row, "name") for row in rows if row.get("is_user") is True)
    headed = (_name(row, "user_name") for row in rows if _is_header(row))
    return next(filter(None, (*named, *headed)), "")


def _is_header(row: Any) -> bool:
    return isinstance(row, dict) and "mes" not in row and any(key in row for key in _HEADER)


def _name(row: Mapping[str, Any], key: str) -> str:
    name = row.get(key)
    return name.strip() if isinstance(name, str) and name.strip() not in _NO_NAME else ""


def _read_message(row: Any, header: Mapping[str, Any], user: str, last: float | None, out: Gathering) -> float | None:
    """Say one message, and give when it was sent, or `last` where it does not say so."""
    if not isinstance(row, dict):
        raise PersonaError(f"It is {kind_of(row)}, not a message.")
    about = row.get("extra")
    about = about if isinstance(about, dict) else {}
    if about.get("type") == "narrator":
        out.left_out["narrator's messages"] += 1
    elif row.get("is_system") is True or about.get("isSmallSys"):
        out.left_out["hidden or system messages"] += 1
    else:
        sent = seconds_of(row.get("send_date"))
        if is_pause(last, sent, GAP_HOURS):
            out.cut()
        is_user = row.get("is_user") is True
        unnamed = (_name(header, "user_name") or USER) if is_user else (_name(header, "character_name") or CHARACTER)
        speaker = _name(row, "name") or unnamed
        text, *others = (_filled(version, speaker, user) for version in _versions(row))
        out.say(speaker, text, rejected=others)
        return last if sent is None else sent
    return last


def _filled(text: str, speaker: str, user: str) -> str:
    """A message with its macros, which mean whoever speaks it and the person: in a group, not whom it is read for."""
    return macros.expand(text, char=speaker, user=user or USER, rng=random.Random(0), pick_key=text)


def _versions(row: Mapping[str, Any]) -> list[str]:
    """The text that was kept, and then the texts that were not."""
    swipes = row.get("swipes")
    versions = [_text(swipe) for swipe in swipes] if isinstance(swipes, list) else []
    place = row.get("swipe_id")
    kept = versions.pop(place) if type(place) is int and 0 <= place < len(versions) else None
    text = _text(row.get("mes"))  # differs from the kept swipe where somebody edited it
    if text is None and kept is None:
        raise PersonaError("The message has no text in `mes`.")
    return [text or kept or "", *filter(None, versions)]


def _text(value: Any) -> str | None:
    """A text, or the `message` of the objects that Chub writes instead."""
    if isinstance(value, dict):
        value = value.get("message")
    return value if isinstance(value, str) else None


def is_pause(last: float | None, now: float | None, hours: float) -> bool:
    """Whether more than `hours` lie between two moments, in seconds, that are both known."""
    return last is not None and now is not None and now - last > hours * 3600


def seconds_of(date: Any) -> float | None:
    """Seconds since 1970 of a date as chats write it, in UTC where it names no zone; None for what is no date.

    Read are "2024-6-12@10h22m33s123ms", "June 12, 2024 10:22am", ISO 8601, and seconds or milliseconds since 1970.
    """
    if isinstance(date, str) and _EPOCH.fullmatch(date):
        date = int(date)
    if isinstance(date, int | float) and not isinstance(date, bool):
        return date / 1000 if abs(date) >= _MILLISECONDS_FROM else float(date)
    if not isinstance(date, str) or len(date) > _DATE_CHARACTERS:
        return None
    try:
        return _moment(date.strip()).timestamp()
    except (ValueError, OverflowError):
        return None


def _moment(date: str) -> datetime:
    if stamp := _STAMP.match(date):
        year, month, day, hour, minute, second = map(int, stamp.groups())
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    if words := _WORDS.fullmatch(date):
        named, day, year, hour, minute = words[1].lower(), int(words[2]), int(words[3]), int(words[4]), int(words[5])
        if words[6]:
            hour = hour % 12 + (12 if words[6].lower() == "pm" else 0)
        return datetime(year, _MONTHS.index(named) + 1, day, hour, minute, tzinfo=UTC)
    moment = datetime.fromisoformat(date)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
