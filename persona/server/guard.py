"""Who may come in: the Host, Origin and token checks that stand before every route, and the headers of every answer."""

import secrets
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from persona.server.wire import Refusal

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Names that only this machine can mean, whatever the port: a tunnel may show another one than the server's."""

OPEN_PATHS = frozenset({"/healthz", "/", "/page.js", "/page.css", "/icon.svg"})
"""What is answered without the token: the page holds no secret, and a supervisor needs to see that the server lives."""

_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Guard:
    """ASGI middleware. `hosts` are the names that the Host header may have, without port; None allows any."""

    def __init__(self, app: ASGIApp, *, token: str | None, hosts: Collection[str] | None) -> None:
        self._app = app
        self._token = token
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that may not come in; hand over the others."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            self._check(Headers(scope=scope), scope["path"])
        except Refusal as refusal:
            await refuse(refusal)(scope, receive, send_with_headers)
        else:
            await self._app(scope, receive, send_with_headers)

    def _check(self, headers: Headers, path: str) -> None:
        host, origin = headers.get("host", ""), headers.get("origin")
        # A page elsewhere can make its own name mean 127.0.0.1 (DNS rebinding), but not change the Host header.
        if self._hosts is not None and _host_name(host) not in self._hosts:
            raise Refusal(403, f"The Host header {host[:100]!r} is not a name of this server.", "host_not_allowed")
        if origin is not None and _authority(origin) != host.lower():
            raise Refusal(403, f"Pages from {origin[:100]!r} may not use this server.", "origin_not_allowed")
        if self._token is not None and path not in OPEN_PATHS and not self._has_token(headers):
            message = "This server wants its token in the header `Authorization: Bearer TOKEN`."
            raise Refusal(401, message, "invalid_token", {"WWW-Authenticate": "Bearer"})

    def _has_token(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        expected = (self._token or "").encode()
        return secrets.compare_digest(given.strip().encode(), expected) and scheme.lower() == "bearer"


def refuse(refusal: Refusal) -> JSONResponse:
    """A refusal as a response."""
    return JSONResponse(refusal.to_dict(), refusal.status, refusal.headers)


def _host_name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _authority(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
