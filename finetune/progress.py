"""What a run shows while it works: a bar in a terminal, a few plain lines anywhere else."""

import sys
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from finetune.loop import Step

LINES = 20
"""Plain lines printed over a whole run, at most one a second."""

SECONDS = 10
"""Between two lines about rows that are read."""

T = TypeVar("T")


def counted(items: Iterable[T], total: int, what: str, *, mute: bool) -> Iterator[T]:
    """The same items; where they take long, it prints now and then how many there were."""
    shown = time.monotonic()
    for number, item in enumerate(items):
        if not mute and time.monotonic() - shown > SECONDS:
            print(f"{what}: {number:,} of {total:,}", flush=True)
            shown = time.monotonic()
        yield item


class Progress:
    """A context in which `step` is told of every optimizer step and `say` prints a line; mute on other processes."""

    def __init__(self, *, mute: bool) -> None:
        self.steps = self.first = 0
        self.mute = mute
        self.bar: Any = None
        self.shown = 0.0
        self.tokens, self.seconds = 0, 0.0

    def __enter__(self) -> "Progress":
        if not self.mute and sys.stderr.isatty():
            self.bar = _bar()
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar:
            self.bar.stop()

    def begin(self, steps: int, done: int) -> None:
        """The first step comes now, of `steps`, of which `done` were made in an earlier run."""
        self.steps, self.first = steps, done
        if self.bar:
            self.task = self.bar.add_task("training", total=steps, completed=done, loss="", speed="")

    def step(self, step: "Step") -> None:
        """Show one step: loss in nats per trained token, tokens through the forward pass a second, time left."""
        self.tokens += step.physical_tokens
        self.seconds += step.seconds
        speed = self.tokens / self.seconds if self.seconds else 0.0
        if self.bar:
            self.bar.update(
                self.task, completed=step.number, loss=f"loss {step.loss:.3f}", speed=f"{speed:,.0f} tokens/s"
            )
        elif not self.mute and self._is_due(step.number):
            left = self.seconds / (step.number - self.first) * (self.steps - step.number)
            done = f"step {step.number:5d}/{self.steps}  epoch {step.epoch}  loss {step.loss:.3f}"
            print(f"{done}  {speed:,.0f} tokens/s  {left:.0f} s left", flush=True)

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        if self.mute:
            return
        if self.bar:
            # As it is: a command that is broken into lines cannot be pasted.
            self.bar.console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)
        else:
            print(line, flush=True)

    def _is_due(self, number: int) -> bool:
        now = time.monotonic()
        if number not in (1, self.steps) and (number % max(1, self.steps // LINES) or now - self.shown < 1):
            return False
        self.shown = now
        return True


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[loss]}")]
    columns += [TextColumn("{task.fields[speed]}"), TextColumn("left"), TimeRemainingColumn()]
    return Bar(*columns, console=Console(stderr=True))
