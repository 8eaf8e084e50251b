"""One reply in OpenAI's shapes: a whole answer, or server-sent events."""

import logging
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

from persona.chat import Reply
from persona.engines.protocol import Piece
from persona.errors import PersonaError
from persona.server import wire
from persona.server.wire import ChatRequest, Refusal

_log = logging.getLogger(__name__)


class Answer:
    """What one request is answered with; the `persona` report stands beside OpenAI's own fields."""

    def __init__(self, model: str, reply: Reply, asked: ChatRequest) -> None:
        self._prompt_tokens = len(reply.prompt.ids)
        self._report = wire.report(reply.report, asked.unused)
        self._wants_usage = bool(asked.stream_options and asked.stream_options.include_usage)
        self._head = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": model}

    async def whole(self, pieces: AsyncIterator[Piece]) -> dict[str, Any]:
        """The body of an answer that is not streamed. Raises `Refusal` when the engine failed."""
        text, last = "", Piece("")
        async for piece in pieces:
            text, last = text + piece.text, piece
        message = {"role": "assistant", "content": text}
        return {
            **self._head,
            "object": "chat.completion",
            "choices": [{"index": 0, "message": message, "finish_reason": _finish(last), "logprobs": None}],
            "usage": wire.usage(self._prompt_tokens, last.tokens),
            "persona": self._report,
        }

    async def events(self, first: Piece, rest: AsyncIterator[Piece]) -> AsyncIterator[bytes]:
        """The answer as events. A failure in the middle becomes an event too, because the status is sent already."""
        last = first
        try:
            yield self._chunk({"role": "assistant", "content": ""})
            if first.text:
                yield self._chunk({"content": first.text})
            async for piece in rest:
                last = piece
                if piece.text:
                    yield self._chunk({"content": piece.text})
            yield self._chunk({}, finish_reason=_finish(last), persona=self._report)
            if self._wants_usage:
                counts = wire.usage(self._prompt_tokens, last.tokens)
                yield wire.event({**self._chunk_head, "choices": [], "usage": counts, "persona": self._report})
        except Refusal as refusal:
            yield wire.event(refusal.to_dict())
        yield wire.event("[DONE]")

    @property
    def _chunk_head(self) -> dict[str, Any]:
        return {**self._head, "object": "chat.completion.chunk"}

    def _chunk(self, delta: dict[str, str], finish_reason: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
        return wire.event({**self._chunk_head, "choices": [choice], **more})


async def spoken(pieces: AsyncIterator[Piece]) -> AsyncIterator[Piece]:
    """The same pieces; whatever the engine raises becomes a `Refusal`, a surprise is logged as well."""
    finished = False
    try:
        async for piece in pieces:
            finished = piece.finish is not None
            yield piece
    except PersonaError as error:
        raise Refusal(503, str(error), "engine_failed") from error
    except Refusal:
        raise
    except Exception as error:
        _log.exception("the engine failed")
        raise Refusal(500, f"The engine failed: {type(error).__name__}.", "engine_failed") from error
    if not finished:
        raise Refusal(503, "The engine broke off.", "engine_failed")


def _finish(last: Piece) -> str | None:
    """OpenAI's word for how the reply ended; it has none for a reply that was stopped from here."""
    if last.finish == "cancelled":
        raise Refusal(503, "The reply was stopped: the server is stopping.", "stopping")
    return last.finish
