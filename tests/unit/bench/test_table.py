"""Results become Markdown without anybody who copies figures."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.bench.__main__ import main
from tests.bench.table import cells, filled, table

RATIO = {"measure": "ratio", "value": 1.45, "at_least": False}
OURS = {"measure": "ours", "value": 10, "at_least": False}
DOCUMENT = """\
| row | before | after | goal |
|---|---|---|---|
| `submit` | 4.1x | | <= 2.3x |
| `up` | 1.5x | 9 | |

Text with `submit` | after.

| row | after |
|---|---|
| `submit` | old |
| submit | old |

| row | what |
|---|---|
| `submit` | a request |
"""


def record(name: str, value: float, goal: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "name": name,
        "unit": "ms",
        "goal": goal,
        "value": value,
        "ours": {"median": 324},
        "baseline": {"median": 170},
    }


def run(commit: str, *rows: dict[str, Any]) -> dict[str, Any]:
    return {"commit": commit, "rows": list(rows)}


def test_each_commit_has_a_column_and_a_row_that_one_did_not_measure_a_dash() -> None:
    first, more = record("first-line", 1.91, RATIO), record("list", 324, OURS)
    told = [run("c79259451922", first), run("c79259451922", more), run("0123456789ab+", first, record("new", 2, None))]
    assert table(told) == [
        "| row | c792594 | 0123456+ |",
        "| --- | --- | --- |",
        "| `first-line` | 1.91x (324 / 170 ms) | 1.91x (324 / 170 ms) |",
        "| `list` | 324 / 170 ms | - |",
        "| `new` | - | 324 / 170 ms |",
    ]


def test_how_much_of_a_job_is_the_training_follows_from_a_job_that_does_nothing() -> None:
    told = cells(run("c79259451922", record("whole-job", 154, None)))
    assert told == {"whole-job": "324 / 170 ms", "own-30-s": "98.93 / 99.44 %", "own-5-min": "99.89 / 99.94 %"}


def test_the_column_of_that_title_is_filled_in_each_table_and_nothing_else_changes() -> None:
    after = filled(DOCUMENT, "after", {"submit": "2.2x", "unknown": "1x"})
    expected = DOCUMENT.replace("| `submit` | 4.1x | |", "| `submit` | 4.1x | 2.2x |")
    assert after == expected.replace("| `submit` | old |", "| `submit` | 2.2x |")


def test_a_column_is_filled_from_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results, document = tmp_path / "results.json", tmp_path / "performance.md"
    results.write_text(json.dumps(run("0123456789ab", record("submit", 2.2, RATIO))))
    document.write_text(DOCUMENT)
    monkeypatch.setattr("tests.bench.table.DOCUMENT", document)
    assert main(["table", str(results), "--into", "after"]) == 0
    assert "| `submit` | 4.1x | 2.20x (324 / 170 ms) | <= 2.3x |" in document.read_text()
    with pytest.raises(SystemExit):
        main(["table", str(results), "--into", "aftr"])
    assert "no table of docs/performance.md has a column aftr" in capsys.readouterr().err
    assert main(["table", str(results)]) == 0
    assert capsys.readouterr().out.startswith("| row | 0123456 |\n")
