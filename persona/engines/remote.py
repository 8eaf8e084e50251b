"""An engine behind a URL: vLLM, llama.cpp, SGLang, Ollama or a second `persona serve`, through OpenAI's protocol."""

import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, Literal
from urllib.parse import urlsplit

from persona.engines.endpoint import Answered, Endpoint
from persona.engines.protocol import Finish, Piece
from persona.errors import PersonaError
from persona.generation import GenerationSettings
from persona.prompt import Prompt

Mode = Literal["auto", "ids", "messages"]

_EXTRAS = frozenset(
    {"top_k", "min_p", "repetition_penalty", "repeat_penalty", "stop_token_ids", "chat_template_kwargs"}
)
"""Fields that OpenAI's own API does not know; strict servers refuse a request that has them."""


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class RemoteEngine:
    """Speaks through `POST {url}/v1/completions` with finished ids, or `/v1/chat/completions` with messages.

    `mode="auto"` takes ids where the server shows, by reading them back, that they mean the same text there. Elsewhere
    it takes messages, and `notice` is told once that the server renders the prompt. Without `model` the prompt's
    adapter is asked for, else the only model there is.
    """

    def __init__(
        self,
        url: str,
        model: str | None = None,
        *,
        mode: Mode = "auto",
        token: str | None = None,
        notice: Callable[[str], None] = _to_stderr,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise PersonaError(f"{url!r} is not the address of a server.", fix="--engine http://127.0.0.1:8000")
        self._endpoint = Endpoint(url.rstrip("/").removesuffix("/v1"), token)
        self._model = model
        self._mode: Mode = mode
        self._notice = notice
        self._known: tuple[str, ...] = ()
        self._said: set[str] = set()
        self._sends_extras = True

    @property
    def url(self) -> str:
        """The server's address, without `/v1`."""
        return self._endpoint.url

    def models(self) -> tuple[str, ...]:
        """The model names that the server lists. Raises `PersonaError` when it does not answer."""
        listed = self._endpoint.fetch("GET", "/v1/models").get("data")
        rows = listed if isinstance(listed, list) else []
        self._known = tuple(str(row["id"]) for row in rows if isinstance(row, dict) and "id" in row)
        return self._known

    def stream(self, prompt: Prompt, settings: GenerationSettings, cancelled: threading.Event) -> Iterator[Piece]:
        """One piece for each event of the server. Raises `PersonaError` naming the server and what it said."""
        model = self._model_for(prompt)
        if self._mode == "auto":
            self._mode = self._best_mode(model, prompt)
        body = self._body(model, prompt, settings)
        plain = {name: value for name, value in body.items() if name not in _EXTRAS}
        try:
            yield from self._pieces(body if self._sends_extras else plain, cancelled)
        except Answered as refused:
            if refused.status not in (400, 422) or not self._sends_extras:
                raise
            yield from self._pieces(plain, cancelled)
            self._sends_extras = False
            self._say(f"{self.url} refuses top_k, min_p and repetition_penalty: they are not used")

    def close(self) -> None:
        """Close the connections."""
        self._endpoint.close()

    def _say(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self._notice(line)

    def _model_for(self, prompt: Prompt) -> str:
        if self._model:
            return self._model
        known = self._known or self.models()
        if f"{prompt.adapter}:raw" in known:
            # A server of this project: its plain model would put a card of its own before ours.
            return f"{prompt.adapter}:raw"
        if prompt.adapter in known:
            return str(prompt.adapter)
        if len(known) != 1:
            names = f": {', '.join(known[:8])}" if known else ""
            raise PersonaError(
                f"The server lists {len(known)} models{names}.", where=self.url, fix="name one with --engine-model"
            )
        if prompt.adapter:
            self._say(f"unchecked: {self.url} lists no adapter {prompt.adapter!r}: its model {known[0]!r} speaks")
        return known[0]

    def _best_mode(self, model: str, prompt: Prompt) -> Mode:
        """Ids, if the server reads them back as the text that they are here. Raises where its tokenizer is another."""
        read = self._read_back("/detokenize", model, prompt) or self._read_back("/v1/detokenize", model, prompt)
        if read is None:
            self._say(f"unchecked: the server renders the prompt ({self.url})")
            return "messages"
        spoken = [message.content for message in prompt.messages if message.content.strip()]
        if spoken and "".join(spoken[-1].split()) not in "".join(read.split()):
            what = f"The server's model {model!r} has another tokenizer than the base here."
            raise PersonaError(what, where=self.url, fix="--model with the base that the server runs")
        return "ids"

    def _read_back(self, path: str, model: str, prompt: Prompt) -> str | None:
        try:
            answer = self._endpoint.fetch("POST", path, {"model": model, "tokens": list(prompt.ids)})
        except Answered as refused:
            if refused.status in (400, 404, 405, 422, 501):
                return None
            raise
        text = answer.get("prompt", answer.get("content"))  # vLLM's name, llama.cpp's name
        return text if isinstance(text, str) else None

    def _body(self, model: str, prompt: Prompt, settings: GenerationSettings) -> dict[str, Any]:
        """The settings are always sent, because servers have defaults of their own."""
        body: dict[str, Any] = {
            "model": model,
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": settings.max_new_tokens,
            "temperature": settings.temperature,
            "top_p": settings.top_p,
            "top_k": settings.top_k or -1,
            "min_p": settings.min_p,
            "repetition_penalty": settings.repetition_penalty,
            "repeat_penalty": settings.repetition_penalty,  # llama.cpp's name
        }
        if settings.stop_strings:
            body["stop"] = list(settings.stop_strings)
        if settings.seed is not None:
            body["seed"] = settings.seed
        if self._mode == "ids":
            return body | {"prompt": list(prompt.ids), "stop_token_ids": list(prompt.stop_ids)}
        messages = [message.to_dict() for message in prompt.messages]
        return body | {"messages": messages, "chat_template_kwargs": {"enable_thinking": False}}

    def _pieces(self, body: dict[str, Any], cancelled: threading.Event) -> Iterator[Piece]:
        path = "/v1/completions" if self._mode == "ids" else "/v1/chat/completions"
        finish: Finish | None = None
        tokens = 0
        for event in self._endpoint.events(path, body, cancelled):
            if cancelled.is_set():
                break
            choice = (event.get("choices") or [{}])[0]
            text = choice.get("text") or (choice.get("delta") or {}).get("content") or ""
            if text:
                tokens += 1
                yield Piece(text, None, tokens)
            if choice.get("finish_reason"):
                finish = "length" if choice["finish_reason"] == "length" else "stop"
            tokens = (event.get("usage") or {}).get("completion_tokens") or tokens
        if cancelled.is_set():
            finish = "cancelled"
        if finish is None:
            raise PersonaError("The server broke off in the middle of the reply.", where=self.url + path)
        yield Piece("", finish, tokens)
