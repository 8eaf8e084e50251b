"""The server: OpenAI's shapes, who may come in, one reply at a time, and what happens when somebody leaves."""

import json
import threading

import httpx2
import pytest

from persona.engines.echo import EchoEngine
from persona.engines.protocol import Piece
from persona.errors import PersonaError
from persona.server.app import BODY_LIMIT, PAGE, create_app
from tests.serving import HELLO, SlowEngine, personas, running, wait_until

CHAT = "/v1/chat/completions"
CLIENT = httpx2.Client(timeout=20)


@pytest.fixture(scope="module")
def echo():
    return EchoEngine(reply=lambda prompt: "I do, every night.")


@pytest.fixture(scope="module")
def url(echo):
    with running(create_app(personas(echo))) as address:
        yield address


def ask(url, messages=HELLO, **fields):
    return CLIENT.post(url + CHAT, json={"model": "ada", "messages": messages, **fields})


def events(response):
    lines = [line[6:] for line in response.text.splitlines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


# Shapes ---------------------------------------------------------------------------------------------------------------


def test_whole_answer(url):
    answer = ask(url).json()
    choice = answer["choices"][0]
    assert answer["object"] == "chat.completion" and answer["model"] == "ada"
    assert choice["message"] == {"role": "assistant", "content": "I do, every night."}
    assert choice["finish_reason"] == "stop"
    assert answer["usage"]["completion_tokens"] == 4
    assert answer["usage"]["total_tokens"] == answer["usage"]["prompt_tokens"] + 4
    assert "the lamp" in answer["persona"]["lore"] and answer["persona"]["truncated_turns"] == 0


def test_streamed_answer(url):
    got = events(ask(url, stream=True, stream_options={"include_usage": True}))
    deltas = [event["choices"][0]["delta"] for event in got[:-1]]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert "".join(delta.get("content", "") for delta in deltas) == "I do, every night."
    assert [event["choices"][0]["finish_reason"] for event in got[:-1]] == [None] * (len(got) - 2) + ["stop"]
    assert got[-2]["persona"]["lore"] == got[-1]["persona"]["lore"] != []
    assert got[-1]["choices"] == [] and got[-1]["usage"]["completion_tokens"] == 4
    assert len({event["id"] for event in got}) == 1


def test_stream_without_usage_ends_with_the_report(url):
    assert "persona" in events(ask(url, stream=True))[-1]


def test_length_is_the_reason_when_the_limit_ends_a_reply(url):
    assert ask(url, max_tokens=2).json()["choices"][0] == {
        "index": 0,
        "message": {"role": "assistant", "content": "I do,"},
        "finish_reason": "length",
        "logprobs": None,
    }


def test_events_are_ascii(url, echo):
    reply, echo._reply = echo._reply, lambda prompt: "caf\u00e9\u2028\u2603"
    try:
        response = ask(url, stream=True)
    finally:
        echo._reply = reply
    assert response.content.isascii()
    assert "".join(e["choices"][0]["delta"].get("content", "") for e in events(response)) == "caf\u00e9\u2028\u2603"


@pytest.mark.parametrize("suffix", ["", "/v1", "/v1/chat/completions"])
def test_a_client_that_nobody_here_wrote(url, suffix):
    from huggingface_hub import InferenceClient

    client = InferenceClient(base_url=url + suffix)
    whole = client.chat_completion(HELLO, max_tokens=50)
    assert whole.choices[0].message.content == "I do, every night."
    assert whole.model == "ada"
    stream = client.chat.completions.create(messages=HELLO, model="bram", stream=True, extra_body={"min_p": 0.1})
    chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "I do, every night."
    assert chunks[-1].choices[0].finish_reason == "stop" and chunks[-1].model == "bram"


def test_models(url):
    models = CLIENT.get(url + "/v1/models").json()["data"]
    assert [model["id"] for model in models] == ["ada", "ada:raw", "bram", "bram:raw"]
    about = models[0]["persona"]
    assert about["name"] == "Ada" and about["base"] == "persona-nano" and about["adapter"] is False
    assert "{{" not in about["greeting"]
    named = CLIENT.get(url + "/v1/models", params={"user_name": "Tom"}).json()["data"][0]
    assert named["persona"]["greeting"] != about["greeting"] and "Tom" in named["persona"]["greeting"]


def test_health(url):
    assert CLIENT.get(url + "/healthz").json() == {"status": "ok", "personas": ["ada", "bram"], "waiting": 0}


# What reaches the engine ----------------------------------------------------------------------------------------------


def test_settings_reach_the_engine(url, echo):
    ask(url, temperature=0, top_p=0.5, top_k=-1, min_p=0.1, repetition_penalty=1.2, max_tokens=7, stop="END", seed=3)
    used = echo.settings[-1]
    assert (used.temperature, used.top_p, used.top_k, used.min_p) == (0, 0.5, 0, 0.1)
    assert (used.repetition_penalty, used.max_new_tokens, used.stop_strings, used.seed) == (1.2, 7, ("END",), 3)
    ask(url, max_completion_tokens=9, stop=["a", "b"], temperature=None)
    assert echo.settings[-1].max_new_tokens == 9 and echo.settings[-1].stop_strings == ("a", "b")


def test_the_clients_system_message_comes_behind_the_card(url, echo):
    ask(url, [{"role": "developer", "content": "Speak of nothing but tea."}, *HELLO])
    system = echo.prompts[-1].messages[0].content
    assert system.index("Ada") < system.index("Speak of nothing but tea.")


def test_raw_serves_the_messages_as_they_are(url, echo):
    given = [{"role": "system", "content": "You are a stone."}, {"role": "user", "content": "The lamp?"}]
    answer = ask(url, given, model="ada:raw").json()
    assert [message.to_dict() for message in echo.prompts[-1].messages] == given
    assert answer["persona"]["lore"] == [] and answer["model"] == "ada:raw"


def test_memory_and_names_reach_the_prompt(url, echo):
    ask(url, persona={"user_name": "Tom", "memory": ["Tom is afraid of gulls."], "seed": 5})
    assert "Tom is afraid of gulls." in echo.prompts[-1].messages[0].content


def test_text_parts_are_joined(url, echo):
    parts = [{"type": "text", "text": "Hello"}, {"type": "text", "text": "there"}]
    ask(url, [{"role": "user", "content": parts}])
    assert echo.prompts[-1].messages[-1].content.endswith("Hello\nthere")


def test_fields_without_effect_are_named(url):
    warnings = ask(url, frequency_penalty=1.0, logit_bias=None, user="me").json()["persona"]["warnings"]
    assert warnings == ["not used here: frequency_penalty"]


# Bad requests ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "JSON"),
        (b"[]", "object"),
        (b"\xff", "JSON"),
        (b"[" * 100_000, "JSON"),
        (b'{"messages": [{"role": "user", "content": "\\ud800"}]}', "JSON"),
        ({}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "text"),
        ({"messages": [{"role": "user", "content": "x" * 100_001}]}, "100000"),
        ({"messages": HELLO * 501}, "500"),
        ({"messages": HELLO, "temperature": "hot"}, "temperature"),
        ({"messages": HELLO, "temperature": True}, "temperature"),
        ({"messages": HELLO, "temperature": 9}, "temperature"),
        ({"messages": HELLO, "max_tokens": 0}, "max_new_tokens"),
        ({"messages": HELLO, "max_tokens": 1.5}, "max_tokens"),
        ({"messages": HELLO, "stop": [1]}, "stop"),
        ({"messages": HELLO, "stop": ["x"] * 17}, "stop"),
        ({"messages": HELLO, "seed": -1}, "seed"),
        ({"messages": HELLO, "stream": "yes"}, "stream"),
        ({"messages": HELLO, "n": 2}, "n"),
        ({"messages": HELLO, "persona": {"memory": "x"}}, "persona.memory"),
    ],
)
def test_wrong_requests_are_told_what_is_wrong(url, body, said):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = CLIENT.post(url + CHAT, content=content)
    error = response.json()["error"]
    assert response.status_code == 400 and error["type"] == "invalid_request_error"
    assert said in error["message"] and "Traceback" not in error["message"]


