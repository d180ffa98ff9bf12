"""`make bench ARGS=trace`: where the milliseconds between a submit and the training's first line go, and those after.

Nothing in the service is changed for it: the marks are what the service logs and records, and what the engine tells.
"""

import argparse
import json
import statistics
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import requests

from tests.bench.report import line
from tests.bench.row import Options
from tests.bench.rows.jobs import DEFAULTS, Work, first_line_by_hand, working
from tests.support.servers.stack import HOST_LABEL, Stack

JOBS = 10
WARM_UP = 2
SECONDS = 30
FIRST_LINE = "first line"


@dataclass(frozen=True)
class Mark:
    """What happened, and how many seconds after the submit."""

    what: str
    seconds: float


def main(arguments: Sequence[str] = ()) -> int:
    """Trace jobs one by one and print the median time of each mark, and the step that led to it."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench trace", description=__doc__)
    parser.add_argument("--jobs", type=int, default=JOBS, help=f"how many jobs ({JOBS})")
    jobs: int = parser.parse_args(arguments).jobs
    with working(2, {**DEFAULTS, "LOG_FORMAT": "json"})(Options()) as work:
        traced = [_trace(work) for _ in range(WARM_UP + jobs)][WARM_UP:]
        by_hand = statistics.median(first_line_by_hand() for _ in range(jobs))
    print(f"{line(('ms after the submit', 'step, ms', 'what', 'jobs'))}\n{line(('---:', '---:', '---', '---:'))}")
    for cells in table(traced):
        print(line(cells))
    print(f"\nBy hand, docker run to {FIRST_LINE}: {by_hand * 1000:.0f} ms. Median of {jobs} jobs.")
    return 0


def table(traced: Sequence[Iterable[Mark]]) -> Iterator[tuple[str, str, str, str]]:
    """Yield each mark's median time, the step from the mark before, its name, and how many jobs have it."""
    times = defaultdict[str, list[float]](list)
    for marks in traced:
        for mark in marks:
            times[mark.what].append(mark.seconds * 1000)
    before = 0.0
    for what, median in sorted(((what, statistics.median(each)) for what, each in times.items()), key=lambda it: it[1]):
        yield f"{median:.0f}", f"{median - before:+.0f}", what, str(len(times[what]))
        before = median


def _trace(work: Work) -> list[Mark]:
    began = time.time()
    job = work.submit(work.telling)
    accepted = time.time()
    job = work.ended(job)
    told = time.time()
    work.settle()
    said = float(work.stack.job_log(job).splitlines()[0])
    marks = [("API: answered", accepted), (f"training: {FIRST_LINE}", said), ("client: told of the end", told)]
    marks += [*_of_record(job), *_of_run(work.stack, job), *_of_log(work.stack, job), *_of_engine(work.stack, began)]
    return [Mark(what, at - began) for what, at in marks]


def _of_record(job: dict[str, Any]) -> Iterator[tuple[str, float]]:
    for change in job["transitions"]:
        yield f"record: {change['to']}", _seconds(change["at"])


def _of_run(stack: Stack, job: dict[str, Any]) -> Iterator[tuple[str, float]]:
    url = f"{stack.urls['mlflow']}/api/2.0/mlflow/runs/get"
    run = requests.get(url, params={"run_id": job["mlflow"]["run_id"]}, timeout=SECONDS).json()["run"]["info"]
    yield "MLflow: run begins", int(run["start_time"]) / 1000
    yield "MLflow: run ends", int(run["end_time"]) / 1000


def _of_log(stack: Stack, job: dict[str, Any]) -> Iterator[tuple[str, float]]:
    for text in stack.log.splitlines():
        _, brace, rest = text.partition("{")
        if job["id"] in text and brace:
            try:
                told = json.loads(brace + rest)
            except ValueError:  # Celery's own lines
                continue
            yield f"log: {told['message'][:50]}", _seconds(told["timestamp"])


def _of_engine(stack: Stack, began: float) -> Iterator[tuple[str, float]]:
    """What Docker did with this stack's containers since then."""
    since = ("--since", f"{began:.6f}", "--until", f"{time.time():.6f}", "--filter", f"label={HOST_LABEL}={stack.host}")
    done = subprocess.run(
        ["docker", "events", *since, "--format", "{{.TimeNano}} {{.Action}}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=SECONDS,
    )
    for event in done.stdout.splitlines():
        nanoseconds, _, action = event.partition(" ")
        yield f"engine: {action.partition(':')[0]}", int(nanoseconds) / 1e9


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
