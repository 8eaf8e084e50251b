"""The client of a persona server: plain messages out, pieces of text back; prompts are the server's business."""

import json
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from persona.conversation import Message
from persona.errors import PersonaError
from persona.generation import GenerationSettings

if TYPE_CHECKING:
    import httpx2

Kind = Literal["unreachable", "failed", "timeout", "busy", "missing", "refused", "rejected"]

PIECE_SECONDS = 180.0
"""The longest wait for the first piece and between two: a server on a CPU may have others in line."""
_KINDS: dict[int, Kind] = {
    400: "rejected",
    401: "refused",
    403: "refused",
    404: "missing",
    413: "rejected",
    429: "busy",
    503: "busy",
}
_WIRE_NAMES = {"max_new_tokens": "max_tokens", "stop_strings": "stop"}


class EndpointError(PersonaError):
    """A request that got no answer, or only a part of one; `kind` says what a person can do about it."""

    def __init__(self, kind: Kind, what: str, *, where: str | None = None, fix: str | None = None) -> None:
        super().__init__(what, where=where, fix=fix)
        self.kind: Kind = kind


@dataclass(frozen=True, slots=True)
class Character:
    """What the server says of the character: `id` is its model name there, `adapter` whether it was trained.

    `settings` are the character's own, by transformers' names; empty where the server does not tell them.
    """

    id: str
    name: str
    base: str = ""
    adapter: bool = False
    settings: Mapping[str, int | float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """One answer asked for. `settings` holds only what differs from the character's own, by transformers' names."""

    model: str
    messages: tuple[Message, ...]
    user_name: str
    seed: int
    settings: Mapping[str, int | float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ending:
    """How an answer ended. `finish` is "stop" or "length"; `truncated_turns` did not fit into the context."""

    finish: str = "stop"
    truncated_turns: int = 0


class Voice(Protocol):
    """What answers: `Endpoint`, or a script in tests."""

    def stream(self, request: Request) -> AsyncGenerator[str | Ending, None]:
        """Pieces of the answer, then one `Ending`. Raises `EndpointError`; closing the iterator cancels."""
        ...


class Endpoint:
    """Speaks the OpenAI chat API with the `persona` fields of `persona serve`.

    `url` is asked before each request, since a restarted server has another port; it may raise `EndpointError`.
    An empty `token` sends none. `transport` replaces the network in tests.
    """

    def __init__(
        self,
        url: Callable[[], str],
        token: str,
        *,
        local: bool = False,
        piece_seconds: float = PIECE_SECONDS,
        transport: "httpx2.AsyncBaseTransport | None" = None,
    ) -> None:
        import httpx2

        self._url = url
        self._http = httpx2.AsyncClient(
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=httpx2.Timeout(10, read=piece_seconds),
            # A proxy of the environment cannot reach this machine's loopback.
            trust_env=not local,
            transport=transport,
        )

    async def describe(self, model: str | None) -> Character:
        """The character called `model`, or the first one served. Raises `EndpointError`, saying what to type."""
        import httpx2

        url = self._url()
        try:
            response = await self._http.get(url + "/v1/models", timeout=30)
            _check(response)
            rows = response.json()["data"]
            characters = [_read_character(row) for row in rows if not str(row["id"]).endswith(":raw")]
        except httpx2.HTTPError as error:
            raise _translated(error, url) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise EndpointError(
                "failed", "What answers there is not a persona server.", where=url, fix="persona serve NAME"
            ) from error
        for character in characters:
            if model is None or character.id == model:
                return character
        raise EndpointError(
            "missing",
            f"The server does not serve {model!r}.",
            where=url,
            fix=f"one of {', '.join(c.id for c in characters)}, or: persona serve {model}",
        )

    async def stream(self, request: Request) -> AsyncGenerator[str | Ending, None]:
        """Pieces of the answer, then one `Ending`. Raises `EndpointError`; closing the iterator cancels."""
        import httpx2

        url = self._url()
        try:
            async with self._http.stream("POST", url + "/v1/chat/completions", json=_body(request)) as response:
                if response.is_error:
                    await response.aread()
                _check(response)
                ending: Ending | None = None
                async for event in httpx2.EventSource(response):
                    if event.data == "[DONE]":
                        break
                    text, ending = _read_chunk(event.data, ending)
                    if text:
                        yield text
        except httpx2.HTTPError as error:
            raise _translated(error, url) from error
        if ending is None:
            raise EndpointError("failed", "The answer broke off.", where=url)
        yield ending

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def _read_character(row: Mapping[str, Any]) -> Character:
    """One row of `/v1/models`; `persona` is absent where another program serves the same API."""
    about = row.get("persona") or {}
    told = about.get("settings") or {}
    return Character(
        id=str(row["id"]),
        name=str(about.get("name") or row["id"]),
        base=str(about.get("base") or ""),
        adapter=bool(about.get("adapter")),
        settings={n: told[n] for n in GenerationSettings.ranges() if type(told.get(n)) in (int, float)},
    )


def _body(request: Request) -> dict[str, Any]:
    return {
        "model": request.model,
        "messages": [message.to_dict() for message in request.messages],
        "stream": True,
        **{_WIRE_NAMES.get(name, name): value for name, value in request.settings.items()},
        "persona": {"user_name": request.user_name, "seed": request.seed},
    }


def _read_chunk(data: str, ending: Ending | None) -> tuple[str, Ending | None]:
    """The text of one chunk, and what is known of the ending so far."""
    try:
        chunk = json.loads(data)
        if problem := chunk.get("error"):
            raise EndpointError(
                _KINDS.get(problem.get("code"), "failed"), str(problem.get("message") or "The server failed.")
            )
        choices = chunk.get("choices") or [{}]
        text = (choices[0].get("delta") or {}).get("content") or ""
        if finish := choices[0].get("finish_reason"):
            ending = Ending(str(finish), ending.truncated_turns if ending else 0)
        if report := chunk.get("persona"):
            ending = Ending(ending.finish if ending else "stop", int(report.get("truncated_turns") or 0))
        if not isinstance(text, str):
            raise TypeError(type(text).__name__)
    except (ValueError, TypeError, AttributeError, IndexError) as error:
        raise EndpointError("failed", "The server sent a chunk that is none.", where=data[:80]) from error
    return text, ending


def _check(response: "httpx2.Response") -> None:
    """Raise for a status that is not 200; the body has been read where it is an error."""
    if response.status_code == 200:
        return
    try:
        said = str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        said = response.reason_phrase
    kind = _KINDS.get(response.status_code, "failed")
    fix = "set PERSONA_SERVER_TOKEN to the server's token" if kind == "refused" else None
    raise EndpointError(
        kind, f"The persona server answers {response.status_code}: {said[:200]}", where=str(response.url), fix=fix
    )


def _translated(error: Exception, url: str) -> EndpointError:
    import httpx2

    if isinstance(error, (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.UnsupportedProtocol)):
        return EndpointError(
            "unreachable", "No persona server answers.", where=url, fix="persona serve NAME --port PORT"
        )
    if isinstance(error, httpx2.TimeoutException):
        return EndpointError("timeout", "The persona server took too long.", where=url)
    return EndpointError("failed", f"The persona server broke off: {type(error).__name__}.", where=url)
