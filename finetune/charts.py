"""Curves as SVG, drawn by ourselves: no script, no style attribute, and letters that stay as large on a phone.

A picture is as wide as there is room. Places are per cent of it, so that text and dots keep their size; the curves lie
in an inner picture that is stretched, with lines that are not.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

Point = tuple[float, float]

MOST_POINTS = 800
"""Of a curve, in the page: about as many as a screen has columns."""

FEWEST_TO_SMOOTH, STRETCHES = 60, 40
"""From how many points on a curve is accompanied by means, and over how many stretches of it."""

OUTLIER = 4.0
"""A point that is this many times what 95 of 100 stay below is drawn at the upper edge."""

LARGEST = 1e300

_SIDE = 1000
"""Length of the inner picture's sides."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Points in the order of x; `css` is the class of its colour. With `dots` each point is marked, and says its value."""

    label: str
    css: str
    points: Sequence[Point]
    dots: bool = False

    @property
    def known(self) -> list[Point]:
        """The points that are numbers."""
        return list(filter(_is_finite, self.points))


@dataclass(frozen=True, slots=True)
class Mark:
    """A vertical line at a step, named above the picture; a mere boundary where `label` is empty."""

    step: float
    label: str = ""


@dataclass(frozen=True, slots=True)
class _Frame:
    """What part of the numbers the picture shows; places in per cent, inside it whatever the number."""

    end: float
    ticks: Sequence[float]

    def across(self, step: float) -> float:
        return 100 * min(max(step / self.end, 0.0), 1.0)

    def down(self, value: float) -> float:
        low, high = self.ticks[0], self.ticks[-1]
        return 100 * (1 - min(max((value - low) / (high - low), 0.0), 1.0))


