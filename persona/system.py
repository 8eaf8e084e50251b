"""The system message: who the character is, what always holds, and what it remembers, within its budget."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from persona.card import CharacterCard
from persona.lorebook import LoreDecision
from persona.memory import Memory
from persona.template import ChatTemplate

DEFAULT_INSTRUCTIONS = "You are {{char}}."
CARD_SHARE, LORE_SHARE = 0.5, 0.25
"""Shares of the context without the reply; the history has the rest."""

MEMORY_SHARE = 0.25
"""Of the card's share, at most, for what it remembers about the person."""

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+|(?<=[。！？])|\n+")
_START = re.compile(r"<START>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SystemMessage:
    """The text, the lore that always stands in it, and what had to go."""

    text: str = ""
    lore: tuple[LoreDecision, ...] = ()
    dropped: tuple[str, ...] = ()

    @property
    def lore_tokens(self) -> int:
        """Tokens of the lore that stands."""
        return sum(d.tokens for d in self.lore if d.included)


def write_system(
    card: CharacterCard,
    template: ChatTemplate,
    expand: Callable[[str], str],
    *,
    memory: Memory,
    lore: bool,
    seed: int,
    warn: Callable[[str], None],
) -> SystemMessage:
    """Compose the system message. Over its share of the context, example messages go first, then the card is cut.

    `expand` fills macros and cleans what comes out; the notes of `memory` are clean already.
    """
    room = template.context - template.reply_tokens
    decisions: tuple[LoreDecision, ...] = ()
    if card.character_book and lore:
        decisions = card.character_book.constants(
            expand=expand, count_tokens=template.count_tokens, token_budget=int(LORE_SHARE * room), seed=seed
        )
    standing = [d for d in decisions if d.included]
    before = [d.text for d in standing if d.position == "before_char"]
    after = [d.text for d in standing if d.position != "before_char"]
    share = int(CARD_SHARE * room)
    remembered, forgotten = _notes_within(memory.notes, int(MEMORY_SHARE * share), template)
    notes = f"About {expand('{{user}}')}: {' '.join(remembered)}" if remembered else ""
    about, dropped = _card_within(card, template, expand, share - template.count_tokens(notes), warn)
    instructions, *rest = about
    parts = [instructions, *before, *rest, *after, notes]
    return SystemMessage("\n".join(part for part in parts if part), decisions, (*forgotten, *dropped))


def _notes_within(notes: Sequence[str], room: int, template: ChatTemplate) -> tuple[list[str], list[str]]:
    """The newest notes that fit, in their order, and what is said of the others."""
    kept: list[str] = []
    for note in reversed(notes):
        room -= template.count_tokens(note) + 1
        if room < 0:
            break
        kept.insert(0, note)
    return kept, [f"note {place} of {len(notes)}" for place in range(1, len(notes) - len(kept) + 1)]


def _card_within(
    card: CharacterCard,
    template: ChatTemplate,
    expand: Callable[[str], str],
    share: int,
    warn: Callable[[str], None],
) -> tuple[list[str], list[str]]:
    """The card's own texts in at most `share` tokens: instructions first, examples last; and what was dropped."""
    instructions = expand(card.system_prompt.strip() or DEFAULT_INSTRUCTIONS)
    personality, scenario = expand(card.personality).strip(), expand(card.scenario).strip()
    texts = [
        instructions,
        expand(card.description).strip(),
        f"Personality: {personality}" if personality else "",
        f"Scenario: {scenario}" if scenario else "",
        expand(card.post_history_instructions).strip(),
    ]
    dropped: list[str] = []
    used = sum(template.count_tokens(text) for text in texts)
    if used > share:
        warn(f"the card has {used} tokens and its share of the context is {share}: it was cut")
        texts = _cut_longest(texts, used - share, template)
        used = sum(template.count_tokens(text) for text in texts)
    kept: list[str] = []
    for place, block in enumerate(_examples(card.mes_example), 1):
        example = expand(block)
        tokens = template.count_tokens(example) + 1
        if used + tokens > share:
            dropped.append(f"example {place} ({tokens} tokens)")
            continue
        used += tokens
        kept.append(example)
    heading = [expand("{{char}} talks like this:")] if kept else []
    return [*texts, *heading, *kept], dropped


def _cut_longest(texts: list[str], excess: int, template: ChatTemplate) -> list[str]:
    """Shorten the longest text, then the next, until `excess` tokens are gone.

    Each is cut at the end of a sentence; where there is none in its second half (lists, other scripts), at a word.
    """
    shortened = list(texts)
    for place in sorted(range(len(texts)), key=lambda i: -template.count_tokens(texts[i])):
        if excess <= 0:
            break
        tokens = template.count_tokens(texts[place])
        kept = template.cut(texts[place], max(tokens - excess, 0))
        ends = [m.start() for m in _SENTENCE_END.finditer(kept) if m.start() > len(kept) // 2]
        word = kept.rfind(" ", len(kept) // 2)
        end = ends[-1] if ends else word if word > 0 else len(kept)
        shortened[place] = kept[:end].rstrip()
        excess -= tokens - template.count_tokens(shortened[place])
    return shortened


def _examples(mes_example: str) -> list[str]:
    """The blocks of `mes_example`, which `<START>` separates."""
    return [block.strip() for block in _START.split(mes_example) if block.strip()]
