"""What was measured: a table for people, JSON for programs."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.bench.row import Row
from tests.bench.samples import Figure, Goal, Measure, Summary

ROOT = Path(__file__).parents[2]
TITLES = ("row", "what", "ours", "baseline", "comes to", "goal", "n")


@dataclass(frozen=True)
class Result:
    """One row, measured."""

    row: Row
    summary: Summary
    goal: Goal | None

    @property
    def value(self) -> float:
        """What is compared with the goal; the ratio where there is none."""
        return self.summary.value(self.goal.measure if self.goal else Measure.RATIO)

    @property
    def is_missed(self) -> bool:
        """Whether it is over its budget."""
        return self.goal is not None and self.goal.is_missed(self.value)

    def cells(self) -> tuple[str, ...]:
        """Return the row's cells, as in TITLES."""
        row, summary = self.row, self.summary
        baseline = f"{shown(summary.baseline)} {row.unit} ({row.baseline})"
        value = f"{said(self.value, self.goal, row.unit)}{' MISSED' if self.is_missed else ''}"
        goal = goal_said(self.goal, row.unit)
        return row.name, row.what, f"{shown(summary.ours)} {row.unit}", baseline, value, goal, str(summary.count)

    def record(self) -> dict[str, Any]:
        """Return it for programs."""
        summary, goal = self.summary, self.goal
        return {
            "name": self.row.name,
            "what": self.row.what,
            "unit": self.row.unit,
            "ours": vars(summary.ours),
            "baseline": {**vars(summary.baseline), "what": self.row.baseline},
            "ratio": summary.ratio,
            "samples": summary.count,
            "goal": {"measure": goal.measure, "value": goal.value, "at_least": goal.at_least} if goal else None,
            "value": self.value,
            "missed": self.is_missed,
        }


def line(cells: tuple[str, ...]) -> str:
    """Return a row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def shown(figure: Figure) -> str:
    """Return the median and its quartiles: '403 [398-411]'."""
    return f"{_short(figure.median)} [{_short(figure.low)}-{_short(figure.high)}]"


def said(value: float, goal: Goal | None, unit: str) -> str:
    """Return a value as its measure is read: 1.83x, +308 ms, 621 ms."""
    match goal.measure if goal else Measure.RATIO:
        case Measure.RATIO:
            return f"{value:.2f}x"
        case Measure.MORE:
            return f"{value:+.0f} {unit}"
        case Measure.OURS:
            return f"{_short(value)} {unit}"


def figures_said(record: Mapping[str, Any]) -> str:
    """Return a row of results.json as it is read: '1.83x (403 / 226 ms)', or both figures where ours alone counts."""
    ours, baseline = (_short(record[side]["median"]) for side in ("ours", "baseline"))
    both = f"{ours} / {baseline} {record['unit']}"
    if not (goal := record["goal"]) or goal["measure"] == Measure.OURS:
        return both
    return f"{said(record['value'], Goal(Measure(goal['measure']), goal['value']), record['unit'])} ({both})"


def goal_said(goal: Goal | None, unit: str) -> str:
    """Return the goal, and on which side of it is right."""
    return f"{'>=' if goal.at_least else '<='} {said(goal.value, goal, unit)}" if goal else ""


def write(path: Path, results: list[Result]) -> None:
    """Write results.json: which commit, which machine, and each row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {"commit": commit(), "machine": machine(), "rows": [each.record() for each in results]}
    path.write_text(json.dumps(told, indent=2) + "\n")


def commit() -> str:
    """Return the commit that is checked out, with a + if files have changed since."""
    done = subprocess.run(
        ["git", "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return done.stdout.strip() or "unknown"


def machine() -> Mapping[str, Any]:
    """Return what the figures depend on: machines differ, and so does one machine while others use it."""
    return {
        "cpus": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
    }


def _short(number: float) -> str:
    return f"{number:.0f}" if abs(number) >= 100 else f"{number:.3g}"