def noisy(label: str, points: Sequence[Point]) -> list[Curve]:
    """A curve that jumps from step to step: thin, with a strong one of means where there are enough points for it."""
    finite = list(filter(_is_finite, points))
    if len(finite) < FEWEST_TO_SMOOTH:
        return [Curve(label, "mean", points)]
    size = -(-len(finite) // STRETCHES)
    stretches = (finite[first : first + size] for first in range(0, len(finite), size))
    means = [(sum(x for x, _ in part) / len(part), sum(y for _, y in part) / len(part)) for part in stretches]
    each, mean = (", ".join(filter(None, (label, what))) for what in ("each step", f"mean of {size:,} steps"))
    return [Curve(each, "each", points), Curve(mean, "mean", means)]


def thinned(points: Sequence[Point], most: int = MOST_POINTS) -> list[Point]:
    """At most `most` points, if that is 2 or more: of each stretch the lowest and the highest, so that no peak is lost."""
    if len(points) <= most:
        return list(points)
    size = -(-len(points) // (most // 2))
    kept: list[Point] = []
    for first in range(0, len(points), size):
        part = list(filter(_is_finite, points[first : first + size]))
        if part:
            kept += sorted({min(part, key=lambda point: point[1]), max(part, key=lambda point: point[1])})
    return kept


def chart(
    curves: Sequence[Curve],
    *,
    title: str,
    unit: str,
    marks: Sequence[Mark] = (),
    shaded: Mark | None = None,
    level: float | None = None,
) -> str:
    """The curves over the steps, with the unit and a legend; "" without a point.

    All texts are HTML. From the mark `shaded` on, the ground is darker; `level` is a dashed horizontal line. Points
    that are not finite are gaps; outliers are drawn at the upper edge, and counted below.
    """
    curves = [curve for curve in curves if curve.known]
    if not curves:
        return ""
    end = max(step for curve in curves for step, _ in curve.known)
    ticks = _scale(curves, level)
    frame = _Frame(end if end > 0 else 1.0, ticks)
    drawn = [
        *([_shade(frame, shaded)] if shaded else []),
        *(_across("grid", frame.down(value)) for value in ticks),
        *([_across("cut", frame.down(level))] if level is not None else []),
        *(_mark(frame, mark) for mark in marks),
        _paths(frame, curves),
        *(dot for curve in curves if curve.dots for dot in _dots(frame, curve)),
        *_names(frame),
    ]
    said = (
        f"{title}{f' in {unit}' if unit else ''} over {end:,.0f} steps, between {tick(ticks[0])} and {tick(ticks[-1])}"
    )
    picture = f'<svg class="plot" role="img" aria-label="{said}">{"".join(drawn)}</svg>'
    return f'<figure class="chart">{_legend(curves, unit)}{picture}{_unseen(curves, ticks)}</figure>'


def tick(value: float) -> str:
    """A number as short as it can be said: 0.0005, 3.25, 12,000."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.4g}"


def _scale(curves: Sequence[Curve], level: float | None) -> list[float]:
    """Round numbers from 0, or the lowest point below it, to the highest point that is no outlier; `dots` are none."""
    jumping = sorted(y for curve in curves if not curve.dots for _, y in curve.known)
    measured = [y for curve in curves if curve.dots for _, y in curve.known]
    limit = OUTLIER * jumping[math.ceil(0.95 * (len(jumping) - 1))] if jumping else 0.0
    shown = [0.0, level or 0.0, *measured, *(min(y, limit) if limit > 0 else y for y in jumping)]
    return _ticks(min(shown), max(shown))


def _ticks(low: float, high: float, most: int = 5) -> list[float]:
    """About `most` multiples of 1, 2 or 5 times a power of ten, from `low` (0 or less) or below to `high` or above."""
    rough = max(high / most - low / most, 1e-290) if high > low else 1.0 / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next((factor * power for factor in (1, 2, 5) if factor * power >= rough), 10 * power)
    first, last = math.floor(low / step), max(math.ceil(high / step), math.floor(low / step) + 1)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def _across(css: str, down: float) -> str:
    return f'<line class="{css}" x2="100%" y1="{down:.2f}%" y2="{down:.2f}%"/>'


def _shade(frame: _Frame, mark: Mark) -> str:
    x = frame.across(mark.step)
    name = f'<text class="name" x="100%" dx="-.4em" dy="1.3em" text-anchor="end">{mark.label}</text>'
    return f'<rect class="shade" x="{x:.2f}%" width="{100 - x:.2f}%" height="100%"/>{name}'


def _mark(frame: _Frame, mark: Mark) -> str:
    x = frame.across(mark.step)
    line = f'<line class="{"kept" if mark.label else "edge"}" x1="{x:.2f}%" x2="{x:.2f}%" y2="100%"/>'
    anchor = "end" if x > 50 else "start"
    name = f'<text class="name" x="{x:.2f}%" dy="-.5em" text-anchor="{anchor}">{mark.label}</text>'
    return line + name if mark.label else line


def _paths(frame: _Frame, curves: Iterable[Curve]) -> str:
    paths = "".join(f'<path class="{curve.css}" d="{_path(frame, thinned(curve.points))}"/>' for curve in curves)
    return f'<svg viewBox="0 0 {_SIDE} {_SIDE}" preserveAspectRatio="none">{paths}</svg>'


def _path(frame: _Frame, points: Sequence[Point]) -> str:
    """Lines through points, interrupted where one is not finite; a point alone becomes a dot."""
    runs = (list(run) for finite, run in groupby(points, key=_is_finite) if finite)
    scale = _SIDE / 100
    drawn = ([f"{frame.across(x) * scale:.1f} {frame.down(y) * scale:.1f}" for x, y in run] for run in runs)
    return "".join(f"M{run[0]}{'L' + ' '.join(run[1:]) if run[1:] else 'h0'}" for run in drawn)


def _dots(frame: _Frame, curve: Curve) -> list[str]:
    return [
        f'<circle class="{curve.css}" cx="{frame.across(x):.2f}%" cy="{frame.down(y):.2f}%" r="4">'
        f"<title>{curve.label}, step {x:,.0f}: {tick(y)}</title></circle>"
        for x, y in thinned(curve.known)
    ]


def _names(frame: _Frame) -> list[str]:
    """The round numbers beside their lines; under the picture some steps and the last one."""
    values = [
        f'<text y="{frame.down(value):.2f}%" dx="-.6em" dy=".35em" text-anchor="end">{tick(value)}</text>'
        for value in frame.ticks
    ]
    steps = [
        f'<text x="{frame.across(step):.2f}%" y="100%" dy="1.3em" text-anchor="{"middle" if step else "start"}">'
        f"{tick(step)}</text>"
        for step in _ticks(0.0, frame.end)
        if step < 0.8 * frame.end
    ]
    last = f'<text x="100%" y="100%" dy="1.3em" text-anchor="end">step {frame.end:,.0f}</text>'
    return [*values, *steps, last]


def _legend(curves: Sequence[Curve], unit: str) -> str:
    """The unit, and where there are several curves, which is which."""
    keys = [
        f'<span><svg class="key" aria-hidden="true"><path class="{curve.css}" d="M2 6H22"/></svg>{curve.label}</span>'
        for curve in (curves if len(curves) > 1 else ())
    ]
    parts = [*([f"<span>{unit}</span>"] if unit else []), *keys]
    return f"<figcaption>{' '.join(parts)}</figcaption>" if parts else ""


def _unseen(curves: Sequence[Curve], ticks: Sequence[float]) -> str:
    """How many points of the curve of steps, which comes first, lie above the picture or are no numbers."""
    above = [y for _, y in curves[0].known if y > ticks[-1]]
    none = len(curves[0].points) - len(curves[0].known)
    said = [f"{_steps(len(above))} above the picture, the highest at {tick(max(above))}"] if above else []
    said += [f"{_steps(none)} without a number"] if none else []
    return f'<p class="quiet">{"; ".join(said)}.</p>' if said else ""


def _steps(count: int) -> str:
    return f"{count:,} step{'s' * (count != 1)}"


def _is_finite(point: Point) -> bool:
    """Whether a point can be drawn: numbers so large that sums of them are infinite count as infinite."""
    return abs(point[0]) < LARGEST and abs(point[1]) < LARGEST
