"""The one place where a conversation becomes what the model sees, in training and in serving alike.

A training example is the prompt that would be sent, followed by the reply we wish it had given:

    card + lorebook + messages --fold--> system message and turns --normalise--> messages --template--> ids

`compose` makes the prompt of the next reply. `encode` calls it for every reply of a finished conversation, so that
nothing can be trained that would not be served.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from persona import normalise
from persona.card import CharacterCard
from persona.conversation import Conversation, Message
from persona.errors import PersonaError
from persona.formats import macros
from persona.history import Scan, fold, no_lore, no_room
from persona.lorebook import LoreDecision
from persona.memory import DEFAULT_USER_NAME, NOBODY, Memory
from persona.normalise import Notes
from persona.system import DEFAULT_INSTRUCTIONS, SystemMessage, write_system
from persona.template import ChatTemplate

IGNORED = -100
"""The label of a token that is context: torch's cross entropy leaves it out."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What an engine is handed: `ids` for one that takes tokens, `messages` for one that renders them itself."""

    ids: tuple[int, ...]
    messages: tuple[Message, ...]
    adapter: str | None = None
    stop_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class PromptReport:
    """Why the prompt is as it is: each lore entry's fate, what fell out of the budgets, and what was altered."""

    lore: tuple[LoreDecision, ...] = ()
    dropped: tuple[str, ...] = ()
    truncated_turns: int = 0
    warnings: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Everything that a person should know, a sentence each; empty where the prompt is whole."""
        left_out = tuple(f"left out: {what}" for what in self.dropped)
        cut = (f"the oldest {self.truncated_turns} turns no longer fit",) if self.truncated_turns else ()
        return (*self.warnings, *left_out, *cut)


@dataclass(frozen=True, slots=True)
class Example:
    """One training sequence: `labels` equal `ids` where a token is trained and `IGNORED` where it is context."""

    id: str
    ids: tuple[int, ...]
    labels: tuple[int, ...]


def compose(
    messages: Sequence[Message],
    card: CharacterCard | None,
    template: ChatTemplate,
    *,
    memory: Memory = NOBODY,
    lore: bool = True,
    seed: int = 0,
    adapter: str | None = None,
) -> tuple[Prompt, PromptReport]:
    """The prompt whose continuation is the character's next reply; without a card, the messages as they are.

    A client's own system message stands after the card. The result is a pure function of the arguments. Raises
    `PersonaError` when not even the last message fits the context.
    """
    notes = Notes(template)
    opening, history = _split_opening(normalise.texts(messages, notes))
    memory = Memory(normalise.text(memory.user_name, notes), tuple(normalise.text(n, notes) for n in memory.notes))
    speakers = list(dict.fromkeys(m.name for m in history if m.role == "user" and m.name))
    user = speakers[0] if len(speakers) == 1 else memory.user_name or (speakers[0] if speakers else DEFAULT_USER_NAME)
    system = SystemMessage()
    scan: Scan = no_lore
    if card:
        expand = expander(card, user, seed, notes)
        system = write_system(card, template, expand, memory=memory, lore=lore, seed=seed, warn=notes.warn)
        if card.character_book and lore:
            scan = partial(
                card.character_book.scan,
                char=card.spoken_name,
                user=user if speakers or memory.user_name else "",  # a stand-in for a name calls no lore
                expand=expand,
                count_tokens=template.count_tokens,
                seed=seed,
                greeting=_greeting(card, history, expand),
            )
    head = ([Message("system", system.text)] if system.text else []) + opening
    kept = fold(history, head, system, scan, notes)
    normal = normalise.turns([*head, *kept.messages()], notes, speakers)
    ids = tuple(template.ids(normal))
    if len(ids) >= template.context:
        raise no_room(f"The prompt has {len(ids)} tokens; the context is {template.context}.")
    report = PromptReport(kept.verdicts(system.lore), system.dropped, kept.truncated, tuple(notes.warnings))
    return Prompt(ids, tuple(normal), adapter, template.stop_ids), report


def encode(
    conversation: Conversation,
    card: CharacterCard | None,
    template: ChatTemplate,
    *,
    on_skip: Callable[[str], None] | None = None,
    on_note: Callable[[str], None] | None = None,
) -> list[Example]:
    """Token ids and labels of a finished conversation, every reply trained once.

    Replies share a sequence as long as each next prompt extends the ids so far, token for token; where it does not
    (a template that re-renders its history, a cut history, a merge across the border), a new sequence begins. A reply
    that does not fit the context is never cut: `on_skip` is told why it is left out, or `PersonaError` is raised.
    `on_note` is told what a prompt's report says was cut, dropped or altered.
    """
    sequences: list[tuple[list[int], list[int]]] = []
    for start, reply in _reply_runs(conversation.messages):
        prompt, report = compose(
            conversation.messages[:start], card, template, lore=conversation.lore, seed=conversation.seed
        )
        if on_note:
            for note in report.notes:
                on_note(note)
        target = reply_ids(reply, template)
        if len(prompt.ids) + len(target) > template.context:
            reason = f"a reply of {len(target)} tokens does not fit behind a prompt of {len(prompt.ids)}"
            if on_skip is None:
                raise PersonaError(f"In row {conversation.id!r} {reason}.", fix="train with a longer --context")
            on_skip(reason)
            continue
        so_far = sequences[-1][0] if sequences else None
        if so_far is None or list(prompt.ids[: len(so_far)]) != so_far:
            sequences.append(([], []))
        ids, labels = sequences[-1]
        context = prompt.ids[len(ids) :]
        labels += [IGNORED] * len(context) + target
        ids += [*context, *target]
    return [
        Example(conversation.id if place == 0 else f"{conversation.id}+{place}", tuple(ids), tuple(labels))
        for place, (ids, labels) in enumerate(sequences)
    ]


def reply_ids(reply: str, template: ChatTemplate) -> list[int]:
    """The ids of a reply and its end of turn, as training wants them said."""
    (said,) = normalise.texts([Message("assistant", reply)], Notes(template))
    return template.text_ids(said.content) + list(template.end_of_turn)


def expander(card: CharacterCard, user: str, seed: int, notes: Notes | None = None) -> Callable[[str], str]:
    """Fills the macros of a card's text; random ones depend on the seed and the text alone, so they never change.

    With `notes`, special tokens in what comes out are broken up.
    """
    names = {"char": card.spoken_name, "user": user, "pick_key": str(seed)}
    original = macros.expand(DEFAULT_INSTRUCTIONS, rng=random.Random(seed), **names)

    def expand(text: str) -> str:
        if macros.may_stand_in(text):
            text = macros.expand(text, rng=random.Random(f"{seed}:{text}"), original=original, **names)
        return normalise.text(text, notes) if notes else text

    return expand


def _greeting(card: CharacterCard, history: Sequence[Message], expand: Callable[[str], str]) -> int | None:
    """Which of the card's greetings the conversation begins with, 0 for the first; lore may ask for one."""
    first = history[0].content if history and history[0].role == "assistant" else None
    greetings = [expand(text) for text in (card.first_mes, *card.alternate_greetings)]
    return greetings.index(first) if first in greetings else None


def _split_opening(messages: Sequence[Message]) -> tuple[list[Message], list[Message]]:
    """Leading system messages, and the rest; empty assistant turns say nothing and go."""
    spoken = [m for m in messages if m.role != "assistant" or m.content.strip()]
    first = next((i for i, m in enumerate(spoken) if m.role != "system"), len(spoken))
    return spoken[:first], spoken[first:]


def _reply_runs(messages: Sequence[Message]) -> list[tuple[int, str]]:
    """Where each reply begins, with its text: neighbouring assistant turns are one reply."""
    runs: list[tuple[int, str]] = []
    before: Message | None = None
    for place, message in enumerate(messages):
        if message.role == "assistant" and message.content.strip():
            if before is not None and before.role == "assistant":
                runs[-1] = (runs[-1][0], runs[-1][1] + "\n" + message.content)
            else:
                runs.append((place, message.content))
        if message.role != "assistant" or message.content.strip():
            before = message
    return runs
