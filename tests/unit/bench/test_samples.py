"""The benchmark's arithmetic, its budgets and its choice of rows."""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import pytest

from tests.bench import budgets
from tests.bench.row import Options, Row, chosen, measured
from tests.bench.rows import ROWS
from tests.bench.samples import Figure, Goal, Measure, Sample, figure, summarize

ONE = Options()


def nowhere(_: Options) -> AbstractContextManager[None]:
    return nullcontext()


def counting(_: None) -> Iterator[Sample]:
    number = 0
    while True:
        number += 1
        yield Sample(number, 10)


def row(name: str = "a", **fields: int) -> Row:
    return Row(name, "what", "ms", "by hand", nowhere, counting, **fields)


def test_a_figure_is_the_median_with_the_quartiles() -> None:
    assert figure([5, 1, 4, 2, 3]) == Figure(3, 2, 4)


def test_a_single_value_is_its_own_median_and_quartiles() -> None:
    assert figure([7]) == Figure(7, 7, 7)


def test_an_outlier_moves_neither_the_ratio_nor_the_difference() -> None:
    summary = summarize([Sample(30, 10), Sample(30, 10), Sample(9000, 10), Sample(30, 8000), Sample(30, 10)])
    assert [summary.value(measure) for measure in Measure] == [3, 20, 30]


def test_samples_that_warm_up_do_not_count() -> None:
    summary = row(warm_up=3, samples=5).take(None, ONE)
    assert (summary.ours, summary.count) == (Figure(6, 5, 7), 5)


def test_whoever_runs_it_may_choose_how_many_samples() -> None:
    assert row(samples=5).take(None, Options(samples=2)).count == 2


@pytest.mark.parametrize(("value", "missed"), [(1.2, False), (1.21, True), (0.1, False)])
def test_a_budget_is_missed_where_the_value_is_more_than_20_percent_over_it(value: float, missed: bool) -> None:
    assert Goal(Measure.RATIO, 1.0).is_missed(value) is missed


@pytest.mark.parametrize(("value", "missed"), [(0.84, False), (0.83, True), (9, False)])
def test_a_budget_of_what_should_be_more_is_missed_from_below(value: float, missed: bool) -> None:
    assert Goal(Measure.RATIO, 1.0, at_least=True).is_missed(value) is missed


def test_a_goal_says_what_it_measures_and_which_side_is_right() -> None:
    told = budgets.load("[a]\nratio = 1.5\n[b]\nours = 400\nat_least = true")
    assert told == {"a": Goal(Measure.RATIO, 1.5), "b": Goal(Measure.OURS, 400, at_least=True)}


@pytest.mark.parametrize("fields", ["", "ratio = 1\nmore = 2", "rato = 1"])
def test_what_is_no_goal_is_refused(fields: str) -> None:
    with pytest.raises(ValueError, match="The goal of a needs exactly one of ratio, more, ours"):
        budgets.load(f"[a]\n{fields}")


def test_each_goal_is_that_of_a_row() -> None:
    assert set(budgets.load()) - {row.name for row in ROWS} == set()


def test_rows_have_names_of_their_own() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_rows_are_chosen_by_name_and_measured_in_their_own_order() -> None:
    rows = [row("a"), row("b"), row("c")]
    assert [each.name for each in chosen(rows, ["c", "a"])] == ["a", "c"]
    assert chosen(rows, []) == rows


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ("sumbit", "No row is called sumbit. Near it: submit, submits-64."),
        ("page", "No row is called page. Near it: page-jobs."),
        ("x", "No row is called x."),
    ],
)
def test_an_unknown_row_is_refused_with_the_names_that_are_near(asked: str, why: str) -> None:
    with pytest.raises(ValueError, match=rf"^{re.escape(why)}\nAll rows: make bench ARGS=--list$"):
        chosen([row(name) for name in ("submit", "submits-64", "page-jobs")], ["submit", asked])


def test_rows_of_one_place_share_it() -> None:
    opened = []

    def place(options: Options) -> AbstractContextManager[None]:
        opened.append(options)
        return nullcontext()

    rows = [Row(name, "what", "ms", "by hand", place, counting, samples=1) for name in "ab"]
    assert [each.name for each, _ in measured(rows, ONE)] == ["a", "b"]
    assert opened == [ONE]
