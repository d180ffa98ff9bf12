"""What the benchmark says about a row, and whether it fails."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench.__main__ import main
from tests.bench.report import Result
from tests.bench.row import Row
from tests.bench.samples import Goal, Measure, Sample, summarize

ROW = Row("submit", "POST /retrain", "ms", "bare Flask", lambda _: nullcontext(), lambda _: iter(()))
SUMMARY = summarize([Sample(400, 200), Sample(410, 202), Sample(420, 204)])


def result(goal: Goal | None) -> Result:
    return Result(ROW, SUMMARY, goal)


@pytest.mark.parametrize(
    ("goal", "value", "aim"),
    [
        (Goal(Measure.RATIO, 2), "2.03x", "<= 2.00x"),
        (Goal(Measure.RATIO, 1), "2.03x MISSED", "<= 1.00x"),
        (Goal(Measure.MORE, 300), "+208 ms", "<= +300 ms"),
        (Goal(Measure.OURS, 450, at_least=True), "410 ms", ">= 450 ms"),
        (None, "2.03x", ""),
    ],
)
def test_a_row_shows_both_figures_and_what_is_held_to_the_goal(goal: Goal | None, value: str, aim: str) -> None:
    figures = ("410 [405-415] ms", "202 [201-203] ms (bare Flask)")
    assert result(goal).cells() == ("submit", "POST /retrain", *figures, value, aim, "3")


def test_a_row_without_a_goal_is_never_missed() -> None:
    assert not result(None).is_missed
    assert result(None).record()["goal"] is None


def test_programs_get_the_figures_the_ratio_and_the_verdict() -> None:
    told = result(Goal(Measure.RATIO, 1)).record()
    assert told["ours"] == {"median": 410, "low": 405, "high": 415}
    assert told["baseline"]["median"] == 202
    assert (told["value"], told["missed"]) == (told["ratio"], True)


def test_an_unknown_row_is_refused_before_anything_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["no-such-row"]) == 2
    assert capsys.readouterr().err == "No row is called no-such-row.\nAll rows: make bench ARGS=--list\n"


@pytest.mark.parametrize("words", [["trace", "submit"], ["submit", "trace"], ["--samples", "1", "trace"]])
def test_what_stands_alone_is_no_row_beside_others(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert main(words) == 2
    assert capsys.readouterr().err.startswith("trace is not a row: it stands alone, as in make bench ARGS=trace.\n")


def test_check_fails_where_a_row_is_over_its_budget_and_names_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tests.bench.__main__.ROWS", [replace(ROW, measure=ten_times, warm_up=0, samples=2)])
    output = ["--output", str(tmp_path / "results.json")]
    assert main(output) == 0
    assert main(["--check", *output]) == 1
    assert capsys.readouterr().out.endswith("More than 20 % over budget: submit.\n")


def ten_times(_: None) -> Iterator[Sample]:
    while True:
        yield Sample(10, 1)
