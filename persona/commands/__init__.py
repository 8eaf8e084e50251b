"""The `persona` command only dispatches: one file per command, and the other rooms start as modules."""

import importlib
import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path

from persona.errors import PersonaError
from persona.formats.text import printable

HELP = """\
persona: write a character; get someone to talk to.

  persona new mira             characters/mira/: a card, lore and lines to write in
  persona import card.png      the same from a card, lorebook or archive (PNG, JSON, CHARX)
  persona build mira           lore -> dialogues           runs/mira/dataset/
  persona train mira           dialogues -> LoRA adapter   runs/mira/adapter/
  persona chat mira            talk to mira in the terminal
  persona serve mira juno      an OpenAI-compatible server and a web page
  persona bot mira             mira on Discord
  persona show mira            the exact prompt, with what is trained in colour
  persona doctor               can training work on this machine, and what to do where it cannot
  persona demo                 the whole road with a sample character

NAME is a path to a card, a folder in characters/, or one of the samples: {samples}.
`persona COMMAND --help` explains each command.
"""

COMMANDS = {"new": "new", "import": "import_", "chat": "chat", "serve": "serve", "show": "show", "demo": "demo"}
# -P: a file of the same name in the user's folder must not run in a room's place.
ROOMS = {
    "build": ("data", [sys.executable, "-P", "-m", "data"]),
    "train": ("finetune", [sys.executable, "-P", "-m", "accelerate.commands.launch", "-q", "finetune"]),
    "bot": ("bot", [sys.executable, "-P", "-m", "bot"]),
    "doctor": ("finetune", [sys.executable, "-P", "-m", "finetune.doctor"]),
}


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit status is 2 for a problem that the user can solve, 130 after Ctrl-C."""
    # bitsandbytes warns at import about optional kernels that nobody here asked for.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    # peft reads a property that transformers has renamed.
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    arguments = sys.argv[1:] if argv is None else argv
    command, rest = (arguments[0], arguments[1:]) if arguments else ("--help", [])
    try:
        if command in ("-h", "--help", "help"):
            print(HELP.format(samples=", ".join(_samples())))
            return 0
        if command in COMMANDS:
            module = importlib.import_module(f"persona.commands.{COMMANDS[command]}")
            return int(module.main(rest) or 0)
        if command in ROOMS:
            return run_room(command, rest)
        known = ", ".join([*COMMANDS, *ROOMS])
        raise PersonaError(f"There is no command {command!r}.", fix=f"one of {known}, or: persona --help")
    except PersonaError as error:
        print(f"persona: {printable(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130


def _samples() -> list[str]:
    from persona.paths import SHIPPED_CHARACTERS

    return sorted(folder.parent.name for folder in SHIPPED_CHARACTERS.glob("*/card.toml"))


def run_room(command: str, arguments: list[str], *, show: bool = False) -> int:
    """Start another room as its own program: the rooms hand over work through files, never through imports."""
    room, start = ROOMS[command]
    checkout = Path(__file__).resolve().parents[2]
    if not (checkout / room / "__main__.py").is_file():
        raise PersonaError(
            f"`persona {command}` needs the folder {room}/ of the checkout, which the installed package does not have.",
            fix="git clone the project, then in its folder: pip install -e '.[bot]'",
        )
    program = [str(checkout / part) if part == "finetune" else part for part in start]
    if show:
        shown = {"build": "python -m data", "train": "accelerate launch finetune", "bot": "python -m bot"}[command]
        print("$", shown, *arguments, flush=True)
    # The room's folder must be importable from wherever the user works.
    paths = [str(checkout), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    with subprocess.Popen([*program, *arguments], env=environment) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            # The terminal sent Ctrl-C to the room as well: let it save and speak the last word.
            return process.wait()
