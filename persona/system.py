"""The system message: who the character is, what always holds, and what it remembers, within its budget."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from persona.card import CharacterCard
from persona.lorebook import LoreDecision
from persona.memory import Memory
from persona.template import ChatTemplate

DEFAULT_INSTRUCTIONS = "You are {{char}}."
CARD_SHARE, LORE_SHARE = 0.5, 0.25
"""Shares of the context without the reply; the history has the rest."""

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+|\n+")
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
    """Compose the system message. Over its share of the context, example messages go first, then the card is cut."""
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
    about, dropped = _card_within(card, template, expand, share, warn)
    instructions, *rest = about
    notes = [f"About {expand('{{user}}')}: {' '.join(memory.notes)}"] if memory.notes else []
    parts = [instructions, *before, *rest, *after, *(template.cut(n, share // 4) for n in notes)]
    return SystemMessage("\n".join(part for part in parts if part), decisions, tuple(dropped))


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
        warn(f"the card has {used} tokens and its share of the context is {share}: it was cut at a sentence")
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
    heading = [f"{card.spoken_name} talks like this:"] if kept else []
    return [*texts, *heading, *kept], dropped


def _cut_longest(texts: list[str], excess: int, template: ChatTemplate) -> list[str]:
    """Shorten the longest text, then the next, until `excess` tokens are gone, each at the end of a sentence."""
    shortened = list(texts)
    for place in sorted(range(len(texts)), key=lambda i: -template.count_tokens(texts[i])):
        if excess <= 0:
            break
        tokens = template.count_tokens(texts[place])
        kept = template.cut(texts[place], max(tokens - excess, 0))
        ends = [m.start() for m in _SENTENCE_END.finditer(kept)]
        shortened[place] = kept[: ends[-1]].rstrip() if ends else ""
        excess -= tokens - template.count_tokens(shortened[place])
    return shortened


def _examples(mes_example: str) -> list[str]:
    """The blocks of `mes_example`, which `<START>` separates."""
    return [block.strip() for block in _START.split(mes_example) if block.strip()]
