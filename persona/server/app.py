"""The server's routes: a thin door around `Persona.reply` that keeps no conversation."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from persona.chat import Persona, Reply
from persona.errors import PersonaError
from persona.generation import GenerationSettings
from persona.memory import Memory
from persona.server.answer import Answer, spoken
from persona.server.guard import LOOPBACK, Guard, refuse
from persona.server.turns import WAITING_LIMIT, Generation, Turns
from persona.server.wire import ChatRequest, Refusal

BODY_LIMIT = 1_000_000
"""Bytes of a request; the longest conversation that fits a large context is smaller."""

PAGE = Path(__file__).parent / "page"
RAW = ":raw"
"""Behind a persona's name: messages as sent, without card and lore, for frontends that bring their own card."""

_LOOK_SECONDS = 0.2
_STOP_SECONDS = 5.0
_T = TypeVar("_T")


def create_app(
    personas: Mapping[str, Persona],
    *,
    token: str | None = None,
    hosts: Collection[str] | None = LOOPBACK,
    waiting_limit: int = WAITING_LIMIT,
) -> Starlette:
    """The ASGI application. `personas` are served by their keys; `app.state.turns` is its queue.

    With a `token` every request but the page's and `/healthz` must carry it; `hosts` are the names that a Host header
    may have (None: any).
    """
    turns = Turns(waiting_limit)
    door = Door(personas, turns)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        turns.cancel_all()
        tasks = [generation.ended() for generation in turns.running]
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*tasks), _STOP_SECONDS)

    app = Starlette(
        routes=[
            Route("/healthz", door.health),
            Route("/v1/models", door.models),
            Route("/v1/chat/completions", door.chat, methods=["POST"]),
            Mount("/", StaticFiles(directory=PAGE, html=True)),
        ],
        middleware=[Middleware(Guard, token=token, hosts=hosts)],
        exception_handlers={
            Refusal: _answer_refusal,
            PersonaError: _answer_problem,
            HTTPException: _answer_http,
            ClientDisconnect: _answer_nobody,
            Exception: _answer_crash,
        },
        lifespan=lifespan,
    )
    app.state.turns = turns
    return app


class Door:
    """The three routes, over the personas that are served and the one queue before them."""

    def __init__(self, personas: Mapping[str, Persona], turns: Turns) -> None:
        self._personas = personas
        self._turns = turns
        self._created = int(time.time())

    async def health(self, request: Request) -> Response:
        """`GET /healthz`: that the server lives, whom it serves and how many requests wait."""
        return JSONResponse({"status": "ok", "personas": list(self._personas), "waiting": self._turns.waiting})

    async def models(self, request: Request) -> Response:
        """`GET /v1/models`: each persona and its raw twin; `?user_name=` fills it into the greetings."""
        memory = Memory(request.query_params.get("user_name", "")[:200])
        data = [model for slug in self._personas for model in self._models_of(slug, memory)]
        return JSONResponse({"object": "list", "data": data})

    async def chat(self, request: Request) -> "Response | _Stream":
        """`POST /v1/chat/completions`: the whole reply, or its pieces as server-sent events.

        The status is known before the first byte: a stream begins when its first piece is there.
        """
        asked = ChatRequest.read(await _read_body(request))
        model, persona, settings = self._resolve(asked)
        raw = model.endswith(RAW)
        messages = tuple(message.to_message() for message in asked.messages)
        memory, seed = asked.memory, (asked.persona.seed if asked.persona else None) or 0

        def start(cancelled: threading.Event) -> Reply:
            if raw:
                return persona.raw_reply(messages, settings, cancelled=cancelled)
            return persona.reply(messages, settings, memory=memory, seed=seed, cancelled=cancelled)

        generation = Generation(self._turns, start)
        try:
            reply = await _while_present(request, generation.opening())
            answer = Answer(model, reply, asked)
            pieces = spoken(generation.pieces())
            if not asked.stream:
                return JSONResponse(await _while_present(request, answer.whole(pieces)))
            first = await _while_present(request, anext(pieces))
        except BaseException:
            generation.cancel()
            raise
        events = StreamingResponse(answer.events(first, pieces), media_type="text/event-stream")
        return _Stream(events, generation)

    def _models_of(self, slug: str, memory: Memory) -> list[dict[str, Any]]:
        persona = self._personas[slug]
        about = {
            "name": persona.card.spoken_name,
            "greeting": persona.greeting(memory),
            "base": persona.base,
            "adapter": persona.adapter is not None,
            "settings": {name: getattr(persona.settings, name) for name in GenerationSettings.ranges()},
        }
        model = {"object": "model", "created": self._created, "owned_by": "persona"}
        return [{"id": slug, **model, "persona": about}, {"id": slug + RAW, **model}]

    def _resolve(self, asked: ChatRequest) -> tuple[str, Persona, GenerationSettings]:
        """The persona that is asked for, the first when none is, and the settings of this reply."""
        first = next(iter(self._personas))
        # huggingface_hub's client sends "dummy" when it was given no model.
        model = first if asked.model in (None, "", "dummy") else str(asked.model)
        persona = self._personas.get(model.removesuffix(RAW))
        if persona is None:
            known = ", ".join(self._personas)
            raise Refusal(404, f"There is no model {model[:100]!r} here, only: {known}.", "model_not_found")
        return model, persona, persona.settings.updated(asked.settings)


class _Stream:
    """An ASGI response that ends its generation however it ends itself."""

    def __init__(self, events: StreamingResponse, generation: Generation) -> None:
        self._events = events
        self._generation = generation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._events(scope, receive, send)
        finally:
            self._generation.cancel()


async def _read_body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BODY_LIMIT:
            raise Refusal(413, f"The request is larger than {BODY_LIMIT:,} bytes.", "request_too_large")
    return bytes(body)


async def _while_present(request: Request, result: Awaitable[_T]) -> _T:
    """Wait for `result` as long as the client does. Raises `ClientDisconnect` when it is gone."""
    task = asyncio.ensure_future(result)
    try:
        while not (await asyncio.wait({task}, timeout=_LOOK_SECONDS))[0]:
            if await request.is_disconnected():
                raise ClientDisconnect
        return task.result()
    finally:
        task.cancel()


def _answer_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return refuse(error)


def _answer_problem(request: Request, error: Exception) -> Response:
    return refuse(Refusal(400, str(error), "invalid_request"))


def _answer_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return refuse(Refusal(error.status_code, f"{request.method} {request.url.path}: {error.detail}", "no_such_route"))


def _answer_nobody(request: Request, error: Exception) -> Response:
    return Response(status_code=499)  # nobody reads it: the number is nginx's for a client that left


def _answer_crash(request: Request, error: Exception) -> Response:
    return refuse(Refusal(500, f"The server failed: {type(error).__name__}.", "internal_error"))
