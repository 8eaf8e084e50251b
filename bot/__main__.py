"""`python -m bot NAME`: put a character on Discord."""

import argparse
import logging
import sys
from collections.abc import Sequence

from persona.errors import PersonaError
from persona.formats.text import printable


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bot",
        description="Put a character on Discord. It answers mentions, replies to it and direct messages.",
        epilog="The bot's token is read from DISCORD_TOKEN. Slash commands: /settings, /reset, /who.",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="a character: a name, a folder, or a card")
    parser.add_argument(
        "--endpoint",
        metavar="URL",
        help="a running `persona serve`, instead of an own one (token: PERSONA_SERVER_TOKEN)",
    )
    parser.add_argument("--token-file", metavar="FILE", help="read the token from a file with mode 0600")
    parser.add_argument("--check", action="store_true", help="see whether everything is there, and stop")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status: 2 for a problem that the user can solve."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if not arguments.check and not arguments.name:
        parser.error("which character? For example: python -m bot ada")
    try:
        if arguments.check:
            from bot.check import check

            return 0 if check(arguments.name, endpoint=arguments.endpoint, token_file=arguments.token_file) else 2
        _run(arguments)
    except PersonaError as error:
        print(printable(str(error)), file=sys.stderr)
        return 2
    return 0


def _run(arguments: argparse.Namespace) -> None:
    import asyncio

    from bot.settings import resolve

    settings = resolve(arguments.name, endpoint=arguments.endpoint, token_file=arguments.token_file)
    try:
        from bot.app import RedactingFormatter, run
    except ModuleNotFoundError as error:
        raise PersonaError(
            f"The package {error.name} is not installed.", fix='pip install "persona-lora[bot]"'
        ) from error
    handler = logging.StreamHandler()
    handler.setFormatter(RedactingFormatter(settings.secrets))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    logging.getLogger("discord.client").setLevel(logging.ERROR)  # it warns of missing voice libraries
    asyncio.run(run(settings))


if __name__ == "__main__":
    sys.exit(main())
