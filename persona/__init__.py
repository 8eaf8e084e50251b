"""Persona: write a character; get someone to talk to.

Importing this package imports no torch, no transformers and no discord; they are loaded when a model is.
"""

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
