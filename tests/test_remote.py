"""The remote engine against servers that behave, that refuse, that tear their streams, and that never answer."""

import asyncio
import json
import threading
import time

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

from persona.conversation import Message
from persona.engines.echo import EchoEngine
from persona.engines.protocol import Piece
from persona.engines.remote import RemoteEngine
from persona.errors import PersonaError
from persona.generation import GenerationSettings
from persona.prompt import Prompt
from persona.server.app import create_app
from tests.serving import SlowEngine, personas, running, wait_until

PROMPT = Prompt((5, 6, 7), (Message("system", "You are Ada."), Message("user", "Is it lit?")), None, (2,))
CHAT, COMPLETIONS, DETOKENIZE = "/v1/chat/completions", "/v1/completions", "/detokenize"


class Fake:
    """An OpenAI-compatible server with scripted answers; `requests` keeps what it was sent."""

    def __init__(self, *, models=("base",), detokenize=None, strict=(), status=None, chunks=None, wait=False):
        self.models, self.detokenize, self.strict, self.status, self.wait = models, detokenize, strict, status, wait
        self.chunks = chunks
        self.requests, self.tokens, self.left = [], [], threading.Event()
        self.app = Starlette(
            routes=[
                Route("/v1/models", self.list),
                Route(DETOKENIZE, self.read_back, methods=["POST"]),
                Route(CHAT, self.speak, methods=["POST"]),
                Route(COMPLETIONS, self.speak, methods=["POST"]),
            ]
        )

    async def list(self, request):
        return JSONResponse({"data": [{"id": name} for name in self.models]})

    async def read_back(self, request):
        if self.detokenize is None:
            return JSONResponse({"error": {"message": "no such route"}}, 404)
        return JSONResponse({"prompt": self.detokenize})

    async def speak(self, request):
        body = await request.json()
        self.requests.append((request.url.path, body))
        self.tokens.append(request.headers.get("authorization"))
        if self.status:
            return JSONResponse({"error": {"message": "it said no", "type": "x"}}, self.status)
        if set(self.strict) & set(body):
            return JSONResponse({"error": {"message": "unknown field"}}, 400)
        while self.wait:
            if await request.is_disconnected():
                self.left.set()
                return JSONResponse({})
            await asyncio.sleep(0.02)
        chunks = self.chunks or script(request.url.path, ["Yes", ", always."])

        async def stream():
            for chunk in chunks:
                yield chunk
                await asyncio.sleep(0)

        return StreamingResponse(stream(), media_type="text/event-stream")


def script(path, words, finish="stop"):
    def choice(word):
        return {"text": word} if path == COMPLETIONS else {"delta": {"content": word}}

    rows = [{"choices": [choice(word)]} for word in words]
    rows.append({"choices": [{**choice(""), "finish_reason": finish}]})
    rows.append({"choices": [], "usage": {"completion_tokens": 11}})
    return [f"data: {json.dumps(row)}\n\n".encode() for row in rows] + [b"data: [DONE]\n\n"]


def listen(engine, prompt=PROMPT, settings=GenerationSettings(), cancelled=None):  # noqa: B008
    return list(engine.stream(prompt, settings, cancelled or threading.Event()))


def spoken(fake, model=None, *, prompt=PROMPT, settings=GenerationSettings(), **options):  # noqa: B008
    notices = []
    with running(fake.app) as url:
        engine = RemoteEngine(url, model, notice=notices.append, **options)
        pieces = listen(engine, prompt, settings)
        engine.close()
    return pieces, notices


# The road to a server -------------------------------------------------------------------------------------------------


def test_finished_ids_go_where_they_are_read_back_as_the_same_text():
    fake = Fake(detokenize="<s>system You are Ada. user Is  it lit?")
    pieces, notices = spoken(fake)
    path, body = fake.requests[0]
    assert path == COMPLETIONS and body["prompt"] == [5, 6, 7] and body["stop_token_ids"] == [2]
    assert "messages" not in body and notices == []
    assert pieces == [Piece("Yes", None, 1), Piece(", always.", None, 2), Piece("", "stop", 11)]


def test_another_tokenizer_is_an_error_and_not_a_babble():
    fake = Fake(detokenize="zq flurb")
    with pytest.raises(PersonaError, match="another tokenizer") as error:
        spoken(fake)
    assert "--model" in error.value.fix and fake.requests == []


def test_messages_go_where_the_server_renders_and_that_is_said_once():
    fake, notices = Fake(), []
    with running(fake.app) as url:
        engine = RemoteEngine(url + "/v1/", notice=notices.append)
        for _ in range(2):
            assert listen(engine)[-1] == Piece("", "stop", 11)
    path, body = fake.requests[1]
    assert path == CHAT and "prompt" not in body and body["chat_template_kwargs"] == {"enable_thinking": False}
    assert body["messages"] == [
        {"role": "system", "content": "You are Ada."},
        {"role": "user", "content": "Is it lit?"},
    ]
    assert len(notices) == 1 and notices[0].startswith("unchecked: the server renders the prompt")


def test_a_mode_that_is_named_is_not_probed():
    fake = Fake()
    spoken(fake, mode="ids")
    assert fake.requests[0][0] == COMPLETIONS


def test_settings_are_sent_under_the_names_that_servers_know():
    fake = Fake()
    settings = GenerationSettings(33, 0.5, 0.9, 0, 0.1, 1.1, ("END",), 7)
    spoken(fake, settings=settings, token="sesame")
    body = fake.requests[0][1]
    expected = {
        "max_tokens": 33,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": -1,
        "min_p": 0.1,
        "repetition_penalty": 1.1,
        "repeat_penalty": 1.1,
        "stop": ["END"],
        "seed": 7,
        "stream": True,
    }
    assert {name: body.get(name) for name in expected} == expected
    assert fake.tokens == ["Bearer sesame"]


