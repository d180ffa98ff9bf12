"""Turns numbers into what a template draws as SVG (charts.html): pure, bounded, and finite whatever the numbers are."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from api.ui.axes import Axis, axis_of, time_axis_of

WIDTH, HEIGHT = 400, 220  # of the view box: letters stay readable on a phone, where the chart is 330 pixels wide
LEFT, RIGHT, TOP, BOTTOM = 58, 388, 12, 190
MOST_SERIES, MOST_BUCKETS, MOST_MARKERS, MOST_ROWS = 6, 80, 40, 100
PATTERNS = ("none", "6 3", "2 3", "10 4 2 4", "1 4", "12 6")
BAR_WIDTH, BAR_HEIGHT, MOST_PARTS, LABEL_WIDTH = 400, 24, 12, 16
CELLS_A_ROW, CELL, MOST_CELLS = 16, 25, 512


@dataclass(frozen=True)
class Series:
    """A line: its points in order, as (x, y). A y that is None or not finite makes a gap."""

    name: str
    points: Sequence[tuple[float, float | None]]


@dataclass(frozen=True)
class Reference:
    """A value that the lines are compared with, drawn across the whole chart."""

    name: str
    value: float


@dataclass(frozen=True)
class Line:
    """A series as it is drawn. ``number`` chooses its colour and its pattern of dashes."""

    name: str
    number: int
    path: str
    markers: Sequence[tuple[float, float]]
    pattern: str
    last: float | None


@dataclass(frozen=True)
class LineChart:
    """All that the macro ``line_chart`` needs."""

    lines: Sequence[Line]
    x_ticks: Sequence[tuple[float, str]]
    y_ticks: Sequence[tuple[float, str]]
    reference: tuple[float, str, float] | None  # where, its name, its value
    rows: Sequence[tuple[str, Sequence[float | None]]]  # the numbers as text: x, and one y for each line
    rows_left_out: int
    series_left_out: int
    summary: str


@dataclass(frozen=True)
class Part:
    """A part of a whole. ``kind`` is one of a job's states or phases, and only chooses a colour."""

    name: str
    amount: float
    shown: str = ""  # the amount for people, as in "3 min"
    kind: str = ""


@dataclass(frozen=True)
class BarPart:
    """A part as it is drawn. ``number`` is written into it if there is room, and before its name in the legend."""

    part: Part
    number: int
    x: float
    width: float

    @property
    def has_room(self) -> bool:
        """Return whether its number fits into it."""
        return self.width >= LABEL_WIDTH


@dataclass(frozen=True)
class Bar:
    """All that the macro ``bar`` needs."""

    parts: Sequence[BarPart]
    summary: str


@dataclass(frozen=True)
class Cell:
    """One of many equal things, such as a GPU. ``kind`` is "busy", "free" or "off"."""

    name: str
    kind: str
    mark: str = ""  # at most two characters, written into it


@dataclass(frozen=True)
class Strip:
    """All that the macro ``strip`` needs."""

    cells: Sequence[tuple[int, int, Cell]]
    width: int
    height: int
    left_out: int
    summary: str


def lines(series: Sequence[Series], *, reference: Reference | None = None, times: bool = False) -> LineChart:
    """Return the series as lines. With ``times``, x is in seconds since 1970."""
    shown = series[:MOST_SERIES]
    drawn = [_thinned([(float(x), y) for x, y in each.points if _is_finite(x)]) for each in shown]
    level = reference if reference and _is_finite(reference.value) else None
    x_axis = (time_axis_of if times else axis_of)([x for points in drawn for x, _ in points])
    heights = [y for points in drawn for _, y in points if y is not None and math.isfinite(y)]
    y_axis = axis_of(heights + ([level.value] if level else []))
    rows = _rows(drawn)
    return LineChart(
        lines=[
            _line(n, each.name, points, x_axis, y_axis)
            for n, (each, points) in enumerate(zip(shown, drawn, strict=True))
        ],
        x_ticks=[(_across(x_axis, each), x_axis.label(each)) for each in x_axis.ticks],
        y_ticks=[(_up(y_axis, each), y_axis.label(each)) for each in y_axis.ticks],
        reference=(_up(y_axis, level.value), level.name, level.value) if level else None,
        rows=[(x_axis.exact(x), values) for x, values in rows[-MOST_ROWS:]],
        rows_left_out=max(0, len(rows) - MOST_ROWS),
        series_left_out=len(series) - len(shown),
        summary="; ".join(
            [_in_words(each) for each in shown] + ([f"{level.name}: {number(level.value)}"] if level else [])
        ),
    )


