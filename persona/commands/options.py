"""Flags that several commands share, so that they mean the same everywhere."""

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from persona.chat import Persona
from persona.generation import GenerationSettings

_SAMPLING = {
    "--temperature": ("temperature", float, "0 always says the likeliest; higher is more varied"),
    "--top-p": ("top_p", float, "sample from the smallest set of tokens with this much probability"),
    "--top-k": ("top_k", int, "sample from this many likeliest tokens; 0 is no limit"),
    "--min-p": ("min_p", float, "drop tokens less likely than this share of the likeliest"),
    "--repetition-penalty": ("repetition_penalty", float, "above 1 discourages words already said"),
    "--max-new-tokens": ("max_new_tokens", int, "longest reply in tokens"),
    "--seed": ("seed", int, "the same seed and words give the same reply"),
}


def add_voice(parser: argparse.ArgumentParser) -> None:
    """Which base and adapter speak."""
    group = parser.add_argument_group("voice")
    group.add_argument(
        "--model", metavar="BASE", help="base model: a folder or a Hub id (default: the adapter's, else persona-nano)"
    )
    group.add_argument(
        "--no-adapter", action="store_true", help="speak with the base alone, even if an adapter was trained"
    )


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """How replies are sampled; what is not given is the base's own advice."""
    group = parser.add_argument_group("sampling")
    for flag, (name, kind, text) in _SAMPLING.items():
        group.add_argument(flag, dest=name, type=kind, metavar="N", help=text)


def sampling(persona: Persona, arguments: argparse.Namespace) -> GenerationSettings:
    """The persona's settings with the flags that were given."""
    changes: Mapping[str, Any] = {name: getattr(arguments, name) for name, _, _ in _SAMPLING.values()}
    return persona.settings.updated(changes)


def say_who_speaks(persona: Persona) -> None:
    """One line on stderr that names the base and the adapter."""
    adapter = f"the adapter {_short(str(persona.adapter))}" if persona.adapter else "no adapter"
    print(f"{persona.card.spoken_name} speaks with {persona.base} and {adapter}.", file=sys.stderr)
    if persona.base == "persona-nano":
        print("(a base of 8 million parameters: it shows the road; --model names a bigger one)", file=sys.stderr)


def _short(path: str) -> str:
    import os

    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative
