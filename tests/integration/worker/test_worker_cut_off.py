"""A real worker that starts while its database is away: what trains on its host must not go on unseen."""

import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from shared.jobs.model import JobState
from tests.support.servers.git_repository import bare_repository
from tests.support.servers.mlflow_server import MlflowServer
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.valkey import running_valkey
from tests.support.servers.worker import WorkerProcess, on_host
from tests.support.waiting import wait_until

PROJECT = """\
name: tiny
entry_points:
  main:
    parameters: {gate: string}
    command: "until [ -e {gate} ]; do echo waiting; sleep 0.05; done; echo done"
"""


@pytest.fixture
def worker(tmp_path: Path, postgres_server: PostgresServer, postgresql_url: str) -> Iterator[WorkerProcess]:
    server = MlflowServer(tmp_path / "mlflow")
    server.folder.mkdir()
    options = {"HOST_LOST_AFTER_SECONDS": "6"}
    try:
        server.start()
        with (
            running_valkey() as valkey,
            on_host(WorkerProcess(tmp_path, valkey.url, server.url, options, postgresql_url)) as host,
        ):
            host.start()
            yield host
    finally:
        server.stop()


@pytest.fixture
def git_uri(tmp_path: Path) -> str:
    return bare_repository(tmp_path / "project.git", {"MLproject": PROJECT}).uri


def test_a_worker_that_starts_without_its_database_waits_for_it_and_freezes_what_trains(
    worker: WorkerProcess, postgres_server: PostgresServer, git_uri: str, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    job = worker.submit(git_uri=git_uri, parameters={"gate": str(gate)})
    training = worker.training(job)
    worker.stop(signal.SIGKILL)
    postgres_server.stop()
    left = worker.settings.data_dir / "scratch" / worker.host / "log-of-a-killed-worker"
    left.mkdir(parents=True)
    try:
        process = worker.launch()
        wait_until(lambda: training.status() == psutil.STATUS_STOPPED, timeout_seconds=30, what="frozen training")
        assert "waiting for the job store" in worker.log
        assert process.poll() is None
    finally:
        postgres_server.start()
    wait_until(lambda: training.status() != psutil.STATUS_STOPPED, timeout_seconds=30, what="training that goes on")
    gate.touch()

    ended = worker.ended(job)

    assert (ended.state, len(ended.attempts)) == (JobState.SUCCEEDED, 1)
    assert not left.exists()
