"""What the report of a run is written from, and what several of its parts have in common."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from finetune.charts import Mark
from finetune.hints import WorstRow
from finetune.report import History
from finetune.verdict import finite

EPOCHS_LISTED = 24
"""So many epochs are told apart."""


@dataclass(frozen=True, slots=True)
class Told:
    """What is known about a run. `name` is what the user types for the character, `command` what repeats the run.

    `metrics` are those of metrics.json; of them any may be missing. `samples` are (when, prompt, reply) in the order of
    time, `when` such as "before training" and "epoch 2". `worst` is sorted, the highest loss first;
    `looked_at` are the sequences that were scored for it, and all there are. `replies` are the trained ones, and show
    what is usual. `memory` is in bytes, one number a step. `notes` are sentences of the plan.
    """

    character: str
    name: str
    base: str
    command: str
    metrics: Mapping[str, Any]
    history: History
    samples: Sequence[tuple[str, str, str]] = ()
    worst: Sequence[WorstRow] = ()
    looked_at: tuple[int, int] = (0, 0)
    replies: Sequence[str] = ()
    memory: Sequence[float] = ()
    notes: Sequence[str] = ()
    clip_norm: float = 1.0

    @property
    def epoch_ends(self) -> list[int]:
        """The numbers of the steps that ended an epoch."""
        return [step.number for step in self.history.steps if step.ends_epoch]

    @property
    def boundaries(self) -> list[Mark]:
        """Of the epochs, as far as that many can be told apart in a picture."""
        return [Mark(step) for step in self.epoch_ends[:-1]] if len(self.epoch_ends) <= EPOCHS_LISTED else []

    @property
    def is_finished(self) -> bool:
        """Whether it went to its end, as far as is known."""
        return self.metrics.get("finished") is not False

    def number(self, key: str) -> float | None:
        """A number of the metrics, None where there is none."""
        value = self.metrics.get(key)
        return float(value) if isinstance(value, int | float) and math.isfinite(value) else None

    @property
    def kept_loss(self) -> float | None:
        """On held-out lines, of the epoch that is kept."""
        return finite(self.history.best.loss) if self.history.best_epoch else None

    @property
    def peak_memory(self) -> float:
        """Bytes; 0 where nothing is known."""
        return max([self.number("peak_memory_bytes") or 0.0, *filter(math.isfinite, self.memory)])


def spread(count: int, most: int, also: int) -> list[int]:
    """Places of `count`: all, or about `most` evenly over them, with the first, the last and `also`."""
    if count <= most:
        return list(range(count))
    places = {round(part * (count - 1) / (most - 2)) for part in range(most - 1)}
    return sorted(places | ({also} if 0 <= also < count else set()))


def in_nats(value: float | None) -> str:
    """A loss as it is shown, a dash where there is none."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.3f}"
