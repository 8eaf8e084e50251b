"""The client of the HTTP contract, against a server of a few lines."""

import asyncio
import json

import httpx2
import pytest

from bot.endpoint import Character, Ending, Endpoint, EndpointError, Request
from persona.conversation import Message

REQUEST = Request("ada", (Message("user", "Hello", "Tom"),), "Tom", 5, {"temperature": 0.5, "max_new_tokens": 9})


def chunk(text=None, finish=None, **more):
    delta = {} if text is None else {"content": text}
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}


def sse(*chunks, done=True):
    lines = [f"data: {c if isinstance(c, str) else json.dumps(c)}\n\n" for c in chunks]
    return ": keep-alive\n\n" + "".join(lines) + ("data: [DONE]\n\n" if done else "")


def endpoint(answer, seen=None, **options):
    def handle(request):
        if seen is not None:
            seen.append(request)
        return answer(request) if callable(answer) else answer

    return Endpoint(lambda: "http://test", "t0ken", transport=httpx2.MockTransport(handle), **options)


def streamed(*chunks, **options):
    headers = {"content-type": "text/event-stream; charset=utf-8"}
    return httpx2.Response(200, headers=headers, text=sse(*chunks, **options))


async def collect(endpoint):
    return [piece async for piece in endpoint.stream(REQUEST)]


async def test_pieces_and_the_ending():
    seen = []
    report = {"lore": ["lamp"], "dropped": [], "truncated_turns": 3, "warnings": []}
    answer = streamed(chunk(""), chunk("Good "), chunk("evening\u2028."), chunk(finish="length", persona=report))
    assert await collect(endpoint(answer, seen)) == ["Good ", "evening\u2028.", Ending("length", 3)]
    assert json.loads(seen[0].content) == {
        "model": "ada",
        "messages": [{"role": "user", "content": "Hello", "name": "Tom"}],
        "stream": True,
        "temperature": 0.5,
        "max_tokens": 9,
        "persona": {"user_name": "Tom", "seed": 5},
    }
    assert seen[0].headers["authorization"] == "Bearer t0ken" and seen[0].url.path == "/v1/chat/completions"


async def test_a_usage_chunk_without_choices_is_no_problem():
    assert await collect(endpoint(streamed(chunk("a", "stop"), {"choices": [], "usage": {}}))) == [
        "a",
        Ending("stop", 0),
    ]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "rejected"),
        (401, "refused"),
        (403, "refused"),
        (404, "missing"),
        (413, "rejected"),
        (429, "busy"),
        (503, "busy"),
        (500, "failed"),
        (302, "failed"),
    ],
)
async def test_statuses_become_kinds(status, kind):
    for body in ({"json": {"error": {"message": "because", "type": "t", "code": "c"}}}, {"text": "<html>"}):
        with pytest.raises(EndpointError) as error:
            await collect(endpoint(httpx2.Response(status, **body)))
        assert error.value.kind == kind and len(str(error.value).splitlines()) <= 4


@pytest.mark.parametrize(
    "answer",
    [
        streamed(chunk("half"), done=False),
        streamed(chunk("half"), {"error": {"message": "engine died", "code": "engine_failed"}}),
        streamed(chunk("half"), "{broken"),
        streamed(chunk("half"), "[1]"),
        streamed(chunk("half"), {"choices": [{"delta": {"content": 7}}]}),
        streamed(chunk("half"), {"choices": "x"}),
    ],
)
async def test_an_answer_that_breaks_off_is_an_error_after_its_pieces(answer):
    got = []
    with pytest.raises(EndpointError) as error:
        async for piece in endpoint(answer).stream(REQUEST):
            got.append(piece)
    assert got == ["half"] and error.value.kind == "failed"


@pytest.mark.parametrize(
    ("problem", "kind"),
    [
        (httpx2.ConnectError, "unreachable"),
        (httpx2.ReadTimeout, "timeout"),
        (httpx2.ReadError, "failed"),
        (httpx2.RemoteProtocolError, "failed"),
    ],
)
async def test_network_problems_become_kinds(problem, kind):
    def fail(request):
        raise problem("x", request=request)

    with pytest.raises(EndpointError) as error:
        await collect(endpoint(fail))
    assert error.value.kind == kind


MODELS = {
    "object": "list",
    "data": [
        {"id": "ada:raw", "object": "model"},
        {
            "id": "ada",
            "object": "model",
            "persona": {"name": "Ada", "greeting": "Hi", "base": "persona-nano", "adapter": True},
        },
        {"id": "juno", "object": "model"},
    ],
}


async def test_describe():
    server = endpoint(httpx2.Response(200, json=MODELS))
    assert await server.describe(None) == Character("ada", "Ada", "persona-nano", True)
    assert await server.describe("juno") == Character("juno", "juno")
    with pytest.raises(EndpointError, match="does not serve 'mira'") as error:
        await server.describe("mira")
    assert "ada, juno" in str(error.value)


async def test_the_characters_own_settings_are_read():
    told = {
        "temperature": 0.6,
        "top_k": 40,
        "seed": None,
        "stop_strings": ["x"],
        "top_p": "0.9",
        "min_p": True,
        "new": 1,
    }
    rows = [{"id": "ada", "persona": {"name": "Ada", "settings": told}}]
    ada = await endpoint(httpx2.Response(200, json={"data": rows})).describe("ada")
    assert ada.settings == {"temperature": 0.6, "top_k": 40}


@pytest.mark.parametrize(
    "body",
    [
        {"text": "<html>hello"},
        {"json": {}},
        {"json": {"data": [{}]}},
        {"json": []},
        {"json": {"data": 3}},
        {"json": {"data": [{"id": "ada", "persona": "Ada"}]}},
    ],
)
async def test_something_else_answers(body):
    with pytest.raises(EndpointError, match="not a persona server"):
        await endpoint(httpx2.Response(200, **body)).describe(None)


async def test_a_silent_server_is_a_timeout_and_leaving_closes_the_connection():
    """Over a real socket: the server has to notice that nobody listens any more."""
    left = asyncio.Event()

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
        writer.write(head + f"data: {json.dumps(chunk('Hm'))}\n\n".encode())
        await writer.drain()
        while await reader.read(1000):
            pass
        left.set()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        real = Endpoint(lambda: f"http://127.0.0.1:{port}", "", local=True, piece_seconds=0.2)
        with pytest.raises(EndpointError) as error:
            await collect(real)
        assert error.value.kind == "timeout"
        await asyncio.wait_for(left.wait(), 2)
        left.clear()
        pieces = real.stream(REQUEST)
        assert await anext(pieces) == "Hm"
        await pieces.aclose()
        await asyncio.wait_for(left.wait(), 2)
        await real.close()
