"""loss.png: how the loss of the training and of the held-out lines went, and which epoch was kept."""

import io
import warnings
from collections.abc import Sequence
from pathlib import Path

from persona.files import write_atomic


def draw_losses(
    file: Path,
    *,
    title: str,
    training: Sequence[float],
    epoch_ends: Sequence[int],
    validation: dict[str, Sequence[float]],
    kept_epoch: int,
) -> None:
    """Write a PNG. `training` has a loss per step; each list of `validation` begins before step 1, then one an epoch.

    Losses are nats per trained token. `epoch_ends` are the numbers of the steps after which was validated.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    steps = range(1, len(training) + 1)
    axes.plot(steps, training, color="#9db7d5", linewidth=0.8, label="training, each step")
    axes.plot(steps, _smooth(training), color="#2b5c94", linewidth=1.8, label="training, smoothed")
    places = [0, *epoch_ends]
    for (name, losses), colour in zip(validation.items(), ("#c2452d", "#e0a458"), strict=False):
        axes.plot(
            places[: len(losses)], losses, "o-", color=colour, linewidth=1.8, markersize=5, label=f"held out: {name}"
        )
    if kept_epoch:
        axes.axvline(places[kept_epoch], color="#444444", linestyle=":", label=f"kept: epoch {kept_epoch}")
    axes.set_title(title, parse_math=False)
    axes.set_xlabel("optimizer step")
    axes.set_ylabel("nats per trained token")
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    picture = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # A box stands for it.
        FigureCanvasAgg(figure).print_png(picture)
    write_atomic(file, picture.getvalue())


def _smooth(values: Sequence[float]) -> list[float]:
    """Exponential mean with its beginning corrected (as in Adam), so that it does not start at zero."""
    keep = 0.9
    mean, smoothed = 0.0, []
    for count, value in enumerate(values, 1):
        mean = keep * mean + (1 - keep) * value
        smoothed.append(mean / (1 - keep**count))
    return smoothed