def test_nan_is_no_temperature(url):
    body = b'{"messages": [{"role": "user", "content": "x"}], "temperature": NaN}'
    assert CLIENT.post(url + CHAT, content=body).status_code == 400


def test_unknown_model_lists_the_known(url):
    response = ask(url, model="cleo")
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "model_not_found" and "ada, bram" in response.json()["error"]["message"]


def test_unknown_route_is_json(url):
    assert CLIENT.get(url + "/v1/embeddings").json()["error"]["type"] == "not_found_error"
    assert CLIENT.get(url + "/../../pyproject.toml").status_code == 404
    assert CLIENT.get(url + "/%2e%2e/app.py").status_code == 404


def test_too_large_a_body(url):
    response = CLIENT.post(url + CHAT, content=b" " * (BODY_LIMIT + 1))
    assert response.status_code == 413 and response.json()["error"]["code"] == "request_too_large"


# Who may come in ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "localhost:8000"}, 200),
        ({"Host": "127.0.0.1:1"}, 200),
        ({"Host": "[::1]:8000"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "evil.example:8000"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "localhost@evil.example"}, 403),
        ({"Host": "[::1"}, 403),
        ({"Host": ""}, 403),
        ({"Host": "localhost:8000", "Origin": "http://localhost:8000"}, 200),
        ({"Host": "localhost:8000", "Origin": "http://localhost:9000"}, 403),
        ({"Host": "localhost:8000", "Origin": "https://evil.example"}, 403),
        ({"Host": "localhost:8000", "Origin": "null"}, 403),
        ({"Host": "localhost:8000", "Origin": ""}, 403),
    ],
)
@pytest.mark.parametrize("path", ["/", "/healthz", "/v1/models"])
def test_host_and_origin(url, headers, status, path):
    response = CLIENT.get(url + path, headers=headers)
    assert response.status_code == status
    assert "access-control-allow-origin" not in response.headers


