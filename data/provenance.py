"""Where an input comes from, as far as it may not be trained on."""

import re
from pathlib import Path

from persona.errors import PersonaError

_START_BYTES = 64 * 1024
_MARKS = re.compile(
    r"DiscordChatExporter"
    r"|\"guild\"\s*:\s*\{[^{}]{0,2000}\}\s*,\s*\"channel\"\s*:\s*\{"
    r"|\A[\ufeff=\s]*Guild: .*\n\s*Channel: "
    r"|\A\ufeff?\"?AuthorID\"?,\"?Author\"?,\"?Date\"?,\"?Content\"?",
    re.DOTALL | re.IGNORECASE,
)
_NAME = re.compile(r"(?<![a-z])discord(?![a-z])", re.IGNORECASE)


def refuse_discord(file: Path) -> None:
    """Raise `PersonaError` for an export of Discord messages, known by its name or by how exporters begin their files."""
    with file.open("rb") as stream:
        start = stream.read(_START_BYTES)
    text = start.replace(b"\0", b"").decode("utf-8", "replace")
    if _NAME.search(file.name) or _MARKS.search(text):
        raise PersonaError(
            "These are Discord messages, and they are not trained on: Discord's Developer Policy (21) forbids it "
            "without express permission.",
            where=str(file),
            fix="use dialogue that you wrote or may use: a script, a card, lines.md",
        )
