"""`persona show NAME`: the exact prompt, trained tokens in colour, and what became of every lore entry."""

import argparse
import json
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from persona.errors import PersonaError
from persona.formats.text import printable

if TYPE_CHECKING:
    from rich.console import Console

    from persona.conversation import Conversation, Message
    from persona.prompt import Example, PromptReport
    from persona.template import ChatTemplate


def main(argv: list[str]) -> int:
    """Show one dataset row as training sees it, or the prompt of a message as an engine would get it."""
    parser = argparse.ArgumentParser(
        prog="persona show",
        description="Show the exact text that the model reads. Green is trained, grey is context; "
        "special tokens are underlined. Below it: which lore entries stand in it, and why the others do not.",
    )
    parser.add_argument("name", help="a character's name, folder or card file")
    parser.add_argument("--say", metavar="TEXT", help="show the prompt of this message instead of a dataset row")
    parser.add_argument("--row", type=int, default=1, metavar="N", help="which row of the training part (default 1)")
    parser.add_argument("--model", metavar="BASE", help="base model whose template is used (default: the adapter's)")
    arguments = parser.parse_args(argv)
    from rich.console import Console

    from persona.base import NANO, Base
    from persona.card import CharacterCard
    from persona.contract import FILE_NAME, Contract
    from persona.conversation import Conversation, Message
    from persona.memory import DEFAULT_USER_NAME
    from persona.paths import find_character
    from persona.prompt import compose, encode, expander

    console = Console(highlight=False)
    place = find_character(arguments.name)
    card = CharacterCard.load(place.card)
    contract = Contract.load(place.adapter) if (place.adapter / FILE_NAME).is_file() else None
    trained_on = (contract.base, contract.revision) if contract else (NANO, None)
    base = Base.resolve(*(trained_on if arguments.model in (None, trained_on[0]) else (arguments.model, None)))
    template = base.template(date=contract.date if contract else None, context=contract.context if contract else None)
    train = place.dataset / "train.jsonl"
    if arguments.say is None and train.is_file():
        row = _row(train, arguments.row)
        before = _before_last_reply(row)
        _print_row(
            console, row, encode(row, card, template, on_skip=lambda why: console.print(f"[red]{why}[/]")), template
        )
    else:
        greeting = expander(card, DEFAULT_USER_NAME, 0)(card.first_mes)
        opening = [Message("assistant", greeting)] if greeting and arguments.say is None else []
        row = Conversation((*opening, Message("user", arguments.say or "Who are you?")), card.name)
        before = row.messages
    prompt, report = compose(before, card, template, lore=row.lore, seed=row.seed)
    if arguments.say is not None or not train.is_file():
        console.rule(f"the prompt for {base.name}: {len(prompt.ids)} tokens of {template.context}")
        _print_tokens(console, prompt.ids, [False] * len(prompt.ids), template)
    _print_report(console, report)
    return 0


def _row(file: Path, number: int) -> "Conversation":
    from persona.conversation import Conversation

    lines = file.read_text(encoding="utf-8").splitlines()
    if not 1 <= number <= len(lines):
        raise PersonaError(f"There is no row {number}.", where=str(file), fix=f"1 to {len(lines)}")
    return Conversation.from_row(json.loads(lines[number - 1]), f"{file}, line {number}")


def _before_last_reply(row: "Conversation") -> "tuple[Message, ...]":
    last = max(i for i, m in enumerate(row.messages) if m.role == "assistant")
    return row.messages[:last]


def _print_row(console: "Console", row: "Conversation", examples: "list[Example]", template: "ChatTemplate") -> None:
    for example in examples:
        trained = [label >= 0 for label in example.labels]
        console.rule(f"{example.id}: {len(trained)} tokens, {sum(trained)} trained ({row.origin}, from {row.source})")
        _print_tokens(console, example.ids, trained, template)


def _print_tokens(console: "Console", ids: tuple[int, ...], trained: list[bool], template: "ChatTemplate") -> None:
    """Runs of tokens that look alike are decoded together, so that characters of several tokens stay whole."""
    from rich.text import Text

    special = set(template.special_tokens.values())
    text = Text()
    for (is_trained, is_special), run in groupby(
        zip(ids, trained, strict=True), key=lambda pair: (pair[1], pair[0] in special)
    ):
        style = ("green" if is_trained else "bright_black") + (" underline" if is_special else "")
        decoded = template.tokenizer.decode([i for i, _ in run], skip_special_tokens=False)
        text.append(printable(decoded), style)
    # Soft: a line break that is shown is one that the model reads.
    console.print(text, soft_wrap=True)


def _print_report(console: "Console", report: "PromptReport") -> None:
    from rich.markup import escape

    if report.lore:
        console.rule("lore")
    left_out: dict[str, list[str]] = {}
    for decision in report.lore:
        if decision.included:
            console.print(f"[green]in [/] {escape(printable(f'{decision.name}: {decision.reason}'))}", soft_wrap=True)
        else:
            left_out.setdefault(decision.reason, []).append(decision.name)
    for reason, names in left_out.items():
        console.print(f"[bright_black]out[/] {escape(printable(f'{reason}: ' + ', '.join(names)))}", soft_wrap=True)
    for text in report.notes:
        console.print(f"[yellow]note[/] {escape(printable(text))}", soft_wrap=True)
