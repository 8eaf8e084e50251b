"""How a reply is sampled: the settings that every door (Python, terminal, server, Discord) shares."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from persona.errors import PersonaError

_RANGES: dict[str, tuple[float, float]] = {
    "max_new_tokens": (1, 8192),
    "temperature": (0.0, 2.0),
    "top_p": (0.01, 1.0),
    "top_k": (0, 1000),
    "min_p": (0.0, 1.0),
    "repetition_penalty": (0.5, 2.0),
    "seed": (0, 2**63 - 1),
}


@dataclass(frozen=True, slots=True)
class GenerationSettings:
    """Names and meanings of transformers' `GenerationConfig`, plus `seed`.

    Raises `PersonaError` when a value is outside its range.
    """

    max_new_tokens: int = 200
    """Longest reply, in tokens."""
    temperature: float = 0.8
    """0 always takes the likeliest token; higher is more varied."""
    top_p: float = 0.95
    """Sample from the smallest set of tokens with this much probability (Holtzman et al., 2020)."""
    top_k: int = 0
    """Sample from this many likeliest tokens; 0 is no limit."""
    min_p: float = 0.0
    """Drop tokens less likely than this share of the likeliest (Nguyen et al., 2024)."""
    repetition_penalty: float = 1.0
    """Above 1 discourages tokens that stand in the prompt or the reply already (Keskar et al., 2019)."""
    stop_strings: tuple[str, ...] = ()
    """The reply ends before the first of these."""
    seed: int | None = None
    """The same seed, prompt and settings give the same reply; None draws a fresh one."""

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if value is None and name == "seed":
                continue
            kind = (int,) if name in ("max_new_tokens", "top_k", "seed") else (int, float)
            if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high:
                raise PersonaError(f"{name} is {value!r}.", fix=f"a number from {low:g} to {high:g}")
        strings = self.stop_strings
        if (
            not isinstance(strings, tuple)
            or len(strings) > 16
            or not all(isinstance(s, str) and 0 < len(s) <= 200 for s in strings)
        ):
            raise PersonaError(f"stop_strings is {strings!r}.", fix="at most 16 texts of 1 to 200 characters")

    def updated(self, changes: Mapping[str, Any]) -> "GenerationSettings":
        """A copy with `changes`; a value of None keeps what stands. Raises `PersonaError` for a name that is none."""
        names = {f.name for f in fields(self)}
        for name in changes:
            if name not in names:
                raise PersonaError(
                    f"There is no generation setting {name!r}.", fix="one of " + ", ".join(sorted(names))
                )
        given = {k: v for k, v in changes.items() if v is not None}
        if "stop_strings" in given:
            strings = given["stop_strings"]
            if not isinstance(strings, str | list | tuple):
                raise PersonaError(f"stop_strings is {strings!r}.", fix="a text, or a list of texts")
            given["stop_strings"] = (strings,) if isinstance(strings, str) else tuple(strings)
        return replace(self, **given)

    @classmethod
    def ranges(cls) -> dict[str, tuple[float, float]]:
        """Setting name -> lowest and highest value allowed, for the doors that show or check them."""
        return dict(_RANGES)
