"""A worker ends while a container trains: the next one on that host adopts it, soon and without a gap in its log."""

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container

from shared.jobs.model import Job, JobState
from tests.acceptance.support.projects import GO, let_go, mlproject, repository
from tests.support.engines import docker_or_skip
from tests.support.servers.mlflow_server import running_mlflow_server
from tests.support.servers.stack import HOST_LABEL, remove_container
from tests.support.servers.valkey import running_valkey
from tests.support.servers.worker import LEASE_SECONDS, WorkerProcess, worker_process
from tests.support.waiting import wait_until

ROUNDS = 3
PROMISED_SECONDS = {signal.SIGTERM: 5, signal.SIGKILL: LEASE_SECONDS + 5}
NUMBERED_LINES = f"i=0; while [ ! -e {GO} ]; do i=$((i+1)); echo line $i; sleep 0.02; done; echo done"
NEW_LINES = 20


@pytest.fixture(scope="module")
def engine() -> Iterator[docker.DockerClient]:
    client = docker_or_skip()
    yield client
    client.close()


@pytest.fixture
def worker(engine: docker.DockerClient, tmp_path: Path) -> Iterator[WorkerProcess]:
    """A worker that trains in containers of the machine's own engine."""
    for folder in ("mlflow", "worker"):
        (tmp_path / folder).mkdir()
    with (
        running_valkey() as valkey,
        running_mlflow_server(tmp_path / "mlflow") as mlflow_url,
        worker_process(tmp_path / "worker", redis_url=valkey.url, tracking_uri=mlflow_url, RUNNER="docker") as started,
    ):
        try:
            yield started
        finally:
            for container in containers_of(engine, started):
                remove_container(container)


def containers_of(engine: docker.DockerClient, worker: WorkerProcess) -> list[Container]:
    found: list[Container] = engine.containers.list(
        all=True, ignore_removed=True, filters={"label": f"{HOST_LABEL}={worker.host}"}
    )
    return found


def numbers(worker: WorkerProcess, job: Job) -> list[str]:
    return worker.output(job).splitlines()


def end_and_adopt(worker: WorkerProcess, job: Job, number: signal.Signals) -> tuple[float, float]:
    """End the worker and start the next one: how long the end took, and the adoption once the next one is ready."""
    adoptions = worker.log.count("running job_id")
    began = time.monotonic()
    worker.stop(number)
    ended = time.monotonic()
    worker.start()  # a Python that imports everything takes its time, and much more of it on a busy machine
    ready = time.monotonic()
    wait_until(
        lambda: worker.log.count("running job_id") > adoptions,
        timeout_seconds=PROMISED_SECONDS[number],
        every_seconds=0.02,
        what=f"an adoption after {number.name}",
    )
    adopted = time.monotonic()
    seen = len(numbers(worker, job))
    wait_until(lambda: len(numbers(worker, job)) > seen + NEW_LINES, what="more of the log")
    return ended - began, adopted - ready


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_next_worker_adopts_the_container_within_the_promised_time(
    worker: WorkerProcess, engine: docker.DockerClient, tmp_path: Path, number: signal.Signals
) -> None:
    git_uri = repository(tmp_path / "project", {"MLproject": mlproject(NUMBERED_LINES)})
    job = worker.submit(git_uri=git_uri)
    wait_until(lambda: numbers(worker, job), what="output of the training")
    [container] = containers_of(engine, worker)

    times = [end_and_adopt(worker, job, number) for _ in range(ROUNDS)]
    container.reload()
    assert container.status == "running"
    let_go(container)
    ended = worker.ended(job)

    shown = ", ".join(f"{stop:.2f} + {adopt:.2f}" for stop, adopt in times)
    sys.stdout.write(f"{number.name}: end of the worker + adoption by the next one, in seconds: {shown}\n")
    assert (ended.state, len(ended.attempts), ended.attempt.container) == (JobState.SUCCEEDED, 1, container.id)
    *lines, last = numbers(worker, job)
    assert lines == [f"line {i}" for i in range(1, len(lines) + 1)]
    assert last == "done"
    wait_until(lambda: not containers_of(engine, worker), what="no container left")