def bar(parts: Sequence[Part], *, total: float | None = None) -> Bar:
    """Return the parts of a whole, one after the other. Without a total, they are the whole."""
    kept = _grouped([each for each in parts if _is_finite(each.amount) and each.amount > 0])
    largest = max((each.amount for each in kept), default=1.0)
    shares = [each.amount / largest for each in kept]  # so that no sum is too large for a number
    whole = max(sum(shares), total / largest if total and _is_finite(total) else 0.0) or 1.0
    drawn, x = list[BarPart](), 0.0
    for n, (each, share) in enumerate(zip(kept, shares, strict=True), 1):
        width = min(share / whole * BAR_WIDTH if math.isfinite(whole) else 0.0, BAR_WIDTH - x)
        drawn.append(BarPart(each, n, round(x, 2), round(width, 2)))
        x += width
    return Bar(drawn, "; ".join(f"{each.name}: {each.shown or number(each.amount)}" for each in kept) or "nothing")


def strip(cells: Sequence[Cell]) -> Strip:
    """Return equal cells side by side, in rows of 16."""
    shown = cells[:MOST_CELLS]
    placed = [(n % CELLS_A_ROW * CELL, n // CELLS_A_ROW * CELL, each) for n, each in enumerate(shown)]
    kinds = [each.kind for each in cells]
    return Strip(
        placed,
        width=CELLS_A_ROW * CELL,
        height=max(1, math.ceil(len(shown) / CELLS_A_ROW)) * CELL,
        left_out=len(cells) - len(shown),
        summary=", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)) or "none",
    )


def number(value: float) -> str:
    """Return a number for people, with six digits at most."""
    return f"{value:.6g}"


def reference_of(name: str, values: Iterable[float | None]) -> Reference | None:
    """Return the last value as a reference; None if there is none."""
    there = [each for each in values if each is not None and math.isfinite(each)]
    return Reference(name, there[-1]) if there else None


def _line(n: int, name: str, points: Sequence[tuple[float, float | None]], x_axis: Axis, y_axis: Axis) -> Line:
    pieces = [[(_across(x_axis, x), _up(y_axis, y)) for x, y in piece] for piece in _pieces(points)]
    all_of_them = [each for piece in pieces for each in piece]
    alone = [piece[0] for piece in pieces if len(piece) == 1]
    return Line(
        name=name,
        number=n,
        path=" ".join("M" + " L".join(f"{x} {y}" for x, y in piece) for piece in pieces if len(piece) > 1),
        markers=all_of_them if len(all_of_them) <= MOST_MARKERS else alone,
        pattern=PATTERNS[n],
        last=points[-1][1] if points else None,
    )


def _pieces(points: Sequence[tuple[float, float | None]]) -> list[list[tuple[float, float]]]:
    """Return the points between the gaps."""
    pieces = list[list[tuple[float, float]]]([[]])
    for x, y in points:
        if y is not None and math.isfinite(y):
            pieces[-1].append((x, y))
        elif pieces[-1]:
            pieces.append([])
    return [each for each in pieces if each]


def _thinned(points: Sequence[tuple[float, float | None]]) -> Sequence[tuple[float, float | None]]:
    """Return some hundreds of points that look the same: of each stretch the ends, the extremes, and a gap."""
    if len(points) <= 4 * MOST_BUCKETS:
        return points
    edges = [n * len(points) // MOST_BUCKETS for n in range(MOST_BUCKETS + 1)]
    return [points[n] for start, end in pairwise(edges) for n in sorted(_telling(points, range(start, end)))]


def _telling(points: Sequence[tuple[float, float | None]], stretch: range) -> set[int]:
    there = [(y, n) for n in stretch if (y := points[n][1]) is not None and math.isfinite(y)]
    gap = next((n for n in stretch if not _is_finite(points[n][1])), None)
    kept = {there[0][1], there[-1][1], min(there)[1], max(there)[1]} if there else set[int]()
    return kept if gap is None else kept | {gap}


def _rows(drawn: Sequence[Sequence[tuple[float, float | None]]]) -> list[tuple[float, Sequence[float | None]]]:
    known = [dict(points) for points in drawn]
    return [(x, [each.get(x) for each in known]) for x in sorted({x for each in known for x in each})]


def _grouped(parts: Sequence[Part]) -> Sequence[Part]:
    if len(parts) <= MOST_PARTS:
        return parts
    kept, others = parts[: MOST_PARTS - 1], parts[MOST_PARTS - 1 :]
    amount = min(sum(each.amount for each in others), 1e300)
    return [*kept, Part(f"{len(others)} others", amount)]


def _in_words(series: Series) -> str:
    values = [y for _, y in series.points if y is not None and math.isfinite(y)]
    if not values:
        return f"{series.name}: no value"
    lowest, highest, last = (number(each) for each in (min(values), max(values), values[-1]))
    return f"{series.name}: {lowest}" if len(values) == 1 else f"{series.name}: {lowest} to {highest}, at last {last}"


def _across(axis: Axis, value: float) -> float:
    return round(LEFT + axis.share(value) * (RIGHT - LEFT), 1)


def _up(axis: Axis, value: float) -> float:
    return round(BOTTOM - axis.share(value) * (BOTTOM - TOP), 1)


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
