"""`persona chat NAME`: talk to a character in the terminal."""

import argparse
import sys
from typing import TYPE_CHECKING

from persona.commands.options import add_sampling, add_voice, sampling, say_who_speaks
from persona.errors import PersonaError
from persona.formats.text import printable

if TYPE_CHECKING:
    from persona.chat import Chat
    from persona.generation import GenerationSettings

COMMANDS = "/reset begins anew, /again asks for another answer, /quit (or Ctrl-D) ends"


def main(argv: list[str]) -> int:
    """Hold a conversation, or say one thing with `--say` and print the reply alone."""
    parser = argparse.ArgumentParser(
        prog="persona chat",
        description="Talk to a character. Without a terminal, each line of the input is one message.",
        epilog=f"While you talk: {COMMANDS}.",
    )
    parser.add_argument("name", help="a character's name, folder, card file or adapter folder")
    parser.add_argument("--say", metavar="TEXT", help="say this, print the reply, exit")
    parser.add_argument("--me", metavar="NAME", default="", help="your name, for {{user}}")
    add_voice(parser)
    add_sampling(parser)
    arguments = parser.parse_args(argv)
    from persona.chat import Chat, Persona
    from persona.memory import Memory

    persona = Persona.load(arguments.name, model=arguments.model, adapter=None if arguments.no_adapter else "auto")
    say_who_speaks(persona)
    settings = sampling(persona, arguments)
    chat = Chat(persona, Memory(arguments.me))
    if arguments.say is not None:
        if not arguments.say.strip():
            raise PersonaError("There is nothing to say.", fix='persona chat NAME --say "Who are you?"')
        print(printable(chat.say(arguments.say, settings)))
        _say_notes(chat, set())
        return 0
    said: set[str] = set()
    _greet(chat)
    while (line := _ask(arguments.me or "you")) is not None and line != "/quit":
        if line == "/reset":
            chat = Chat(persona, chat.memory)
            _greet(chat)
        elif line == "/again" and [m.role for m in chat.messages[-2:]] == ["user", "assistant"]:
            if settings.seed is not None:
                # Under a fixed seed another answer needs another seed.
                settings = settings.updated({"seed": settings.seed + 1})
            _again(chat, settings, said)
        elif line.startswith("/"):
            print(f"  ({COMMANDS})", file=sys.stderr)
        elif line.strip():
            _speak(chat, line, settings, said)
    return 0


def _again(chat: "Chat", settings: "GenerationSettings", said: set[str]) -> None:
    """Another answer to the last message; if it is broken off, the one before stays."""
    exchange = chat.messages[-2:]
    del chat.messages[-2:]
    _speak(chat, exchange[0].content, settings, said)
    if not chat.messages or chat.messages[-1].role != "assistant" or chat.messages[-2:-1] != exchange[:1]:
        chat.messages += exchange


def _greet(chat: "Chat") -> None:
    greeting = chat.greet()
    if greeting:
        print(f"{chat.persona.card.spoken_name}: {printable(greeting)}")


def _ask(name: str) -> str | None:
    """The next line, or None at the end of the input; the prompt is shown only to a person."""
    try:
        return input(f"{name}: ") if sys.stdin.isatty() else _next_line()
    except EOFError:
        print()
        return None


def _next_line() -> str | None:
    line = sys.stdin.readline()
    return line.rstrip("\n") if line else None


def _speak(chat: "Chat", text: str, settings: "GenerationSettings", said: set[str]) -> None:
    """Print a reply as it comes; Ctrl-C stops the reply, not the conversation."""
    print(f"{chat.persona.card.spoken_name}: ", end="", flush=True)
    try:
        for piece in chat.stream(text, settings):
            print(printable(piece), end="", flush=True)
    except KeyboardInterrupt:
        print(" ...", end="")
    except PersonaError as error:
        print(f"\n  ({error})", file=sys.stderr)
    print()
    _say_notes(chat, said)


def _say_notes(chat: "Chat", said: set[str]) -> None:
    """What the prompt's report says, each sentence once in a conversation."""
    for text in chat.last.report.notes if chat.last else ():
        if text not in said:
            said.add(text)
            print(f"  ({printable(text)})", file=sys.stderr)
