"""Turns what policies would have started into lanes of marks that a template draws as SVG. Pure and bounded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.jobs.triggers import Outcome

COLUMNS = 600  # marks of a kind at one column are drawn once
BASE = 38
HEIGHTS = {Outcome.FIRED: 34, Outcome.SKIPPED: 14, Outcome.WAITING: 7}
DATES = 5
HOURS_SHOWN = timedelta(days=4)  # of a shorter time
MARKS_TOLD = 50


@dataclass(frozen=True)
class Lane:
    """One policy: its marks by kind, as a path each, and the newest of them in words."""

    name: str
    result: Mapping[str, Any]
    paths: Mapping[str, str]
    newest: Sequence[Mapping[str, Any]]
    summary: str


@dataclass(frozen=True)
class Lanes:
    """All that the macro ``lanes`` needs."""

    lanes: Sequence[Lane]
    dates: Sequence[str]


def lanes_of(compared: Mapping[str, Any], *, names: Mapping[str, str]) -> Lanes:
    """Return the answer of POST /triggers/backtest as lanes; ``names`` says how to call some of the policies."""
    since, until = _at(compared["since"]), _at(compared["until"])
    lanes = [_lane(names.get(name, name), result, since, until) for name, result in compared["policies"].items()]
    steps = [since + (until - since) * number / (DATES - 1) for number in range(DATES)]
    return Lanes(
        lanes, [f"{each:%m-%d %H:%M}" if until - since < HOURS_SHOWN else f"{each:%Y-%m-%d}" for each in steps]
    )


def _lane(name: str, result: Mapping[str, Any], since: datetime, until: datetime) -> Lane:
    marks, jobs = result["timeline"], result["jobs"]
    paths = {str(kind): _path(marks, kind, since, until) for kind in HEIGHTS}
    return Lane(
        name=name,
        result=result,
        paths={kind: path for kind, path in paths.items() if path},
        newest=marks[-MARKS_TOLD:][::-1],
        summary=f"{jobs} job{'' if jobs == 1 else 's'}; {sum(result['skipped'].values())} skipped; "
        f"{sum(result['waited'].values())} waited",
    )


def _path(marks: Sequence[Mapping[str, Any]], kind: Outcome, since: datetime, until: datetime) -> str:
    span = max(until - since, timedelta(seconds=1))
    columns = {round(COLUMNS * ((_at(mark["at"]) - since) / span)) for mark in marks if mark["outcome"] == kind}
    return " ".join(f"M{column} {BASE}v-{HEIGHTS[kind]}" for column in sorted(columns) if 0 <= column <= COLUMNS)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)
