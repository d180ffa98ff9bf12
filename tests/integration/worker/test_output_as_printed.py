"""What a training prints is in its log while it runs, though Python holds back what it prints into a pipe."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers.git_server import GitServer
from tests.support.servers.valkey import running_valkey
from tests.support.servers.worker import WorkerProcess, worker_process
from tests.support.waiting import wait_until

PROJECT = "name: slow\nentry_points:\n  main:\n    command: exec python train.py\n"
TRAIN = "import time\nprint('epoch 1')\ntime.sleep(600)\n"


@pytest.fixture
def worker(tmp_path: Path, mlflow_url: str) -> Iterator[WorkerProcess]:
    with running_valkey() as valkey:
        options = {"GIT_SCHEMES": "http", "GIT_HOSTS": "127.0.0.1"}
        with worker_process(tmp_path, redis_url=valkey.url, tracking_uri=mlflow_url, **options) as started:
            yield started


def test_a_line_is_in_the_log_while_training_goes_on(worker: WorkerProcess, tmp_path: Path) -> None:
    with GitServer(tmp_path / "git") as server:
        server.create("slow", {"MLproject": PROJECT, "train.py": TRAIN})
        job = worker.submit(git_uri=server.url("slow"))
        wait_until(lambda: b"epoch 1" in log_of(worker, job.id), timeout_seconds=60, what="the first line")
        assert worker.store.get(job.id).state == "running"
        worker.store.cancel(job.id, force=True)
        worker.ended(job)


def log_of(worker: WorkerProcess, job_id: str) -> bytes:
    """What is kept of it so far."""
    if not worker.store.get(job_id).attempts:
        return b""
    return worker.store.read_log(job_id, attempt=None, offset=0, limit=10**6).data
