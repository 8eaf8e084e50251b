"""Someone to talk to: a card, an engine and a chat template, behind `generate`, `stream` and `chat`."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from persona.base import NANO, Base
from persona.card import CharacterCard
from persona.contract import Contract
from persona.conversation import NAME_CHARACTERS, Message
from persona.engines.protocol import Engine, Finish, Piece
from persona.errors import PersonaError
from persona.generation import GenerationSettings
from persona.memory import DEFAULT_USER_NAME, NOBODY, Memory
from persona.paths import Place, find_character
from persona.prompt import Prompt, PromptReport, compose, expander
from persona.template import ChatTemplate


@dataclass
class Reply:
    """One answer as it is spoken: iterate it for pieces; afterwards `text` and `finish` are known.

    White space around the reply is dropped. `report` tells what the prompt was made of.
    """

    prompt: Prompt
    report: PromptReport
    _pieces: Iterator[Piece]
    text: str = ""
    finish: Finish | None = None
    tokens: int = 0

    def __iter__(self) -> Iterator[Piece]:
        space = ""
        for piece in self._pieces:
            text = space + piece.text
            text = text if self.text else text.lstrip()
            shown = text.rstrip()
            space = text[len(shown) :]
            self.text += shown
            self.finish, self.tokens = piece.finish, piece.tokens
            if shown or piece.finish:
                yield Piece(shown, piece.finish, piece.tokens)


@dataclass
class Persona:
    """A character that can speak. `settings` are the defaults, which every call may replace."""

    slug: str
    card: CharacterCard
    engine: Engine
    template: ChatTemplate
    settings: GenerationSettings = field(default_factory=GenerationSettings)
    base: str = NANO
    adapter: Path | None = None
    adapter_name: str | None = None

    @classmethod
    def load(
        cls,
        name: str | Path,
        *,
        model: str | None = None,
        adapter: str | Path | None = "auto",
        engine: Engine | None = None,
        quantization: Literal["nf4", "none"] | None = None,
        context: int | None = None,
    ) -> "Persona":
        """A sample's name, a folder in `characters/`, a card file, or an adapter folder.

        `adapter="auto"` takes the one in the character's run if it was trained; None speaks with the base. `engine`
        replaces the local model. Raises `PersonaError` saying what to type.
        """
        loaded = load_personas(
            [str(name)], model=model, adapter=adapter, engine=engine, quantization=quantization, context=context
        )
        return next(iter(loaded.values()))

    def reply(
        self,
        messages: Sequence[Message],
        settings: GenerationSettings | None = None,
        *,
        memory: Memory = NOBODY,
        seed: int = 0,
        cancelled: threading.Event | None = None,
    ) -> Reply:
        """The character's answer to a conversation. `seed` draws the card's random macros, not the tokens."""
        prompt, report = compose(
            messages, self.card, self.template, memory=memory, seed=seed, adapter=self.adapter_name
        )
        return self._speak(prompt, report, messages, settings, cancelled)

    def raw_reply(
        self,
        messages: Sequence[Message],
        settings: GenerationSettings | None = None,
        *,
        cancelled: threading.Event | None = None,
    ) -> Reply:
        """The model's answer to messages as they are, without card and lore: for clients that bring their own."""
        prompt, report = compose(messages, None, self.template, adapter=self.adapter_name)
        return self._speak(prompt, report, messages, settings, cancelled)

    def generate(self, text: str, settings: GenerationSettings | None = None) -> str:
        """The answer to one message."""
        return "".join(self.stream(text, settings))

    def stream(self, text: str, settings: GenerationSettings | None = None) -> Iterator[str]:
        """The answer to one message, piece by piece."""
        for piece in self.reply([Message("user", text)], settings):
            yield piece.text

    def chat(self, memory: Memory = NOBODY, *, seed: int = 0) -> "Chat":
        """A conversation that remembers its turns."""
        return Chat(self, memory, seed)

    def greeting(self, memory: Memory = NOBODY, *, seed: int = 0) -> str:
        """What the character says first, macros filled; empty where its card has no greeting."""
        return expander(self.card, memory.user_name or DEFAULT_USER_NAME, seed)(self.card.first_mes).strip()

    def close(self) -> None:
        """Let go of the model."""
        self.engine.close()

    def _speak(
        self,
        prompt: Prompt,
        report: PromptReport,
        messages: Sequence[Message],
        settings: GenerationSettings | None,
        cancelled: threading.Event | None,
    ) -> Reply:
        settings = settings or self.settings
        room = self.template.context - len(prompt.ids)
        names = {m.name.strip()[:NAME_CHARACTERS] for m in messages if m.role == "user" and m.name}
        # With several people in the room a small model likes to speak for them.
        stops = [f"\n{name}:" for name in sorted(names)][: 16 - len(settings.stop_strings)] if len(names) > 1 else []
        limited = settings.updated(
            {
                "max_new_tokens": min(settings.max_new_tokens, room),
                "stop_strings": tuple(dict.fromkeys([*settings.stop_strings, *stops])),
            }
        )
        return Reply(prompt, report, self.engine.stream(prompt, limited, cancelled or threading.Event()))