def test_a_strict_server_gets_the_plain_fields_and_that_is_said_once():
    fake, notices = Fake(strict=("min_p", "chat_template_kwargs")), []
    with running(fake.app) as url:
        engine = RemoteEngine(url, mode="messages", notice=notices.append)
        for _ in range(2):
            assert listen(engine)[-1].finish == "stop"
    assert len(fake.requests) == 3 and "min_p" not in fake.requests[-1][1]
    assert len(notices) == 1 and "min_p" in notices[0]


@pytest.mark.parametrize(
    ("models", "named", "adapter", "asked"),
    [
        (("base",), None, None, "base"),
        (("base", "ada"), None, "ada", "ada"),
        (("base", "ada"), "base", "ada", "base"),
        (("base",), None, "ada", "base"),
        ((), "mira:raw", None, "mira:raw"),
    ],
)
def test_which_model_is_asked(models, named, adapter, asked):
    fake = Fake(models=models)
    _, notices = spoken(fake, named, prompt=Prompt(PROMPT.ids, PROMPT.messages, adapter))
    assert fake.requests[0][1]["model"] == asked
    assert any("lists no adapter 'ada'" in notice for notice in notices) == (adapter == "ada" and models == ("base",))


@pytest.mark.parametrize("models", [(), ("a", "b")])
def test_several_models_and_none_named(models):
    with pytest.raises(PersonaError, match=f"lists {len(models)} models") as error:
        spoken(Fake(models=models))
    assert "--engine-model" in error.value.fix


# Streams --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 3, 10_000])
def test_events_may_be_torn_anywhere(size):
    rows = [{"choices": [{"delta": {"content": text}}]} for text in ("caf\u00e9 ", "\u2028", "\U0001f56f")]
    rows.append({"choices": [{"delta": {}, "finish_reason": "length"}]})
    data = b": ping\r\n\r\n" + b"".join(f"data: {json.dumps(r, ensure_ascii=False)}\r\n\r\n".encode() for r in rows)
    fake = Fake(chunks=[data[at : at + size] for at in range(0, len(data), size)])
    pieces, _ = spoken(fake, mode="messages")
    assert "".join(piece.text for piece in pieces) == "caf\u00e9 \u2028\U0001f56f"
    assert pieces[-1] == Piece("", "length", 3)


@pytest.mark.parametrize(
    ("chunks", "said"),
    [
        (script(CHAT, ["Yes"])[:1], "broke off"),
        ([b'data: {"error": {"message": "out of memory"}}\n\n'], "out of memory"),
        ([b"data: {oops\n\n"], "not JSON"),
        ([b"data: [DONE]\n\n"], "broke off"),
    ],
)
def test_streams_that_end_badly(chunks, said):
    with pytest.raises(PersonaError, match=said):
        spoken(Fake(chunks=chunks), mode="messages")


@pytest.mark.parametrize(
    ("status", "fix"), [(400, ""), (401, "PERSONA_ENGINE_TOKEN"), (404, ""), (429, "again"), (500, ""), (307, "")]
)
def test_refusals_say_what_the_server_said(status, fix):
    with pytest.raises(PersonaError, match=f"answered {status}: it said no") as error:
        spoken(Fake(status=status), mode="messages")
    assert fix in (error.value.fix or "") and len(str(error.value).splitlines()) <= 4


def test_nobody_there():
    with running(Fake().app) as url:
        pass
    with pytest.raises(PersonaError, match="No server answers") as error:
        RemoteEngine(url).models()
    assert error.value.where == url
    with pytest.raises(PersonaError, match="No server answers"):
        listen(RemoteEngine(url, "m"))


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://x", "http://", ""])
def test_addresses_that_are_none(url):
    with pytest.raises(PersonaError, match="not the address"):
        RemoteEngine(url)


def test_cancelling_before_the_first_token_lets_the_server_know():
    fake = Fake(wait=True)
    cancelled = threading.Event()
    with running(fake.app) as url:
        threading.Timer(0.2, cancelled.set).start()
        begun = time.monotonic()
        assert listen(RemoteEngine(url, mode="messages"), cancelled=cancelled) == [Piece("", "cancelled", 0)]
        assert time.monotonic() - begun < 2
        assert fake.left.wait(2)


# Two servers in a chain -----------------------------------------------------------------------------------------------


def test_a_second_persona_server_renders_the_finished_messages_unchanged():
    inner, notices = EchoEngine(reply=lambda prompt: "It is lit."), []
    with running(create_app(personas(inner), token="sesame")) as url:
        engine = RemoteEngine(url, "bram:raw", token="sesame", notice=notices.append)
        ada = personas(engine, "ada")["ada"]
        reply = ada.reply([Message("user", "Who keeps the lamp lit?")], GenerationSettings(top_k=5, min_p=0.2))
        assert "".join(piece.text for piece in reply) == "It is lit."
    assert inner.prompts[-1].messages == reply.prompt.messages
    assert inner.prompts[-1].ids == reply.prompt.ids
    assert (inner.settings[-1].top_k, inner.settings[-1].min_p) == (5, 0.2)
    assert reply.finish == "stop" and reply.tokens == 3 and len(notices) == 1


def test_cancelling_goes_through_both_servers():
    slow = SlowEngine()
    with running(create_app(personas(slow))) as url:
        cancelled = threading.Event()
        pieces = RemoteEngine(url, "ada:raw", notice=print).stream(PROMPT, GenerationSettings(), cancelled)
        assert next(pieces).text
        cancelled.set()
        assert [piece.finish for piece in pieces][-1] == "cancelled"
        wait_until(lambda: slow.ended == ["cancelled"])
