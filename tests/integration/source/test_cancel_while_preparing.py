"""A real worker whose git host takes requests and answers none: what ends the wait, and what is left of it."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from shared.errors import Code
from shared.jobs.model import Job, JobState
from tests.support.servers.git_repository import bare_repository
from tests.support.servers.git_server import GitServer
from tests.support.servers.mlflow_server import started_mlflow_server
from tests.support.servers.valkey import running_valkey
from tests.support.servers.worker import WorkerProcess, worker_process
from tests.support.waiting import wait_until

PROJECT = {"MLproject": "name: tiny\nentry_points:\n  main: {command: 'echo trained'}\n"}
MOST_SECONDS = 2.0
BUSY_SECONDS = 4.0  # a machine that runs tests may be that much slower
OPTIONS = {"GIT_SCHEMES": "http", "GIT_HOSTS": "127.0.0.1"}


@pytest.fixture
def git_host(tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path / "repositories") as server:
        bare_repository(server.root / "tiny.git", PROJECT)
        server.behaviour.hang = True
        yield server


@pytest.fixture
def worker(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    with (
        running_valkey() as valkey,
        started_mlflow_server(tmp_path_factory.mktemp("mlflow-of-a-cancel")) as mlflow,
        worker_process(tmp_path / "own", redis_url=valkey.url, tracking_uri=mlflow.url, **OPTIONS) as started,
    ):
        yield started


def test_a_fetch_ends_with_a_cancel_and_with_the_worker_and_goes_on_under_the_next_one(
    worker: WorkerProcess, git_host: GitServer
) -> None:
    cancelled = fetching(worker, git_host)
    worker.store.cancel(cancelled.id, force=False)
    ended = worker.ended(cancelled)
    assert (ended.state, ended.reason and ended.reason.code) == (JobState.CANCELLED, Code.USER_CANCELLED)
    *_, asked, end = ended.transitions
    assert (end.at - asked.at).total_seconds() < MOST_SECONDS + BUSY_SECONDS
    assert gits(worker) == []

    stopped = fetching(worker, git_host)
    worker.process.terminate()
    wait_until(
        lambda: worker.store.get(stopped.id).lease_expires_at is None, timeout_seconds=MOST_SECONDS + BUSY_SECONDS
    )
    assert worker.process.wait(60) == 0
    assert worker.store.get(stopped.id).state is JobState.STARTING
    assert gits(worker) == []
    assert list((worker.settings.data_dir / "mirrors").rglob("tmp_*")) == []

    git_host.behaviour.hang = False
    worker.start()
    ended = worker.ended(stopped)
    assert (ended.state, len(ended.attempts)) == (JobState.SUCCEEDED, 1)
    wait_until(lambda: not worker.leftovers())


def gits(worker: WorkerProcess) -> list[list[str]]:
    """The command lines of git that name the worker's folder."""
    lines = [each.info["cmdline"] or [] for each in psutil.process_iter(["cmdline"])]
    mirrors = str(worker.settings.data_dir / "mirrors")
    return [line for line in lines if any(mirrors in word for word in line)]


def fetching(worker: WorkerProcess, git_host: GitServer) -> Job:
    """A job whose source is being fetched."""
    before = len(git_host.requests)
    job = worker.submit(git_uri=git_host.url("tiny"))
    wait_until(lambda: len(git_host.requests) > before, timeout_seconds=30, what="a fetch")
    assert gits(worker) != []
    return job