class Chat:
    """A conversation in process: `say` returns the reply, `stream` yields it, and both remember it."""

    def __init__(self, persona: Persona, memory: Memory = NOBODY, seed: int = 0) -> None:
        self.persona, self.memory, self.seed = persona, memory, seed
        self.messages: list[Message] = []
        self.last: Reply | None = None

    def greet(self) -> str:
        """Let the character speak first, with its card's greeting."""
        greeting = self.persona.greeting(self.memory, seed=self.seed)
        if greeting:
            self.messages.append(Message("assistant", greeting))
        return greeting

    def say(self, text: str, settings: GenerationSettings | None = None) -> str:
        """Say something and get the whole reply."""
        return "".join(self.stream(text, settings))

    def stream(
        self, text: str, settings: GenerationSettings | None = None, cancelled: threading.Event | None = None
    ) -> Iterator[str]:
        """Say something and get the reply piece by piece; a turn that fails leaves no trace."""
        turn = Message("user", text, self.memory.user_name or None)
        self.last = reply = self.persona.reply(
            [*self.messages, turn], settings, memory=self.memory, seed=self.seed, cancelled=cancelled
        )
        for piece in reply:
            yield piece.text
        self.messages += [turn, Message("assistant", reply.text)]


def load_personas(
    names: Sequence[str],
    *,
    model: str | None = None,
    adapter: str | Path | None = "auto",
    engine: Engine | None = None,
    quantization: Literal["nf4", "none"] | None = None,
    context: int | None = None,
) -> dict[str, Persona]:
    """Several characters on one base, by slug. Raises `PersonaError` where they were trained on different bases."""
    places = [find_character(name) for name in names]
    slugs = [place.slug for place in places]
    if len(set(slugs)) < len(slugs):
        raise PersonaError(f"Two of these characters have the same name: {', '.join(slugs)}.", fix="rename one folder")
    adapters = {place.slug: folder for place in places if (folder := _adapter_folder(place, adapter))}
    contracts = {slug: Contract.load(folder) for slug, folder in adapters.items()}
    base = _common_base(contracts, model)
    templates = {slug: _template(base, contracts.get(slug), context) for slug in slugs}
    cards = {place.slug: CharacterCard.load(place.card) for place in places}
    for slug, folder in adapters.items():
        _same_character(cards[slug], folder)
    if engine is None:
        from persona.engines.local import LocalEngine

        engine = LocalEngine(base, quantization=quantization or _common_quantization(contracts), adapters=adapters)
    settings = default_settings(base.generation_config)
    return {
        slug: Persona(
            slug,
            card,
            engine,
            templates[slug],
            settings,
            base.name,
            adapters.get(slug),
            slug if slug in adapters else None,
        )
        for slug, card in cards.items()
    }


def _template(base: Base, contract: Contract | None, context: int | None) -> ChatTemplate:
    """The base's template as an adapter was trained with it, checked; without one, as it is today."""
    if contract is None:
        return base.template(context=context)
    if context and context != contract.context:
        raise PersonaError(f"The adapter was trained with a context of {contract.context}, not {context}.")
    template = base.template(date=contract.date, context=contract.context)
    contract.check(base, template)
    return template


def _same_character(card: CharacterCard, adapter: Path) -> None:
    """Two characters can have folders of one name; their run would be the same."""
    file = adapter / "card.json"
    trained = CharacterCard.load(file).name if file.is_file() else card.name
    if trained != card.name:
        raise PersonaError(
            f"The adapter was trained for {trained!r}; this card is {card.name!r}.",
            where=str(adapter),
            fix="rename the card's folder or file, or use --no-adapter",
        )


def _adapter_folder(place: Place, adapter: str | Path | None) -> Path | None:
    if adapter is None:
        return None
    if adapter != "auto":
        folder = Path(adapter)
        if not (folder / "adapter_config.json").is_file():
            raise PersonaError(f"There is no adapter in {str(folder)!r}.", fix="persona train NAME makes one")
        return folder
    candidates = [place.card.parent, place.adapter] if place.card.name == "card.json" else [place.adapter]
    return next((folder for folder in candidates if (folder / "adapter_config.json").is_file()), None)


def _common_base(contracts: Mapping[str, Contract], model: str | None) -> Base:
    bases = {(contract.base, contract.revision) for contract in contracts.values()}
    if len(bases) > 1 and model is None:
        trained = ", ".join(f"{slug} on {contract.base}" for slug, contract in contracts.items())
        raise PersonaError(f"These characters were trained on different bases: {trained}.", fix="serve them apart")
    name, revision = next(iter(bases), (NANO, None))
    return Base.resolve(name, revision) if model in (None, name) else Base.resolve(str(model))


def _common_quantization(contracts: Mapping[str, Contract]) -> Literal["nf4", "none"]:
    """What the adapters were trained on, and so measured with, is what speaks."""
    kinds = {contract.quantization for contract in contracts.values()}
    if len(kinds) > 1:
        trained = ", ".join(f"{slug} on {contract.quantization}" for slug, contract in contracts.items())
        raise PersonaError(f"These characters were trained on different bits: {trained}.", fix="serve them apart")
    return "nf4" if kinds == {"nf4"} else "none"


def default_settings(advice: Mapping[str, Any]) -> GenerationSettings:
    """The base's own advice where it gives any that we allow, ours elsewhere."""
    ranges = GenerationSettings.ranges()
    usable = {
        name: value
        for name, value in advice.items()
        if name in ranges and name != "seed" and value is not None and ranges[name][0] <= value <= ranges[name][1]
    }
    return GenerationSettings().updated(usable)
