"""What an adapter was trained against, kept beside it: the base, its template, and a prompt rendered then."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from persona.base import Base
from persona.conversation import Message
from persona.errors import PersonaError
from persona.files import write_json
from persona.prompt import compose
from persona.template import ChatTemplate

FILE_NAME = "contract.json"

_GOLDEN = (
    Message("system", "You are Ada, who keeps the lamp."),
    Message("user", "Is it lit?"),
    Message("assistant", "It is. 97 steps up, and it's lit."),
    Message("user", "Thank you!"),
)


@dataclass(frozen=True)
class Contract:
    """Checked wherever ids are made: where one of these differs, what is served is not what was trained.

    `digest` is of a local base's weights, `revision` of a Hub base; `golden` the ids of a fixed conversation, which
    differ as soon as the tokenizer, the template, the date or the BOS rule does.
    """

    base: str
    revision: str | None
    digest: str | None
    template_sha256: str
    end_of_turn: tuple[int, ...]
    stop_ids: tuple[int, ...]
    date: str
    context: int
    quantization: str
    golden: tuple[int, ...]
    bos: str = "as the template writes it"

    @classmethod
    def of(cls, base: Base, template: ChatTemplate, *, quantization: str = "none") -> "Contract":
        """The contract that holds now."""
        return cls(
            base=base.name,
            revision=base.revision,
            digest=base.digest,
            template_sha256=template.digest,
            end_of_turn=template.end_of_turn,
            stop_ids=template.stop_ids,
            date=template.date,
            context=template.context,
            quantization=quantization,
            golden=compose(_GOLDEN, None, template)[0].ids,
        )

    def save(self, folder: Path) -> None:
        """Write it into an adapter folder."""
        write_json(folder / FILE_NAME, dataclasses.asdict(self))

    @classmethod
    def load(cls, folder: Path) -> "Contract":
        """Read it from an adapter folder. Raises `PersonaError` where there is none."""
        file = folder / FILE_NAME
        try:
            values: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            lists = {k: tuple(values[k]) for k in ("end_of_turn", "stop_ids", "golden")}
            return cls(**(values | lists))
        except FileNotFoundError as error:
            fix = "use an adapter that `persona train` made, or --no-adapter"
            raise PersonaError("The adapter has no contract.", where=str(file), fix=fix) from error
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise PersonaError(f"The adapter's contract cannot be read: {error}", where=str(file)) from error

    def check(self, base: Base, template: ChatTemplate) -> None:
        """Raise `PersonaError` naming what differs between then and now."""
        now = Contract.of(base, template, quantization=self.quantization)
        differs = [f.name for f in dataclasses.fields(self) if getattr(self, f.name) != getattr(now, f.name)]
        # A local base may move; its weights say who it is. Only without either is the name all there is.
        if self.digest and self.digest == now.digest and "base" in differs:
            differs.remove("base")
        if differs:
            raise PersonaError(
                f"The adapter was trained on {self.base} and does not fit {base.name}: {', '.join(differs)} differ.",
                fix="name the base that it was trained on with --model, train again, or use --no-adapter",
            )
