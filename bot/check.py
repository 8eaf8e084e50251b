"""`python -m bot --check`: is everything there that the bot needs? One line for each thing, with a fix."""

import asyncio
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

from bot import settings
from persona.errors import PersonaError
from persona.paths import find_character

_PACKAGES = ("discord.py", "SQLAlchemy", "httpx2", "starlette", "uvicorn")


def check(name: str | None, *, endpoint: str | None = None, token_file: str | None = None) -> bool:
    """Print a line for each thing and say whether all of them are there. Discord itself is not asked."""
    steps: list[Callable[[], str]] = [_packages, lambda: _token(token_file)]
    if name and not endpoint:
        steps.append(lambda: f"the character {name}: {find_character(name).card}")
    if endpoint:
        steps.append(lambda: _endpoint(endpoint, name))
    return all([_report(step) for step in steps])


def _report(step: Callable[[], str]) -> bool:
    try:
        print(f"ok    {step()}")
    except PersonaError as error:
        print("FAIL  " + str(error).replace("\n", "\n    "))
        return False
    return True


def _packages() -> str:
    try:
        return "packages: " + ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    except PackageNotFoundError as error:
        raise PersonaError(
            f"The package {error.name} is not installed.", fix='pip install "persona-lora[bot]"'
        ) from error


def _token(token_file: str | None) -> str:
    settings.read_token(token_file)
    return f"a Discord token in {token_file or settings.TOKEN_VARIABLE}"


def _endpoint(address: str, name: str | None) -> str:
    from bot.endpoint import Endpoint

    url = settings.base_url(address)

    async def ask() -> str:
        endpoint = Endpoint(lambda: url, settings.server_token())
        try:
            return (await endpoint.describe(settings.model_name(name) if name else None)).name
        finally:
            await endpoint.close()

    return f"the server at {url}: serves {asyncio.run(ask())}"
