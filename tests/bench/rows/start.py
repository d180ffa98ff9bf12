"""How long it takes until the service is there."""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.acceptance.support.checkout import git
from tests.bench.report import ROOT
from tests.bench.row import Options, Row
from tests.bench.samples import Sample
from tests.support.servers.mlflow_server import started_mlflow_server
from tests.support.servers.stack import Stack

SETUP_SECONDS = 1800


@contextmanager
def folder(_: Options) -> Iterator[Path]:
    """Yield an empty folder."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        yield Path(name)


def _up(place: Path) -> Iterator[Sample]:
    number = 0
    while True:
        number += 1
        ours = _start_stack(place / f"stack-{number}")
        yield Sample(ours, _start_mlflow(place / f"mlflow-{number}"))


def _start_stack(place: Path) -> float:
    stack = Stack(place, "process")
    try:
        began = time.perf_counter()
        stack.start()
        seconds = time.perf_counter() - began
        stack.stop()
    finally:
        stack.clean()
    return seconds


def _start_mlflow(place: Path) -> float:
    place.mkdir()
    began = time.perf_counter()
    with started_mlflow_server(place):
        return time.perf_counter() - began


def _venv(place: Path) -> Iterator[Sample]:
    number = 0
    while True:
        number += 1
        clone = place / f"clone-{number}"
        git("clone", "--quiet", "--no-hardlinks", str(ROOT), str(clone))
        yield Sample(_run(clone, "make", ".venv/ready"), _run(clone, "python3", "-m", "venv", "empty"))


def _run(clone: Path, *command: str) -> float:
    """Run it with empty caches of pip and uv."""
    began = time.perf_counter()
    environment = {**os.environ, "XDG_CACHE_HOME": str(clone / "cache")}
    subprocess.run(command, cwd=clone, env=environment, check=True, timeout=SETUP_SECONDS, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


ROWS = [
    Row("up", "`make up` until it is ready", "s", "MLflow's own server", folder, _up, samples=5, warm_up=1),
    Row("venv", ".venv in a fresh clone, empty cache", "s", "an empty .venv", folder, _venv, samples=1, warm_up=0),
]