def test_token():
    with running(create_app(personas(EchoEngine(["Yes."])), token="sesame")) as url:
        assert CLIENT.get(url + "/healthz").status_code == 200
        assert [CLIENT.get(url + path).status_code for path in ("/", "/page.js", "/page.css", "/icon.svg")] == [200] * 4
        for given in (None, "sesame", "Bearer wrong", "Bearer", "Basic sesame", "Bearer sesame2", "Bearer s\u00e9same"):
            headers = {"Authorization": given.encode("utf-8")} if given else {}
            for answer in (
                CLIENT.get(url + "/v1/models", headers=headers),
                CLIENT.post(url + CHAT, json={"messages": HELLO}, headers=headers),
                CLIENT.get(url + "//v1/models", headers=headers),
            ):
                assert answer.status_code == 401 and answer.json()["error"]["type"] == "authentication_error"
        good = {"Authorization": "Bearer sesame"}
        assert CLIENT.post(url + CHAT, json={"messages": HELLO}, headers=good).status_code == 200


def test_page_is_closed_to_the_outside(url):
    response = CLIENT.get(url + "/")
    assert "text/html" in response.headers["content-type"]
    assert response.headers["content-security-policy"].startswith("default-src 'self';")
    assert response.headers["x-content-type-options"] == "nosniff"
    for file in PAGE.iterdir():
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text and "https://" not in text and "innerHTML" not in text
        assert " style=" not in text and "<script>" not in text and " onclick=" not in text


# One at a time --------------------------------------------------------------------------------------------------------


def in_background(function, *arguments, **fields):
    results = []
    thread = threading.Thread(target=lambda: results.append(function(*arguments, **fields)), daemon=True)
    thread.start()
    return thread, results


def test_replies_come_one_at_a_time_in_the_order_of_their_requests():
    engine = SlowEngine(words=3, before=threading.Event())
    app = create_app(personas(engine))
    with running(app) as url:
        threads = []
        for place in range(4):
            threads.append(in_background(ask, url, [{"role": "user", "content": f"number {place}"}])[0])
            wait_until(lambda place=place: len(engine.started) + app.state.turns.waiting == place + 1)
        engine.before.set()
        for thread in threads:
            thread.join(10)
    assert [text[-1] for text in engine.started] == ["0", "1", "2", "3"]
    assert engine.most_at_once == 1 and engine.ended == ["stop"] * 4


