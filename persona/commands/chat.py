"""`persona chat NAME`: talk to a character in the terminal."""

import argparse
import sys
from typing import TYPE_CHECKING

from persona.commands.options import add_sampling, add_voice, sampling, say_who_speaks

if TYPE_CHECKING:
    from persona.chat import Chat
    from persona.generation import GenerationSettings


def main(argv: list[str]) -> int:
    """Hold a conversation, or say one thing with `--say` and print the reply alone."""
    parser = argparse.ArgumentParser(
        prog="persona chat",
        description="Talk to a character. Without a terminal, each line of the input is one message.",
        epilog="While you talk: /reset begins anew, /again asks for another answer, /quit (or Ctrl-D) ends.",
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
        print(chat.say(arguments.say, settings))
        _say_warnings(chat)
        return 0
    _greet(chat)
    while (line := _ask(arguments.me or "you")) is not None:
        if line == "/quit":
            break
        if line == "/reset":
            chat = Chat(persona, chat.memory)
            _greet(chat)
        elif line == "/again" and len(chat.messages) > 1:
            chat.messages.pop()
            _speak(chat, chat.messages.pop().content, settings)
        elif line.strip():
            _speak(chat, line, settings)
    return 0


def _greet(chat: "Chat") -> None:
    greeting = chat.greet()
    if greeting:
        print(f"{chat.persona.card.spoken_name}: {greeting}")


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


def _speak(chat: "Chat", text: str, settings: "GenerationSettings") -> None:
    """Print a reply as it comes; Ctrl-C stops the reply, not the conversation."""
    print(f"{chat.persona.card.spoken_name}: ", end="", flush=True)
    try:
        for piece in chat.stream(text, settings):
            print(piece, end="", flush=True)
    except KeyboardInterrupt:
        print(" ...", end="")
    print()
    _say_warnings(chat)


def _say_warnings(chat: "Chat") -> None:
    report = chat.last.report if chat.last else None
    for text in (*report.warnings, *(f"left out: {d}" for d in report.dropped)) if report else ():
        if text not in _said:
            _said.add(text)
            print(f"  ({text})", file=sys.stderr)
    if report and report.truncated_turns:
        print(f"  (the oldest {report.truncated_turns} turns no longer fit the context)", file=sys.stderr)


_said: set[str] = set()
