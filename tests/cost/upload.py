"""What the guard costs an artifact: the same file, put through it and past it in turn.

Through it is to trainings' port of our MLflow server, where the guard is; past it is to an MLflow server without ours.
With ``process``, the guard is the process before that server which somebody else's needs.
"""

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests
from mlflow.tracking import MlflowClient

from mypackage.protocol import ATTEMPT_TAG, JOB_TAG
from tests.cost.tables import pair_titles, paired, say
from tests.support.servers.mlflow_guard import running_guard, token_of
from tests.support.servers.mlflow_server import MlflowServer
from tests.support.servers.own_mlflow import running_own_mlflow

FILES = "/api/2.0/mlflow-artifacts/artifacts"
MEGABYTE = 10**6
PUT_SECONDS = 300


def measure(folder: Path, rounds: int, megabytes: int, *, process: bool = False) -> None:
    """Print a row, and what our processes computed for one upload."""
    with ExitStack() as at_end:
        (folder / "plain").mkdir()
        plain = MlflowServer(folder / "plain")
        at_end.callback(plain.stop)
        plain.start()
        if process:
            guard = at_end.enter_context(running_guard(plain.url))
            ours = _Side(guard.url, plain.url, folder / "plain/artifacts")
        else:
            (folder / "own").mkdir()
            own = at_end.enter_context(running_own_mlflow(folder / "own"))
            guard = own.guard
            ours = _Side(guard.url, own.url, folder / "own")
        theirs = _Side(plain.url, plain.url, folder / "plain/artifacts")
        before = cpu_seconds(guard.pid)
        found: dict[str, list[float]] = {ours.url: [], theirs.url: []}
        for number in range(rounds + 1):
            for side in (ours, theirs) if number % 2 else (theirs, ours):
                found[side.url].append(side.put(megabytes))
        taken = (cpu_seconds(guard.pid) - before) / (rounds + 1)
        pair_titles()
        paired(f"upload of {megabytes} MB", found[ours.url][1:], found[theirs.url][1:])  # the first ones warm up
        whose = "guard's process" if process else "our server's process, MLflow included,"
        say(f"\nCPU of the {whose} for one: {taken:.2f} s")


@dataclass(frozen=True)
class _Side:
    """Where files are put, where people find the run, and the folder that the files are kept in."""

    url: str
    people_url: str
    kept: Path

    def put(self, megabytes: int) -> float:
        """Return how long it takes."""
        run = MlflowClient(self.people_url).create_run("0", tags={JOB_TAG: "a", ATTEMPT_TAG: "1"}).info
        headers = {"Authorization": f"Bearer {token_of(run.run_id)}"} if self.url != self.people_url else {}
        place = f"{self.url}{FILES}/{run.experiment_id}/{run.run_id}/artifacts"
        return _put(f"{place}/{uuid.uuid4().hex}", headers, megabytes, self.kept)


def cpu_seconds(pid: int) -> float:
    """Return how long the process has computed so far, which others on the machine change little."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def _put(url: str, headers: dict[str, str], megabytes: int, kept: Path) -> float:
    os.sync()  # what the one before left to be written is not this one's
    begins = time.perf_counter()
    requests.put(url, data=_content(megabytes), headers=headers, timeout=PUT_SECONDS).raise_for_status()
    seconds = time.perf_counter() - begins
    for file in kept.rglob(url.rpartition("/")[2]):
        assert file.stat().st_size == megabytes * MEGABYTE
        file.unlink()
    return seconds


def _content(megabytes: int) -> Iterator[bytes]:
    part = os.urandom(MEGABYTE)
    for _ in range(megabytes):
        yield part
