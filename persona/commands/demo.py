"""`persona demo`: the whole road with a sample character, from lore to a conversation."""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from persona.commands import run_room
from persona.errors import PersonaError
from persona.formats.text import printable

if TYPE_CHECKING:
    from persona.chat import Persona

PROMPTS = 6

_HONESTY = """\
The base has 8 million parameters and learned English from small talk and old novels. It can catch a voice: favourite
words, short sentences, how someone greets. It cannot know, count or reason, and often misses the point. With
--model Qwen/Qwen3-4B-Instruct-2507 and a gaming GPU the same road gives someone worth talking to."""


def main(argv: list[str]) -> int:
    """Build, train, compare, talk."""
    parser = argparse.ArgumentParser(
        prog="persona demo",
        description="Build a sample's dataset, train its adapter on the built-in base in 4 bits, show six held-out "
        "prompts answered before and after, and open a conversation. What is unchanged is not done again.",
    )
    parser.add_argument("name", nargs="?", default="ada", help="which character (default: ada)")
    name = parser.parse_args(argv).name
    from persona.paths import find_character

    place = find_character(name)
    for title, command in (("lore -> dialogues", "build"), ("dialogues -> adapter", "train")):
        print(f"\n== {title}", flush=True)
        status = run_room(command, [name], show=True)
        if status:
            return status
    print("\n== before and after\n", flush=True)
    from persona.chat import Persona

    persona = Persona.load(name)
    _compare(persona, _held_out(place.dataset / "test.jsonl"), print)
    _report(place.run, print)
    if sys.stdin.isatty() and sys.stdout.isatty():
        from persona.commands import chat

        print(f"\n== talk to {persona.card.spoken_name}\n")
        persona.close()
        return chat.main([name])
    return 0


def _held_out(file: Path) -> list[str]:
    """What people say first in held-out scenes, six of them, in the file's order."""
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    rows.sort(key=lambda row: row["origin"] != "real")
    first = [row["messages"][0]["content"] for row in rows if row["messages"][0]["role"] == "user"]
    prompts = list(dict.fromkeys(first))[:PROMPTS]
    if not prompts:
        raise PersonaError(
            "The test part has no question to ask.", where=str(file), fix="write more scenes in lines.md"
        )
    return prompts


def _compare(persona: "Persona", prompts: list[str], say: Callable[[str], None]) -> None:
    say(_HONESTY if persona.base == "persona-nano" else "Held-out prompts, which training never saw.")
    untrained = replace(persona, adapter_name=None)
    settings = persona.settings.updated({"seed": 0, "max_new_tokens": min(60, persona.settings.max_new_tokens)})
    for prompt in prompts:
        say(f"\n  {printable(prompt)}")
        say(f"    base + card   {printable(untrained.generate(prompt, settings))}")
        say(f"    fine-tuned    {printable(persona.generate(prompt, settings))}")


def _report(run: Path, say: Callable[[str], None]) -> None:
    metrics: dict[str, Any] = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    before, after = metrics["validation_loss_before"], metrics["validation_loss_after"]
    if before is None:
        say("\nNo real scene was held out, so nothing was measured: write more scenes in lines.md.")
    else:
        say(f"\nHeld-out loss on real lines: {before:.3f} -> {after:.3f} nats a token ({after / before - 1:+.0%})")
    say(
        f"Trained {metrics['trained_tokens']:,} tokens in {metrics['seconds']:.0f} s, base {metrics['base']} ({metrics['quantization']})."
    )
    say(f"\nEverything is in {run}:")
    for name, what in (
        ("dataset/", "the dialogues, and report.html: what is in it, what was left out, and why"),
        ("adapter/", "the adapter, with its card, lore and contract"),
        ("metrics.json", "the figures"),
        ("loss.png", "the learning curve"),
    ):
        say(f"  {name:<13} {what}")
    say(f"\nNext: persona chat {run.name} | persona serve {run.name} | persona bot {run.name} | persona new YOURS")
