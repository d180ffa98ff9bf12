"""What the guard costs an artifact: the same file, put through it and past it in turn."""

import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import requests
from mlflow.tracking import MlflowClient

from mypackage.protocol import ATTEMPT_TAG, JOB_TAG
from tests.cost.tables import pair_titles, paired, say
from tests.support.servers.mlflow_guard import running_guard, token_of
from tests.support.servers.mlflow_server import MlflowServer

FILES = "/api/2.0/mlflow-artifacts/artifacts"
MEGABYTE = 10**6
PUT_SECONDS = 300


def measure(folder: Path, rounds: int, megabytes: int) -> None:
    """Print a row."""
    server = MlflowServer(folder)
    server.start()
    try:
        with running_guard(server.url) as guard:
            run = MlflowClient(server.url).create_run("0", tags={JOB_TAG: "a", ATTEMPT_TAG: "1"})
            headers = {"Authorization": f"Bearer {token_of(run.info.run_id)}"}
            place = f"{FILES}/{run.info.experiment_id}/{run.info.run_id}/artifacts"
            ours: list[float] = []
            theirs: list[float] = []
            before = cpu_seconds(guard.pid)
            for number in range(rounds + 1):
                sides = [(f"{guard.url}{place}", headers, ours), (f"{server.url}{place}", {}, theirs)]
                for url, sent, found in sides if number % 2 else reversed(sides):
                    found.append(_put(f"{url}/{uuid.uuid4().hex}", sent, megabytes, folder / "artifacts"))
            taken = (cpu_seconds(guard.pid) - before) / (rounds + 1)
        pair_titles()
        paired(f"upload of {megabytes} MB", ours[1:], theirs[1:])  # the first ones warm up
        say(f"\nCPU of the guard for one: {taken:.2f} s")
    finally:
        server.stop()


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
