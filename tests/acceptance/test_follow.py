"""Somebody follows a log while the worker and the API are ended: every line once, in order."""

import random
import signal
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Page

from shared.jobs.model import Job, JobState
from shared.jobs.records import Ending
from shared.sql import SqlStore
from tests.acceptance.support.projects import mlproject, repository
from tests.support.engines import docker_or_skip
from tests.support.event_stream import follow_log
from tests.support.jobs import running as training
from tests.support.network.ports import free_port
from tests.support.servers.api_server import ApiServer, running_api
from tests.support.servers.mlflow_server import running_mlflow_server
from tests.support.servers.stack import HOST_LABEL, remove_container
from tests.support.servers.valkey import Valkey, running_valkey
from tests.support.servers.worker import WorkerProcess, worker_process
from tests.support.waiting import wait_until

LAST = 20_000
COUNT = f"i=0; while [ $i -lt {LAST} ]; do i=$((i+1)); echo $i; [ $((i % 100)) -gt 0 ] || sleep 0.25; done"
KILLS = 6
TIMEOUT_SECONDS = 180


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    with running_valkey() as server:
        yield server


@pytest.fixture
def worker(valkey: Valkey, tmp_path: Path) -> Iterator[WorkerProcess]:
    """A worker that trains in containers of the machine's own engine."""
    engine = docker_or_skip()
    for folder in ("mlflow", "worker"):
        (tmp_path / folder).mkdir()
    with (
        running_mlflow_server(tmp_path / "mlflow") as mlflow_url,
        worker_process(tmp_path / "worker", redis_url=valkey.url, tracking_uri=mlflow_url, RUNNER="docker") as started,
    ):
        try:
            yield started
        finally:
            for container in engine.containers.list(
                all=True, ignore_removed=True, filters={"label": f"{HOST_LABEL}={started.host}"}
            ):
                remove_container(container)
            engine.close()


@pytest.fixture
def api(valkey: Valkey, worker: WorkerProcess, tmp_path: Path) -> Iterator[ApiServer]:
    """An API on the worker's job store."""
    (tmp_path / "api").mkdir()
    with running_api(tmp_path / "api", REDIS_URL=valkey.url, DATABASE_URL=worker.settings.store_url) as server:
        yield server


def end_worker(worker: WorkerProcess, number: signal.Signals) -> None:
    worker.stop(number)
    worker.start()


def end_api(api: ApiServer, number: signal.Signals) -> None:
    assert api.process is not None
    processes = [psutil.Process(api.process.pid), *psutil.Process(api.process.pid).children()]
    for process in processes if number is signal.SIGKILL else processes[:1]:
        process.send_signal(number)
    api.process.wait(10)
    api.launch()
    wait_until(api.answers, what="the API's answer")


def wait_for_output(worker: WorkerProcess, job: Job, *, more_bytes: int) -> None:
    size = len(worker.output(job)) + more_bytes
    wait_until(lambda: len(worker.output(job)) >= size, what="more output")


def test_a_follower_reads_every_line_once_while_worker_and_api_are_ended_at_random(
    worker: WorkerProcess, api: ApiServer, tmp_path: Path
) -> None:
    job = worker.submit(git_uri=repository(tmp_path / "project", {"MLproject": mlproject(COUNT)}))
    seed = uuid.uuid4().int
    sys.stdout.write(f"seed {seed}\n")
    chance = random.Random(seed)  # noqa: S311 - no secret
    with ThreadPoolExecutor(1) as threads:
        following = threads.submit(follow_log, f"{api.url}/jobs/{job.id}/logs", seconds=TIMEOUT_SECONDS)
        wait_until(lambda: worker.output(job), what="output of the training")
        for number in range(KILLS):
            wait_for_output(worker, job, more_bytes=chance.randrange(1, 5000))
            how = chance.choice([signal.SIGTERM, signal.SIGKILL])
            end_api(api, how) if number % 2 else end_worker(worker, how)
            assert worker.store.get(job.id).state is JobState.RUNNING
        text = following.result(timeout=TIMEOUT_SECONDS)
    assert text == "".join(f"{number}\n" for number in range(1, LAST + 1))
    ended = worker.ended(job)
    assert (ended.state, len(ended.attempts)) == (JobState.SUCCEEDED, 1)


BROWSER = """url => {
    window.log = []
    const source = new EventSource(url)
    source.onmessage = event => window.log.push(...event.data.split("\\n"))
    source.addEventListener("end", event => {
        source.close()
        window.end = JSON.parse(event.data)
    })
}"""


def test_a_browser_goes_on_by_itself_after_a_restart_of_the_api(page: Page, tmp_path: Path) -> None:
    with running_api(tmp_path, REDIS_URL=f"redis://127.0.0.1:{free_port()}/0") as api:
        store = SqlStore(f"sqlite:///{tmp_path / 'jobs.db'}")
        claim = training(store)
        page.goto(f"{api.url}/healthz")  # any page of the same origin
        page.evaluate(BROWSER, f"/jobs/{claim.job.id}/logs")
        store.append_log(claim, "one\n∑ two\n".encode(), source_offset=0)
        page.wait_for_function("window.log.length == 2")
        end_api(api, signal.SIGKILL)
        store.append_log(claim, b"three\n", source_offset=0)
        store.finish(claim, Ending(JobState.SUCCEEDED))
        store.close()
        page.wait_for_function("window.end")
        assert page.evaluate("window.log") == ["one", "∑ two", "three"]
        assert page.evaluate("window.end") == {"state": "succeeded", "attempts": 1}
