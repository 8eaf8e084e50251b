"""`persona serve NAME...`: characters behind an OpenAI-compatible address, with a page to talk on."""

import argparse
import contextlib
import importlib.util
import json
import os
import signal
import socket
import stat
import sys
import threading
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from persona.commands.options import add_voice
from persona.errors import PersonaError

if TYPE_CHECKING:
    import uvicorn
    from starlette.applications import Starlette

    from persona.chat import Persona

_FINISH_SECONDS = 4.0
"""How long replies may go on after Ctrl-C; uvicorn gives the connections a second more."""

_TOKEN = "PERSONA_SERVER_TOKEN"
_ENGINE_TOKEN = "PERSONA_ENGINE_TOKEN"


def main(argv: list[str]) -> int:
    """Load everything, then open the port, and serve until Ctrl-C, SIGTERM or the end of a parent."""
    arguments = _parser().parse_args(argv)
    token = _token(arguments.token_file)
    loopback = arguments.host in ("localhost", "::1") or arguments.host.startswith("127.")
    if not loopback and not token:
        fix = f"set {_TOKEN} to a long random text, or leave --host out"
        raise PersonaError(f"Without a token everyone who reaches {arguments.host} could use the server.", fix=fix)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    stop = _Stop()
    if arguments.child:
        threading.Thread(target=_watch_stdin, args=(stop,), name="parent watch", daemon=True).start()
    with _bind(arguments.host, arguments.port) as door:
        personas = _load(arguments)
        hosts = _hosts(arguments.host)
        try:
            _serve(personas, door, stop, token=token, hosts=hosts, child=arguments.child)
        finally:
            for persona in personas.values():
                persona.close()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="persona serve",
        description="Serve characters to every OpenAI-compatible client, and a page to talk on.",
        epilog=f"The token that clients must send is read from {_TOKEN}, the one for --engine from {_ENGINE_TOKEN}. "
        "The model NAME:raw answers messages as they are sent, without card and lore.",
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help="characters to serve; the first one is the default")
    parser.add_argument("--port", type=int, default=8000, help="TCP port; 0 takes a free one (default: 8000)")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine only)"
    )
    add_voice(parser)
    parser.add_argument("--engine", metavar="URL", help="let a server there generate: vLLM, llama.cpp, Ollama, ...")
    parser.add_argument("--engine-model", metavar="NAME", help="model to ask that server for")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="file with the token, readable by you alone")
    parser.add_argument("--child", action="store_true", help="for a parent program: report the port, end with stdin")
    return parser


def _token(file: Path | None) -> str | None:
    """The token from a private file, or from the environment. Raises `PersonaError` for a file that others can read."""
    if file is None:
        return os.environ.get(_TOKEN, "").strip() or None
    try:
        mode, token = file.stat().st_mode, file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise PersonaError(f"The token cannot be read: {error}", where=str(file)) from error
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise PersonaError("Others on this machine can read the token.", where=str(file), fix=f"chmod 600 {file}")
    if not token:
        raise PersonaError("There is no token in the file.", where=str(file))
    return token


def _hosts(host: str) -> Collection[str] | None:
    """The names that clients may know the server by; with a wildcard address any, and the token guards alone."""
    from persona.server.guard import LOOPBACK

    return None if host in ("0.0.0.0", "::", "") else {*LOOPBACK, host.lower()}


def _bind(host: str, port: int) -> socket.socket:
    """Take the port before the model is loaded: a taken one is known at once, and nobody can connect yet."""
    door = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    if os.name == "posix":  # on Windows this option would let two servers share a port
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        door.bind((host, port))
    except (OSError, OverflowError) as error:
        door.close()
        raise _closed(host, port, error) from error
    return door


def _listen(door: socket.socket) -> None:
    """Open the port. Raises `PersonaError` when another server, started at the same time, was faster."""
    try:
        door.listen(128)
    except OSError as error:
        host, port = door.getsockname()[:2]
        raise _closed(host, port, error) from error


def _closed(host: str, port: int, error: Exception) -> PersonaError:
    reason = getattr(error, "strerror", None) or error
    fix = "--port 0 takes a free one" if port else "leave --host out"
    return PersonaError(f"Port {port} of {host} cannot be opened: {reason}.", fix=fix)


def _load(arguments: argparse.Namespace) -> "dict[str, Persona]":
    missing = [name for name in ("starlette", "uvicorn") if importlib.util.find_spec(name) is None]
    if missing:
        raise PersonaError(f"The server needs {' and '.join(missing)}.", fix='pip install "persona-lora[serve]"')
    from persona.chat import load_personas

    engine = None
    if arguments.engine:
        from persona.engines.remote import RemoteEngine

        engine = RemoteEngine(arguments.engine, arguments.engine_model, token=os.environ.get(_ENGINE_TOKEN) or None)
        engine.models()  # a server that is not there is known now, and not at the first message
    adapter = None if arguments.no_adapter else "auto"
    return load_personas(arguments.names, model=arguments.model, adapter=adapter, engine=engine)


class _Stop:
    """Ends the server from another thread; before there is one, the process."""

    def __init__(self) -> None:
        self.server: uvicorn.Server | None = None

    def __call__(self) -> None:
        if self.server is None:
            os._exit(0)
        self.server.should_exit = True


def _watch_stdin(stop: Callable[[], None]) -> None:
    # os.read and not sys.stdin: its lock, held by a daemon thread, would abort the interpreter's end.
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    stop()


def _serve(
    personas: "Mapping[str, Persona]",
    door: socket.socket,
    stop: _Stop,
    *,
    token: str | None,
    hosts: Collection[str] | None,
    child: bool,
) -> None:
    import asyncio

    import uvicorn

    from persona.server.app import create_app

    app = create_app(personas, token=token, hosts=hosts)
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=int(_FINISH_SECONDS) + 1,
    )
    _listen(door)
    server = stop.server = uvicorn.Server(config)
    host, port = door.getsockname()[:2]

    def ready() -> None:
        if child:
            print(json.dumps({"port": port}), flush=True)
        else:
            _introduce(personas, f"http://{f'[{host}]' if ':' in host else host}:{port}", bool(token))

    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        # uvicorn handles both signals while it runs; it raises them once more afterwards, which is ignored.
        asyncio.run(_run(server, app, door, ready))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


async def _run(server: "uvicorn.Server", app: "Starlette", door: socket.socket, ready: Callable[[], None]) -> None:
    """Serve; once asked to stop, give the replies a moment, then end them in words and not by a torn connection."""
    import asyncio

    serving = asyncio.create_task(server.serve(sockets=[door]))
    while not (server.started or serving.done()):
        await asyncio.sleep(0.01)
    if not serving.done():
        ready()
    while not (server.should_exit or serving.done()):
        await asyncio.sleep(0.1)
    await asyncio.wait({serving}, timeout=_FINISH_SECONDS)
    app.state.turns.cancel_all()
    await serving


def _introduce(personas: "Mapping[str, Persona]", address: str, has_token: bool) -> None:
    for slug, persona in personas.items():
        how = f"with the adapter {persona.adapter}" if persona.adapter else "without an adapter"
        print(f"{slug}: {persona.card.spoken_name} speaks through {persona.base}, {how}")
    print(f"for OpenAI-compatible clients: {address}/v1" + (f" (token: {_TOKEN})" if has_token else ""))
    print(f"a page to talk: {address}/" + ("#token=YOUR-TOKEN" if has_token else ""))
    print("Ctrl-C ends the server.", flush=True)
