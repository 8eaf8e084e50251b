"""Chat logs as text, with names behind a time, in angle brackets or before a dash -> scenes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from data.source import Scene, Utterance

GAP_SECONDS = 2 * 60 * 60
"""A chat that rests for so long begins a new scene."""

_HEAD_CHARACTERS = 320

_STAMP = (
    r"[\[(]?(?P<stamp>\d{1,4}[\d./:, T-]{2,20}\d(?:\.\d{1,6})?Z?(?: ?[AaPp]\.?[Mm]\.?)?)[\])]?(?: [-–—](?= )|:(?= ))? +"
)
_FORMS = {
    "stamped": re.compile(rf"{_STAMP}(?:<[@+%~&]?(?P<who>[^<>]{{1,60}})> |(?P<name>[^<>:\"“]{{1,60}}?): ?)?"),
    "angles": re.compile(r"(?P<stamp>)<[@+%~&]?(?P<who>[^<>\s][^<>]{0,60})> (?P<name>)"),
    "dashes": re.compile(r"(?P<stamp>)(?P<who>[^\W\d_][^-–—:<>.!?,]{0,39}?) [-–—] (?P<name>)"),
}
"""As in "[12:01] Tom: text", "12/06/2023, 10:22 - Tom: text", "<Tom> text", "Tom - text"."""

_FEWEST = {"stamped": 0.3, "angles": 0.5, "dashes": 0.6}
"""The share of the lines that must have a form; the others go on with the message before them."""
_DATE = re.compile(r"(\d{1,4})[./-](\d{1,2})[./-](\d{1,4})")
_TIME = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?(?:\.\d+)?Z? ?([AaPp])?")
_WORDLESS = re.compile(
    r"<?(?:media|image|video|audio|sticker|gif|document|contact card)(?: message)? omitted>?|<attached: [^<>]{0,200}>"
    r"|(?:this message was deleted|you deleted this message)\.?|null",
    re.IGNORECASE,
)
_SPACES = str.maketrans({"\u200e": "", "\u200f": "", "\u202f": " ", "\xa0": " "})


@dataclass(slots=True)
class _Message:
    """What somebody writes, from line `line` (counted from 0) on; a notice has no speaker."""

    speaker: str
    line: int
    lines: list[str]
    stamp: str = ""


def chat_form(lines: Sequence[str]) -> str:
    """The form that most lines of a chat have, "" where it is none."""
    full = [line.translate(_SPACES)[:_HEAD_CHARACTERS] for line in lines if line.strip()]
    for form, pattern in _FORMS.items():
        found = [match for line in full if (match := pattern.match(line)) and _has_time(match)]
        names = [match["who"] or match["name"] for match in found if match["who"] or match["name"]]
        enough = len(found) >= _FEWEST[form] * len(full) and len(names) >= max(3, 1.5 * len(set(names)))
        if enough and (form == "stamped" or len(set(names)) > 1):
            return form
    return ""


def _has_time(match: re.Match[str]) -> bool:
    return not match["stamp"] or bool(_TIME.search(match["stamp"]))


def read_chat(lines: Sequence[str], form: str, notes: list[str]) -> list[Scene]:
    """The messages of a chat of this form; a rest of `GAP_SECONDS` begins a new scene, where the times can be read.

    Messages without words and notices of the program are counted in `notes`.
    """
    messages: list[_Message] = []
    wordless = notices = 0
    known: set[str] = set()
    for number, raw in enumerate(lines):
        line = raw.translate(_SPACES)
        found = _FORMS[form].match(line[:_HEAD_CHARACTERS])
        if not (found and _has_time(found)) and not (form == "angles" and line.startswith("* ")):
            if messages and line.strip():
                messages[-1].lines.append(line.strip())
            continue
        who = (found["who"] or found["name"] or "").strip() if found else ""
        said = line[found.end() if found else 0 :].strip()
        action = not who and said.startswith("* ") and said[2:].partition(" ")[0] in known
        if action:
            who, _, said = said[2:].partition(" ")
            said = f"*{said}*"
        if not who or _WORDLESS.fullmatch(said[:300]):
            wordless, notices = wordless + bool(who), notices + (not who)
            messages.append(_Message("", number, []))
            continue
        known.add(who)
        messages.append(_Message(who, number, [said], found["stamp"] if found else ""))
    if wordless or notices:
        notes.append(f"Left out: {wordless:,} messages without words (media, deleted), {notices:,} notices.")
    return _by_time([message for message in messages if message.speaker])


def _by_time(messages: Sequence[_Message]) -> list[Scene]:
    dates = [found for message in messages if (found := _DATE.search(message.stamp))]
    day_second = any(int(date[2]) > 12 for date in dates)
    halves = any((time := _TIME.search(message.stamp)) and time[4] for message in messages)
    month_first = day_second or (halves and not any(12 < int(date[1]) < 32 for date in dates))
    scenes: list[list[Utterance]] = []
    before: tuple[bool, int] | None = None
    for message in messages:
        now = _moment(message.stamp, month_first)
        gap = 0
        if now and before and now[0] == before[0]:
            gap = abs(now[1] - before[1]) if now[0] else (now[1] - before[1]) % 86_400
        if not scenes or gap >= GAP_SECONDS:
            scenes.append([])
        text = "\n".join(line for line in message.lines if line)
        scenes[-1] += [Utterance(message.speaker, text, f"line {message.line + 1}", rule="label")] if text else []
        before = now or before
    return [Scene(tuple(scene)) for scene in scenes if scene]


def _moment(stamp: str, month_first: bool) -> tuple[bool, int] | None:
    """(whether the date is known, seconds) of a stamp, from the first day or from midnight; None if unreadable."""
    time = _TIME.search(stamp)
    if not time:
        return None
    hour = int(time[1]) % 12 + 12 * (time[4] in "Pp") if time[4] else int(time[1])
    seconds = hour * 3600 + int(time[2]) * 60 + int(time[3] or 0)
    date = _DATE.search(stamp)
    if not date:
        return False, seconds
    first, second, third = map(int, date.groups())
    year, month, day = (
        (first, second, third) if first > 31 else (third, first, second) if month_first else (third, second, first)
    )
    try:
        return True, datetime(year + 2000 * (year < 100), month, day).toordinal() * 86_400 + seconds
    except ValueError:
        return None
