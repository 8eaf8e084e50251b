"""One HTTP server, spoken to in JSON and server-sent events: its errors in plain words, and a wait that can be cut."""

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx2

from persona.errors import PersonaError

_TIMEOUT = httpx2.Timeout(10.0, read=600.0)
"""Seconds. Reading waits for a whole queue and a long prompt before the first token."""

_LOOK_SECONDS = 0.05
_FIXES = {
    401: "set PERSONA_ENGINE_TOKEN to the token of that server",
    403: "set PERSONA_ENGINE_TOKEN to the token of that server",
    429: "it is busy: try again in a moment",
}


class Answered(PersonaError):
    """The server answered, and the answer is not 200; `status` is what it said instead."""

    def __init__(self, status: int, what: str, *, where: str, fix: str | None) -> None:
        self.status = status
        super().__init__(what, where=where, fix=fix)


class Endpoint:
    """A server at `url`. Every request has a connection of its own, so that cutting one touches no other."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url
        host = urlsplit(url).hostname
        self._client = httpx2.Client(
            headers={"Authorization": f"Bearer {token}"} if token else None,
            timeout=_TIMEOUT,
            limits=httpx2.Limits(max_keepalive_connections=0),
            trust_env=host not in ("127.0.0.1", "localhost", "::1"),  # a proxy cannot reach this machine's loopback
        )

    def fetch(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """A JSON object. Raises `PersonaError` for a server that does not answer, `Answered` for one that refuses."""
        try:
            response = self._client.request(method, self.url + path, json=body)
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from error
        if response.status_code != 200:
            raise self._answered(path, response)
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise PersonaError(f"{path} answered with something that is not a JSON object.", where=self.url)
        return answer

    def events(self, path: str, body: dict[str, Any], cancelled: threading.Event) -> Iterator[dict[str, Any]]:
        """The events of a streamed answer. Ends at once, in silence, when `cancelled` is set: also before the first."""
        try:
            with (
                _cut_when(cancelled) as trace,
                self._client.stream("POST", self.url + path, json=body, extensions={"trace": trace}) as response,
            ):
                if response.status_code != 200:
                    response.read()
                    raise self._answered(path, response)
                yield from self._parsed(path, _data_lines(response.iter_bytes()))
        except httpx2.HTTPError as error:
            if not cancelled.is_set():
                raise self._unreachable(error) from error

    def close(self) -> None:
        """Close what is open."""
        self._client.close()

    def _parsed(self, path: str, lines: Iterator[str]) -> Iterator[dict[str, Any]]:
        for line in lines:
            if line == "[DONE]":
                return
            try:
                data = json.loads(line)
            except ValueError as error:
                raise PersonaError(f"{path} sent an event that is not JSON: {line[:80]!r}.", where=self.url) from error
            if isinstance(data, dict) and data.get("error"):
                raise PersonaError(f"The server broke off: {_said(data)}", where=self.url + path)
            if isinstance(data, dict):
                yield data

    def _answered(self, path: str, response: httpx2.Response) -> Answered:
        try:
            said = _said(response.json())
        except ValueError:
            said = " ".join(response.text.split())[:200]
        status = response.status_code
        what = f"The server answered {status}{': ' + said if said else ''}"
        return Answered(status, what, where=self.url + path, fix=_FIXES.get(status))

    def _unreachable(self, error: httpx2.HTTPError) -> PersonaError:
        if isinstance(error, httpx2.TimeoutException):
            return PersonaError(f"The server did not answer in time ({type(error).__name__}).", where=self.url)
        if isinstance(error, httpx2.ConnectError):
            fix = "start it, or check the address"
            return PersonaError("No server answers.", where=self.url, fix=fix)
        return PersonaError(f"The connection broke: {error or type(error).__name__}", where=self.url)


def _said(answer: Any) -> str:
    """The sentence in an error object, whichever of the usual shapes it has."""
    error = answer.get("error", answer) if isinstance(answer, dict) else answer
    if isinstance(error, dict):
        error = error.get("message") or error.get("detail") or error
    return " ".join(str(error).split())[:300]


def _data_lines(chunks: Iterator[bytes]) -> Iterator[str]:
    """The `data:` lines of an event stream, whose bytes may be torn anywhere, in the middle of a character too."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].decode("utf-8", "replace").strip()
    if rest.startswith(b"data:"):
        yield rest[5:].decode("utf-8", "replace").strip()


@contextlib.contextmanager
def _cut_when(cancelled: threading.Event) -> Iterator[Callable[[str, dict[str, Any]], None]]:
    """Shut the connection down as soon as `cancelled` is set; what is yielded learns of it as httpcore's `trace`.

    A read that waits for a first token sees no event otherwise, and the server would not learn that nobody listens.
    """
    opened: list[Any] = []
    over = threading.Event()

    def trace(name: str, info: dict[str, Any]) -> None:
        if name in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            opened.append(info["return_value"])

    def watch() -> None:
        while not over.wait(_LOOK_SECONDS):
            for stream in opened if cancelled.is_set() else ():
                with contextlib.suppress(OSError):
                    stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)

    watcher = threading.Thread(target=watch, name="cancel watch", daemon=True)
    watcher.start()
    try:
        yield trace
    finally:
        over.set()
        watcher.join()
