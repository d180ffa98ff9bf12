"""`make bench` works: one quick row is measured, whatever it comes to."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
SECONDS = 60


def bench(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "tests.bench", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def test_a_row_is_measured_for_people_and_for_programs(tmp_path: Path) -> None:
    done = bench("record-job", "--samples", "2", "--output", str(tmp_path / "results.json"))
    assert done.returncode == 0, done.stderr
    assert "| record-job | store.submit, SQLite |" in done.stdout
    told: dict[str, Any] = json.loads((tmp_path / "results.json").read_text())
    (row,) = told["rows"]
    assert (row["name"], row["samples"], row["unit"]) == ("record-job", 2, "ms")
    assert row["ratio"] == row["ours"]["median"] / row["baseline"]["median"] > 0
    assert set(told) == {"commit", "machine", "rows"}
