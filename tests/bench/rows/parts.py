"""What single parts cost: imports, an API that others keep busy."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from tests.bench.row import Options, Row
from tests.bench.rows import followers, hasty, hostile
from tests.bench.samples import Sample
from tests.bench.timing import milliseconds

IMPORT_SECONDS = 120


@contextmanager
def nowhere(_: Options) -> Iterator[None]:
    """Need nothing."""
    with nullcontext():
        yield


def _imports(module: str, baseline: str) -> Callable[[None], Iterator[Sample]]:
    def measure(_: None) -> Iterator[Sample]:
        while True:
            yield Sample(_import(module), _import(baseline))

    return measure


def _import(module: str) -> float:
    command = [sys.executable, "-c", f"import {module}"]
    return milliseconds(lambda: subprocess.run(command, check=True, timeout=IMPORT_SECONDS))


def _followed(_: None) -> Iterator[Sample]:
    while True:
        ours, alone = followers.costs()
        yield Sample(ours.get_seconds * 1000, alone.get_seconds * 1000)


def _followed_memory(_: None) -> Iterator[Sample]:
    while True:
        ours, alone = followers.costs()
        yield Sample(ours.pss_bytes / 1e6, alone.pss_bytes / 1e6)


def _beset(_: None) -> Iterator[Sample]:
    while True:
        ours, alone = hostile.costs()
        yield Sample(ours.p99_seconds * 1000, alone.p99_seconds * 1000)


def _polled(_: None) -> Iterator[Sample]:
    while True:
        ours, alone = hasty.costs()
        yield Sample(ours * 1000, alone * 1000)


API, WORKER = _imports("api.app", "flask"), _imports("worker.__main__", "mlflow")
FOLLOWED = "GET a job whose log 50 follow"
BESET = "p99 of GET beside hostile clients"
POLLED = "p99 of 5 beside one who polls and 200 slow"
ROWS = [
    Row("import-api", "import the API", "ms", "import flask", nowhere, API, samples=5, warm_up=1),
    Row("import-worker", "import the worker", "ms", "import mlflow", nowhere, WORKER, samples=5, warm_up=1),
    Row("followed", FOLLOWED, "ms", "followed by none", nowhere, _followed, samples=1, warm_up=0),
    Row("followed-memory", "PSS of the API then", "MB", "followed by none", nowhere, _followed_memory, 1, 0),
    Row("beset", BESET, "ms", "alone", nowhere, _beset, samples=1, warm_up=0),
    Row("polled", POLLED, "ms", "alone", nowhere, _polled, samples=1, warm_up=0),
]
