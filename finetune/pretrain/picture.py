"""training.png: how the loss of the training and the bits per byte of held-out replies went."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from persona.files import write_atomic

_WINDOW = 50


def draw_training(file: Path, log: Sequence[Mapping[str, float]]) -> None:
    """Write a PNG of the log: `loss` (nats a token) of every step, `bits_per_byte` where there is one."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.2), dpi=90, layout="constrained")
    left = figure.subplots()
    losses = [entry["loss"] for entry in log]
    smooth = [sum(losses[max(0, end - _WINDOW) : end]) / min(end, _WINDOW) for end in range(1, len(losses) + 1)]
    left.plot(
        [entry["step"] for entry in log], smooth, color="#9db7d5", label=f"training loss, mean of {_WINDOW} steps"
    )
    left.set_xlabel("step")
    left.set_ylabel("nats a token", color="#2b5c94")
    left.set_ylim(min(smooth) - 0.2, sorted(smooth)[int(0.97 * (len(smooth) - 1))] + 0.2)
    right = left.twinx()
    scored = [entry for entry in log if "bits_per_byte" in entry]
    places, values = [entry["step"] for entry in scored], [entry["bits_per_byte"] for entry in scored]
    right.plot(places, values, "o-", color="#c2452d", markersize=4, label="held-out replies")
    right.set_ylabel("bits per byte", color="#c2452d")
    if scored:
        right.annotate(f"{values[-1]:.3f}", (places[-1], values[-1]), textcoords="offset points", xytext=(-4, 8))
    left.grid(alpha=0.25)
    figure.legend(loc="upper right", bbox_to_anchor=(0.9, 0.95), frameon=False)
    picture = io.BytesIO()
    FigureCanvasAgg(figure).print_png(picture)
    write_atomic(file, picture.getvalue())