def test_a_full_queue_refuses_and_says_when_to_come_back():
    engine = SlowEngine(words=1, before=threading.Event())
    app = create_app(personas(engine), waiting_limit=1)
    with running(app) as url:
        threads = [in_background(ask, url)[0]]
        wait_until(lambda: engine.started)
        threads.append(in_background(ask, url, stream=True)[0])
        wait_until(lambda: app.state.turns.waiting == 1)
        for stream in (False, True):
            refused = ask(url, stream=stream)
            assert refused.status_code == 429 and int(refused.headers["retry-after"]) > 0
            assert refused.json()["error"]["type"] == "rate_limit_error"
        assert CLIENT.get(url + "/healthz").json()["waiting"] == 1
        engine.before.set()
        for thread in threads:
            thread.join(10)


def test_one_who_leaves_while_waiting_leaves_the_queue():
    engine = SlowEngine(words=1, before=threading.Event())
    app = create_app(personas(engine))
    with running(app) as url:
        first, _ = in_background(ask, url)
        wait_until(lambda: engine.started)
        with pytest.raises(httpx2.ReadTimeout):
            CLIENT.post(url + CHAT, json={"messages": HELLO}, timeout=0.3)
        wait_until(lambda: app.state.turns.waiting == 0)
        engine.before.set()
        first.join(10)
    assert engine.ended == ["stop"]


@pytest.mark.parametrize("stream", [False, True])
def test_one_who_leaves_stops_the_reply(stream):
    engine = SlowEngine()
    app = create_app(personas(engine))
    with running(app) as url:
        body = {"messages": HELLO, "stream": stream, "max_tokens": 8000}
        if stream:
            with CLIENT.stream("POST", url + CHAT, json=body) as response:
                assert next(response.iter_lines()).startswith("data:")
        else:
            with pytest.raises(httpx2.ReadTimeout):
                CLIENT.post(url + CHAT, json=body, timeout=0.3)
        wait_until(lambda: engine.ended == ["cancelled"], seconds=2)
        wait_until(lambda: not app.state.turns.running)
        engine.words = 1
        assert ask(url).status_code == 200


# Failures -------------------------------------------------------------------------------------------------------------


class Breaking:
    """Says some words, then raises."""

    def __init__(self, words, error):
        self.words, self.error = words, error

    def stream(self, prompt, settings, cancelled):
        for count in range(1, self.words + 1):
            yield Piece("word ", None, count)
        if self.error:
            raise self.error

    def close(self):
        pass


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (RuntimeError("secret path /home/me"), 500, "RuntimeError"),
        (PersonaError("The engine is gone.", fix="start it"), 503, "The engine is gone."),
        (None, 503, "broke off"),
    ],
)
@pytest.mark.parametrize("words", [0, 2])
def test_an_engine_that_fails(error, status, said, words, caplog):
    with running(create_app(personas(Breaking(words, error)))) as url:
        whole = ask(url)
        assert whole.status_code == status and said in whole.json()["error"]["message"]
        assert "secret" not in whole.text
        streamed = ask(url, stream=True)
        if words == 0:
            assert streamed.status_code == status
        else:
            assert streamed.status_code == 200
            assert said in events(streamed)[-1]["error"]["message"]
        assert CLIENT.get(url + "/healthz").status_code == 200


def test_a_stopping_server_ends_replies_in_words():
    engine = SlowEngine()
    app = create_app(personas(engine))
    with running(app) as url, CLIENT.stream("POST", url + CHAT, json={"messages": HELLO, "stream": True}) as response:
        lines = response.iter_lines()
        next(lines)
        app.state.turns.cancel_all()
        rest = [line for line in lines if line.startswith("data: ")]
    assert json.loads(rest[-2][6:])["error"]["code"] == "stopping" and rest[-1] == "data: [DONE]"
