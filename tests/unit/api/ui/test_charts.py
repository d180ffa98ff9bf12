import math
import re
from collections.abc import Sequence
from typing import Any

import pytest
from flask import render_template_string
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from api.ui import charts
from api.ui.charts import Cell, Part, Reference, Series

ANY = st.floats(allow_nan=True, allow_infinity=True)
X = st.one_of(st.integers(-(2**63), 2**63).map(float), ANY)
POINTS = st.lists(st.tuples(X, st.one_of(st.none(), ANY)), max_size=40)
SERIES = st.lists(st.builds(Series, st.text(max_size=5), POINTS), max_size=8)
HOSTILE = "<script>alert(1)</script>\"'\u202e"


def drawn_numbers(chart: charts.LineChart) -> Sequence[tuple[float, float]]:
    """Return all places that the chart draws at."""
    paths = [re.findall(r"[ML](\S+) (\S+)", line.path) for line in chart.lines]
    found = [(float(x), float(y)) for each in paths for x, y in each]
    found += [place for line in chart.lines for place in line.markers]
    found += [(at, charts.TOP) for at, _ in chart.x_ticks] + [(charts.LEFT, at) for at, _ in chart.y_ticks]
    return [*found, *([(charts.LEFT, chart.reference[0])] if chart.reference else [])]


def markup(client: FlaskClient, macro: str, drawn: Any) -> str:
    source = "{% import 'charts.html' as charts %}{{ charts." + macro + "('it', title, drawn) }}"
    with client.application.test_request_context():
        return render_template_string(source, title=HOSTILE, drawn=drawn)


@given(SERIES, st.one_of(st.none(), st.builds(Reference, st.just("champion"), ANY)), st.booleans())
def test_whatever_the_numbers_are_all_is_drawn_inside_the_frame(
    series: list[Series], reference: Reference | None, times: bool
) -> None:
    chart = charts.lines(series, reference=reference, times=times)

    for x, y in drawn_numbers(chart):
        assert charts.LEFT <= x <= charts.RIGHT
        assert charts.TOP <= y <= charts.BOTTOM
    assert len(chart.x_ticks) <= 12
    assert len(chart.y_ticks) <= 12


@given(st.lists(st.builds(Part, st.text(max_size=5), ANY), max_size=30), st.one_of(st.none(), ANY))
def test_the_parts_of_a_bar_never_leave_it(parts: list[Part], total: float | None) -> None:
    bar = charts.bar(parts, total=total)

    assert len(bar.parts) <= charts.MOST_PARTS
    for each in bar.parts:
        assert 0 <= each.x <= charts.BAR_WIDTH
        assert each.width >= 0
        assert each.x + each.width <= charts.BAR_WIDTH + 0.02


@given(st.lists(st.tuples(st.integers(0, 10**6).map(float), st.floats(-1e6, 1e6)), min_size=1, max_size=5000))
def test_of_many_points_some_hundreds_are_drawn_among_them_the_extremes(points: list[tuple[float, float]]) -> None:
    points = [(float(n), y) for n, (_, y) in enumerate(points)]
    chart = charts.lines([Series("loss", points)])

    heights = [float(y) for y in re.findall(r"[ML]\S+ (\S+)", chart.lines[0].path)] + [
        y for _, y in chart.lines[0].markers
    ]
    assert len(heights) <= 5 * charts.MOST_BUCKETS
    values = [y for _, y in points]
    largest = max(map(abs, values))
    if largest > 1e-290 and max(values) - min(values) > 1e-6 * largest:  # smaller ones are drawn as nothing
        assert min(heights) == charts.TOP
        assert max(heights) == charts.BOTTOM


def test_what_is_not_a_number_makes_a_gap_and_a_point_between_gaps_a_dot() -> None:
    points = [(0, 1.0), (1, 2.0), (2, math.nan), (3, 3.0), (4, None), (5, 4.0), (6, math.inf)]
    many = [*points, *((float(n), 1.0) for n in range(7, 100))]

    (line,) = charts.lines([Series("loss", many)]).lines

    assert line.path.count("M") == 2
    assert len(line.markers) == 2


def test_marks_are_round_numbers() -> None:
    chart = charts.lines([Series("accuracy", [(0, 0.913), (10, 0.957)])])

    assert [label for _, label in chart.y_ticks] == ["0.92", "0.93", "0.94", "0.95"]
    assert [label for _, label in chart.x_ticks] == ["0", "2", "4", "6", "8", "10"]


def test_between_whole_numbers_there_are_no_marks() -> None:
    chart = charts.lines([Series("accuracy", [(1, 0.9), (3, 0.95)])])

    assert [label for _, label in chart.x_ticks] == ["1", "2", "3"]


def test_one_value_is_a_dot_in_the_middle() -> None:
    (line,) = charts.lines([Series("accuracy", [(0, 0.9)])]).lines

    assert line.markers == [((charts.LEFT + charts.RIGHT) / 2, (charts.TOP + charts.BOTTOM) / 2)]


def test_times_have_marks_at_round_times() -> None:
    day = 24 * 3600
    chart = charts.lines([Series("accuracy", [(20_000 * day, 1.0), (20_004 * day, 2.0)])], times=True)

    assert [label for _, label in chart.x_ticks] == [f"2024-10-{n:02}" for n in range(4, 9)]


def test_the_numbers_are_there_as_text_too() -> None:
    chart = charts.lines([Series("this run", [(1, 0.5), (2, 0.75)]), Series("champion", [(2, 0.7)])])

    assert chart.rows == [("1", [0.5, None]), ("2", [0.75, 0.7])]
    assert chart.summary == "this run: 0.5 to 0.75, at last 0.75; champion: 0.7"


@pytest.mark.parametrize(
    ("macro", "drawn"),
    [
        (
            "line_chart",
            charts.lines([Series(HOSTILE, [(0, 1.0), (1, math.nan), (2, 2.0)])], reference=Reference(HOSTILE, 3.0)),
        ),
        ("line_chart", charts.lines([])),
        ("bar", charts.bar([Part(HOSTILE, 3.0, shown=HOSTILE, kind="running"), Part("b", 0.01)])),
        ("bar", charts.bar([])),
        ("strip", charts.strip([Cell(HOSTILE, "busy", "0"), Cell("1", "off")])),
        ("strip", charts.strip([])),
    ],
)
def test_names_are_shown_as_text_in_all_charts(client: FlaskClient, macro: str, drawn: Any) -> None:
    shown = markup(client, macro, drawn)

    assert "<script" not in shown
    assert " style=" not in shown
    assert 'role="img"' in shown
    assert "<title" in shown
    assert "<desc" in shown
