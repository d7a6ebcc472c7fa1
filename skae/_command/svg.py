"""Line charts and histograms as positions, which the page's template writes as SVG."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from .chance import expect_share

# The drawing, in its own units; one is about a pixel of a phone.
_WIDTH, _HEIGHT = 420, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 96, 14, 34

_MOST_TICKS = 5
_EQUAL = 1e-9  # figures that differ by rounding alone
_LABEL_HEIGHT = 15.0  # between labels of lines
_LABEL_WIDTH = 22.0  # between labels of sizes


@dataclass(frozen=True)
class Box:
    """A drawing and the part of it inside the axes."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float


@dataclass(frozen=True)
class Tick:
    """A mark of an axis: its position, and its text."""

    at: float
    text: str


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Attributes
    ----------
    name : str
        What the line shows; its label.
    path : str
        The path of the line, with gaps where figures are missing.
    points : tuple of (float, float)
        Positions of its figures.
    label_at : float
        Height of the label at the right end.
    """

    name: str
    path: str
    points: tuple[tuple[float, float], ...]
    label_at: float


@dataclass(frozen=True)
class LineChart:
    """Lines over numbers of components, on a logarithmic axis."""

    box: Box
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Bar:
    """A bar of a histogram: position, size, and what it says."""

    x: float
    y: float
    width: float
    height: float
    text: str


@dataclass(frozen=True)
class Histogram:
    """Shares of p-values, and the path along the shares that they have if nothing differs."""

    box: Box
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    bars: tuple[Bar, ...]
    expected: str


def draw_lines(
    sizes: Sequence[int],
    figures: Mapping[str, Sequence[float | None]],
    unit: Literal["percent", "number"],
    least_span: float = 0.0,
) -> LineChart | None:
    """Return a chart of the figures by number of components; None if there are none.

    Its axis spans at least `least_span`, so that figures which differ by noise look alike.
    """
    known = [value for row in figures.values() for value in row if value is not None]
    if not known:
        return None
    box = Box(_WIDTH, _HEIGHT, _LEFT, _WIDTH - _RIGHT, _TOP, _HEIGHT - _BOTTOM)
    ticks = _choose_ticks(*_widen(min(known), max(known), least_span, unit))
    low, high = min(ticks[0], *known), max(ticks[-1], *known)

    def place_x(size: int) -> float:
        first, last = math.log(min(sizes)), math.log(max(sizes))
        share = (math.log(size) - first) / (last - first) if last > first else 0.5
        return box.left + 12 + share * (box.right - box.left - 24)

    def place_y(value: float) -> float:
        return box.bottom - (value - low) / (high - low) * (box.bottom - box.top)

    lines = []
    for name, row in figures.items():
        pairs = zip(sizes, row, strict=True)
        places = [None if v is None else (place_x(size), place_y(v)) for size, v in pairs]
        points = tuple(place for place in places if place is not None)
        if points:
            lines.append(Line(name, _join_points(places), points, points[-1][1]))
    return LineChart(
        box,
        _thin_out([Tick(place_x(size), str(size)) for size in sizes]),
        tuple(Tick(place_y(tick), _format_tick(tick, ticks, unit)) for tick in ticks),
        _separate_labels(lines),
    )


def draw_histogram(
    p_values: Sequence[float], n_calibration: int, n_bins: int = 20
) -> Histogram | None:
    """Return a histogram of conformal p-values; None if there are none."""
    if not p_values:
        return None
    box = Box(_WIDTH, _HEIGHT, _LEFT, _WIDTH - 16, _TOP, _HEIGHT - _BOTTOM)
    counts = [0] * n_bins
    for value in p_values:
        # A p-value of k / n_bins belongs to the bin that ends there.
        counts[min(max(math.ceil(value * n_bins - 1e-9) - 1, 0), n_bins - 1)] += 1
    shares = [count / len(p_values) for count in counts]
    levels = [expect_share(index / n_bins, n_calibration) for index in range(n_bins + 1)]
    expected = [after - before for before, after in pairwise(levels)]
    ticks = _choose_ticks(0, max(*shares, *expected, 2 / n_bins))
    high = max(ticks[-1], *shares, *expected)
    span, width = box.bottom - box.top, (box.right - box.left) / n_bins
    bars = tuple(
        Bar(
            x=box.left + index * width + 0.75,
            y=box.bottom - share / high * span,
            width=width - 1.5,
            height=share / high * span,
            text=f"p from {index / n_bins:g} to {(index + 1) / n_bins:g}: {share:.1%} of the rows",
        )
        for index, share in enumerate(shares)
    )
    x_ticks = [
        Tick(box.left + p * (box.right - box.left), f"{p:g}") for p in (0, 0.25, 0.5, 0.75, 1)
    ]
    return Histogram(
        box,
        tuple(x_ticks),
        tuple(
            Tick(box.bottom - tick / high * span, _format_tick(tick, ticks, "percent"))
            for tick in ticks
        ),
        bars,
        _join_steps(box, [box.bottom - share / high * span for share in expected]),
    )


def _widen(low: float, high: float, least_span: float, unit: str) -> tuple[float, float]:
    """Return a range of at least that span around the figures; shares stay shares."""
    is_share = unit == "percent" and low >= 0 and high <= 1
    lack = (min(least_span, 1.0) if is_share else least_span) - (high - low)
    if lack <= 0:
        return low, high
    low, high = low - lack / 2, high + lack / 2
    if is_share:
        shift = max(-low, 0.0) - max(high - 1, 0.0)
        low, high = low + shift, high + shift
    return low, high


def _choose_ticks(low: float, high: float) -> list[float]:
    """Return round numbers from below the lowest value to above the highest."""
    largest = max(abs(low), abs(high))
    if high - low <= _EQUAL * max(1.0, largest):
        margin = 0.1 * max(0.1, largest)
        low, high = low - margin, high + margin
    rough = (high - low) / (_MOST_TICKS - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * index, 12) for index in range(first, last + 1)]


def _format_tick(tick: float, ticks: Sequence[float], unit: str) -> str:
    factor, suffix = (100, "%") if unit == "percent" else (1, "")
    step = (ticks[1] - ticks[0]) * factor
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{tick * factor + 0.0:,.{digits}f}{suffix}".replace("-", "\N{MINUS SIGN}")


def _join_points(places: Sequence[tuple[float, float] | None]) -> str:
    commands, command = [], "M"
    for place in places:
        if place is not None:
            commands.append(f"{command}{place[0]:.1f} {place[1]:.1f}")
        command = "M" if place is None else "L"
    return "".join(commands)


def _join_steps(box: Box, heights: Sequence[float]) -> str:
    """Return a path from side to side, level within each of as many bins."""
    width = (box.right - box.left) / len(heights)
    ends = [f"V{y:.1f}H{box.left + (n + 1) * width:.1f}" for n, y in enumerate(heights)]
    return f"M{box.left:.1f} {heights[0]:.1f}{''.join(ends)}"


def _thin_out(ticks: Sequence[Tick]) -> tuple[Tick, ...]:
    """Leave out the texts that would run into the one before."""
    kept: list[Tick] = []
    for tick in ticks:
        if not kept or tick.at - kept[-1].at >= _LABEL_WIDTH:
            kept.append(tick)
    return tuple(kept)


def _separate_labels(lines: Sequence[Line]) -> tuple[Line, ...]:
    """Move the labels of two lines apart where they would overlap."""
    if len(lines) != 2:
        return tuple(lines)
    upper, lower = sorted(lines, key=lambda line: line.label_at)
    gap = _LABEL_HEIGHT - (lower.label_at - upper.label_at)
    if gap <= 0:
        return tuple(lines)
    moved = {upper.name: upper.label_at - gap / 2, lower.name: lower.label_at + gap / 2}
    return tuple(Line(line.name, line.path, line.points, moved[line.name]) for line in lines)
