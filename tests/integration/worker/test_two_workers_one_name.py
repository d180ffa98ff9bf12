"""Real workers that have one WORKER_HOST: on two machines, of which each is a DATA_DIR here, and on the same one."""

import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

from shared.jobs.model import Job, JobState
from shared.scheduling.hosts import Machine
from shared.sql.tables import workers
from tests.support.servers.git_repository import bare_repository
from tests.support.servers.mlflow_server import MlflowServer, started_mlflow_server
from tests.support.servers.valkey import Valkey, running_valkey
from tests.support.servers.worker import WorkerProcess, on_host
from tests.support.waiting import wait_until

PROJECT = """\
name: tiny
entry_points:
  main:
    parameters: {gate: string}
    command: "until [ -e {gate} ]; do echo waiting; sleep 0.05; done; echo done"
"""
SWEEPS_SECONDS = 3  # several, and the lease is over by then


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    with running_valkey() as server:
        yield server


@pytest.fixture(scope="module")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    with started_mlflow_server(tmp_path_factory.mktemp("mlflow-of-one-name")) as server:
        yield server


@pytest.fixture
def first(tmp_path: Path, valkey: Valkey, mlflow_server: MlflowServer) -> Iterator[WorkerProcess]:
    """The machine that has the name, and trains."""
    folder = tmp_path / "first"
    folder.mkdir()
    with on_host(WorkerProcess(folder, valkey.url, mlflow_server.url)) as host:
        host.start()
        yield host


@pytest.fixture
def second(tmp_path: Path, first: WorkerProcess) -> Iterator[WorkerProcess]:
    """Its clone, which has everything but its DATA_DIR."""
    folder = tmp_path / "second"
    folder.mkdir()
    url = first.settings.store_url
    with on_host(WorkerProcess(folder, first.redis_url, first.tracking_uri, {}, url, host=first.host)) as host:
        yield host


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    return tmp_path / "gate"


@pytest.fixture
def job(first: WorkerProcess, tmp_path: Path, gate: Path) -> Job:
    uri = bare_repository(tmp_path / "project.git", {"MLproject": PROJECT}).uri
    job = first.submit(git_uri=uri, parameters={"gate": str(gate)})
    first.training(job)
    return job


def test_a_second_machine_of_a_name_is_refused_and_never_goes_on_with_the_firsts_training(
    first: WorkerProcess, second: WorkerProcess, job: Job, gate: Path
) -> None:
    refused = second.launch()
    assert refused.wait(90) == 1
    for each in (first, second):
        assert str(each.settings.data_dir) in second.log
    assert "in use by a live worker" in second.log
    training = first.training(job)
    assert training.status() != psutil.STATUS_STOPPED

    first.stop()  # it signs off, so the name is free
    second.start()
    wait_until(lambda: second.log.count("ready.") == 1)
    with pytest.raises(AssertionError):
        wait_until(lambda: len(second.store.get(job.id).transitions) > 3, timeout_seconds=SWEEPS_SECONDS)
    assert (second.in_state(job, JobState.RUNNING), training.is_running()) == (True, True)

    second.stop()
    first.start()
    gate.touch()
    ended = first.ended(job)
    assert (ended.state, len(ended.attempts)) == (JobState.SUCCEEDED, 1)


def test_a_worker_whose_name_went_to_another_machine_freezes_what_trains_and_stops(
    first: WorkerProcess, job: Job
) -> None:
    training = first.training(job)
    take_name(first)

    wait_until(lambda: training.status() == psutil.STATUS_STOPPED, timeout_seconds=10, what="a frozen training")
    assert first.ended_with() == 1
    assert "another machine has its name" in first.log
    assert first.store.get(job.id).lease_expires_at is None


def take_name(worker: WorkerProcess) -> None:
    """A clone takes the name, as if the worker had been cut off for so long."""
    clone = Machine("another", None, "a clone")
    with worker.store.writing() as transaction:
        values = {"machine": clone.id, "machine_says": clone.says, "machine_since": transaction.now}
        transaction.execute(sa.update(workers).values(seen_at=transaction.now, **values))


def test_a_worker_that_replaces_another_on_its_machine_waits_for_its_end_and_goes_on(
    first: WorkerProcess, job: Job, gate: Path
) -> None:
    old = first.process
    new = first.launch()
    wait_until(lambda: "waiting for the end of another worker here" in first.log, timeout_seconds=30)
    old.send_signal(signal.SIGTERM)
    assert old.wait(10) == 0
    wait_until(lambda: first.log.count("ready.") == 2, timeout_seconds=30)
    assert new.poll() is None
    gate.touch()
    ended = first.ended(job)
    assert (ended.state, len(ended.attempts)) == (JobState.SUCCEEDED, 1)
