"""Persona: write a character; get someone to talk to.

Importing this package imports no torch, no transformers and no discord; they are loaded when a model is. What it offers
is imported at its first use, so that `persona --help` does not wait for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from persona.card import CharacterCard
    from persona.chat import Chat, Persona
    from persona.conversation import Conversation, Message
    from persona.errors import PersonaError
    from persona.generation import GenerationSettings
    from persona.lorebook import Lorebook, LoreEntry
    from persona.memory import Memory

__all__ = [
    "CharacterCard",
    "Chat",
    "Conversation",
    "GenerationSettings",
    "LoreEntry",
    "Lorebook",
    "Memory",
    "Message",
    "Persona",
    "PersonaError",
]

_HOME = {
    "CharacterCard": "card",
    "Chat": "chat",
    "Conversation": "conversation",
    "GenerationSettings": "generation",
    "LoreEntry": "lorebook",
    "Lorebook": "lorebook",
    "Memory": "memory",
    "Message": "conversation",
    "Persona": "chat",
    "PersonaError": "errors",
}


def __getattr__(name: str) -> Any:
    """A public name at its first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
