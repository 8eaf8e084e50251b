"""What a character's author wrote -> rows: scenes, greetings, example messages, dialogue within prose."""

import re
from collections.abc import Iterator, Sequence

from data.rows import RowMaker, tidy, without_quotes
from persona.card import CharacterCard
from persona.conversation import Conversation
from persona.formats.folder import Scene, parse_scenes
from persona.lorebook import LoreEntry

_MARKED = re.compile(r"^[ \t]*(\{\{user\}\}|\{\{char\}\}|<user>|<bot>|<char>)[ \t]*:[ \t]*(.*)$", re.IGNORECASE)
_END_OF_TALK = re.compile(r"^\s*(?:\[|<start>|-{3,}|#)", re.IGNORECASE)

Turns = Sequence[tuple[str, str]]


def real_rows(card: CharacterCard, scenes: Sequence[Scene], make: RowMaker) -> Iterator[Conversation]:
    """Every line that the character's author wrote: scenes, greetings, example messages, dialogue within prose."""
    for number, scene in enumerate(scenes, 1):
        title = f"{number} {scene.title}".strip()
        turns = [
            (who, text if who.casefold() in make.names else without_quotes(tidy(text))) for who, text in scene.turns
        ]
        yield make.dialogue(turns, source="lines", scene=title, origin="real")
    for number, greeting in enumerate((card.first_mes, *card.alternate_greetings), 1):
        if greeting.strip():
            yield _greeting(greeting, number, make)
    for number, block in enumerate(parse_scenes(card.mes_example, "mes_example"), 1):
        yield make.dialogue(block.turns, source="mes_example", scene=str(number), origin="example")
    for number, turns in enumerate(split_dialogue(card.description)[1], 1):
        yield make.dialogue(turns, source="description", scene=str(number), origin="example")
    for index, entry in enumerate(card.character_book.entries if card.character_book else ()):
        if entry.enabled:
            for turns in split_dialogue(entry.content)[1]:
                # Without lore: the entry would stand in the prompt and hold the very words that are to be said.
                yield make.dialogue(
                    _typed(turns, make), source="lorebook", scene=entry_name(entry, index), origin="real", lore=False
                )


def _typed(turns: Turns, make: RowMaker) -> Turns:
    """The turns with the others' lines as people type them, without quotation marks around the whole."""
    return [(who, said if who.casefold() in make.names else without_quotes(tidy(said))) for who, said in turns]


def _greeting(greeting: str, number: int, make: RowMaker) -> Conversation:
    """A greeting begins a conversation; one that names the user needs a user to name, who says hello."""
    names_user = re.search(r"\{\{user\}\}|<user>", greeting, re.IGNORECASE)
    turns = [("{{user}}", "Hello.")] if names_user else []
    return make.dialogue([*turns, ("{{char}}", greeting)], source="greeting", scene=str(number), origin="greeting")


def split_dialogue(text: str) -> tuple[str, list[list[tuple[str, str]]]]:
    """Prose with dialogue in it (`{{user}}: ...`, `{{char}}: ...`) -> the prose, and each run of dialogue."""
    prose: list[str] = []
    runs: list[list[tuple[str, str]]] = []
    talking = after_blank = False
    for line in tidy(text).splitlines():
        marked = _MARKED.match(line)
        if marked:
            if not talking:
                runs.append([])
            runs[-1].append((marked[1], marked[2]))
            talking = True
        elif talking and not _END_OF_TALK.match(line) and not (after_blank and line):
            speaker, said = runs[-1][-1]
            runs[-1][-1] = (speaker, f"{said}\n{line}".strip())
        else:
            talking = False
            prose.append(line)
        after_blank = not line
    return "\n".join(prose).strip(), runs


def entry_name(entry: LoreEntry, index: int) -> str:
    """What a lorebook entry is called: its name, its comment, its first key, or its place."""
    return (entry.name or entry.comment or next(iter(entry.keys), "") or f"entry {index + 1}").strip()
