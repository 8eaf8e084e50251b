"""Text as Discord takes it: cleaned, in pieces of at most 2,000 characters, with every code fence whole."""

from collections.abc import Sequence
from typing import NamedTuple

import regex

from bot.notices import EMPTY, MARK, small

LIMIT = 2000
"""Code points and UTF-16 units alike: which of the two Discord counts is not documented."""

_FENCE = "```"
_CLOSE = "\n" + _FENCE
_INFO = regex.compile(r"[\w+\-.#]{1,40}(?=\n)")
_SENTENCE_END = regex.compile(r"[.!?…][\"'”’»)]*\s")
_CONTROLS = regex.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_INVISIBLE_RUN = regex.compile(r"([\s\p{Z}\p{C}]{200})[\s\p{Z}\p{C}]+")
_VISIBLE = regex.compile(r"[^\s\p{Z}\p{C}]")


class _Fence(NamedTuple):
    """Three backticks: `info` is the language that an opening fence names, None where the fence closes."""

    start: int
    end: int
    info: str | None


def clean_reply(text: str) -> str:
    """A model's text without control characters, lone surrogates, endless blanks and lines that look like a notice."""
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    text = _CONTROLS.sub("", text.replace("\r\n", "\n"))
    text = regex.sub(r"(\p{M}{8})\p{M}+", r"\1", text)
    text = _INVISIBLE_RUN.sub(r"\1", text)
    text = regex.sub(rf"(?m)^{MARK}", lambda match: "\\" + match[0], text.strip())
    return text if _VISIBLE.search(text) else ""


def with_notes(text: str, notes: Sequence[str]) -> str:
    """A cleaned reply followed by notices; a reply without a visible character becomes a notice."""
    text = clean_reply(text)
    if not text:
        return "\n".join(map(small, notes or (EMPTY,)))
    if _open_fence(text) is not None:
        text += _closing(text)
    return "\n".join([text, *map(small, notes)])


def units(text: str) -> int:
    """UTF-16 units, which are never fewer than code points."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def split(text: str, limit: int = LIMIT) -> list[str]:
    """Pieces of at most `limit` units, cut at a paragraph, line, sentence or word where one ends in the second half.

    The pieces joined are `text`, except that a fence open at a cut is closed before it and opened again after it with
    the same language. As in Discord's own display, every three backticks toggle a code block. `limit` is 200 or more.
    """
    parts: list[str] = []
    head, rest = "", text
    while True:
        body = head + rest
        whole = body + _closing(body) if _open_fence(body) is not None else body
        if units(whole) <= limit:
            return [*parts, whole]
        cut = _cut(body, limit - len(_CLOSE), len(head))
        piece, rest = body[:cut], body[cut:]
        info = _open_fence(piece)
        parts.append(piece if info is None else piece + _closing(piece))
        head = "" if info is None else f"{_FENCE}{info}\n"


def _closing(text: str) -> str:
    return _FENCE if text.endswith("\n") else _CLOSE


def _fences(text: str) -> list[_Fence]:
    found: list[_Fence] = []
    at = text.find(_FENCE)
    while at != -1:
        end = at + len(_FENCE)
        if len(found) % 2:
            found.append(_Fence(at, end, None))
        else:
            match = _INFO.match(text, end)
            info = match[0] if match else ""
            found.append(_Fence(at, end + len(info), info))
        at = text.find(_FENCE, end)
    return found


def _open_fence(text: str) -> str | None:
    """The language of the code block that is open at the end of `text`, "" for none named; None outside code."""
    fences = _fences(text)
    return fences[-1].info if fences else None


def _cut(body: str, room: int, floor: int) -> int:
    """Where to cut: after more than `floor` characters, within `room` units (three more to finish a closing fence)."""
    window = body.encode("utf-16-le", "surrogatepass")[: 2 * room].decode("utf-16-le", "ignore")
    cut = _whole_fences(body, _seam(window, max(len(window) // 2, floor + 1), body), floor)
    if _open_fence(body[:cut]) is not None and (closing := regex.match(r"\n?```", body[cut:])):
        cut += len(closing[0])
    return cut


def _seam(window: str, low: int, body: str) -> int:
    """The best end of a piece within `window`, at `low` or later."""
    for seam in ("\n\n", "\n"):
        if (at := window.rfind(seam, low)) != -1:
            return at + len(seam)
    if ends := [match.end() for match in _SENTENCE_END.finditer(window, low)]:
        return ends[-1]
    if (at := window.rfind(" ", low)) != -1:
        return at + 1
    graphemes = [match.start() for match in regex.finditer(r"\X", body[: len(window) + 64])]
    return max((start for start in graphemes if low <= start <= len(window)), default=len(window))


def _whole_fences(body: str, cut: int, floor: int) -> int:
    """Move a cut that would fall into a fence, or leave an opening fence with nothing in it."""
    for fence in _fences(body[: cut + 48]):
        if fence.info is None and fence.start < cut < fence.end:
            return fence.end
        if fence.info is not None and fence.start < cut and fence.start > floor and not body[fence.end : cut].strip():
            return fence.start
    return cut
