"""Real Flower with a real worker: who gets in, what it shows of a job, and what it remembers when it is ended."""

import html
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient
from redis import Redis

from api.app import create_app
from shared.jobs.model import Job
from tests.support.jobs import FAILED, claimed
from tests.support.network.ports import free_port
from tests.support.servers.git_server import GitServer
from tests.support.servers.valkey import Valkey, running_valkey
from tests.support.servers.worker import CHECKOUT, PASSED_ON, WorkerProcess, worker_process
from tests.support.waiting import wait_until

READY_SECONDS = 60
STOP_SECONDS = 20
SAVE_SECONDS, SAVED_NS = 3.0, 10**9
NEVER_SECONDS = 3600
AUTH = ("operator", "flower-password")
USERNAME, TOKEN = "retrain-bot", "ghp_hunter2hunter2"
PROJECT = "name: tiny\nentry_points:\n  main:\n    command: echo trained\n"


@dataclass
class Flower:
    """A Flower whose history is in its folder."""

    folder: Path
    redis_url: str
    url: str
    process: "subprocess.Popen[bytes] | None" = None

    def start(self, *, save_seconds: float, **variables: str) -> None:
        """Start it and wait until it answers, or has ended."""
        kept = {name: value for name, value in os.environ.items() if name in PASSED_ON}
        ours = {"PYTHONPATH": str(CHECKOUT), "DATA_DIR": str(self.folder / "data"), "FLOWER_URL": self.url}
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "flower.log").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "deploy.flower_dashboard", f"--save-seconds={save_seconds}"],
                cwd=self.folder,
                env={**kept, **ours, "REDIS_URL": self.redis_url, **variables},
                stdout=output,
                stderr=output,
            )
        wait_until(lambda: self.answers() or self.has_ended(), timeout_seconds=READY_SECONDS, what="Flower's answer")

    def answers(self) -> bool:
        """Whether it serves."""
        try:
            return requests.get(f"{self.url}/healthcheck", timeout=5).ok
        except requests.ConnectionError:
            return False

    def has_ended(self) -> bool:
        """Whether its process is gone."""
        return self.process is None or self.process.poll() is not None

    def end(self, number: signal.Signals) -> None:
        """Send it a signal, and wait for its end."""
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(STOP_SECONDS)

    def task(self, job: Job) -> requests.Response:
        """The job's page."""
        return requests.get(f"{self.url}/task/{job.id}", auth=AUTH, timeout=10)

    def shows_success(self, job: Job) -> bool:
        """Whether the job's page is there, and says that it succeeded."""
        page = self.task(job)
        return page.ok and "SUCCESS" in page.text

    def knows(self, job: Job) -> str:
        """The state in which it shows the job; empty if it does not know it."""
        answer = requests.get(f"{self.url}/api/task/info/{job.id}", auth=AUTH, timeout=10)
        return str(answer.json()["state"]) if answer.ok else ""

    def read_task(self, job: Job) -> dict[str, Any]:
        """What its API says of the task."""
        answer = requests.get(f"{self.url}/api/task/info/{job.id}", auth=AUTH, timeout=10)
        assert answer.ok, answer.text
        return dict(answer.json())


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    with running_valkey() as server:
        yield server


@pytest.fixture(scope="module")
def git_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    with GitServer(tmp_path_factory.mktemp("git"), USERNAME, TOKEN) as server:
        server.create("tiny", {"MLproject": PROJECT})
        server.create("long", {"MLproject": PROJECT.replace("echo trained", "exec sleep 600")})
        yield server


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory, valkey: Valkey, mlflow_url: str) -> Iterator[WorkerProcess]:
    options = {"GIT_SCHEMES": "http", "GIT_HOSTS": "127.0.0.1", "FLOWER_URL": f"http://127.0.0.1:{free_port()}"}
    folder = tmp_path_factory.mktemp("worker")
    with worker_process(folder, redis_url=valkey.url, tracking_uri=mlflow_url, **options) as started:
        yield started


@pytest.fixture
def flower(tmp_path: Path, valkey: Valkey, worker: WorkerProcess) -> Iterator[Flower]:
    """Flower at the address that the worker's settings name; not started yet."""
    made = Flower(tmp_path / "flower", valkey.url, worker.settings.flower_url)
    yield made
    if not made.has_ended():
        made.end(signal.SIGKILL)


def start(flower: Flower, *, save_seconds: float = NEVER_SECONDS) -> None:
    with Redis.from_url(flower.redis_url) as redis:
        before = redis.pubsub_numpat()
        flower.start(save_seconds=save_seconds, FLOWER_BASIC_AUTH=":".join(AUTH))
        assert not flower.has_ended(), (flower.folder / "flower.log").read_text()
        # It answers before it listens to events, and never hears of those that it missed.
        wait_until(lambda: redis.pubsub_numpat() > before, timeout_seconds=30, what="Flower that listens to events")


def client_of(worker: WorkerProcess) -> FlaskClient:
    settings = worker.settings
    return create_app(settings, store=worker.store, queue=worker.queue, vault=settings.vault()).test_client()


def post(worker: WorkerProcess, git_server: GitServer, repository: str = "tiny") -> Job:
    """Ask the service to train a private repository."""
    git_uri = git_server.url(repository, with_credentials=True)
    body = {"experiment_name": "flowers", "model_name": "iris-classifier", "git_uri": git_uri}
    accepted = client_of(worker).post("/retrain", json=body)
    assert accepted.json, accepted.text
    return worker.store.get(accepted.json["id"])


def train(worker: WorkerProcess, git_server: GitServer) -> tuple[Job, dict[str, Any]]:
    """Have the service train a private repository; the job's record, and what the API says of it."""
    job = worker.ended(post(worker, git_server))
    assert job.state == "succeeded", job
    return job, dict(client_of(worker).get(f"/jobs/{job.id}").json or {})


def test_without_a_password_it_does_not_start(flower: Flower) -> None:
    flower.start(save_seconds=NEVER_SECONDS)
    assert flower.process is not None
    assert flower.process.returncode == 1
    assert "Set FLOWER_BASIC_AUTH to user:password" in (flower.folder / "flower.log").read_text()


def test_it_shows_what_a_job_trained_under_the_jobs_id_to_who_has_the_password_and_no_token(
    flower: Flower, worker: WorkerProcess, git_server: GitServer
) -> None:
    start(flower)
    job, answered = train(worker, git_server)
    url = answered["links"]["flower"]
    assert url == f"{flower.url}/task/{job.id}"
    for auth in (None, ("operator", "wrong"), ("admin", "admin")):
        assert requests.get(url, auth=auth, timeout=10).status_code == 401
        assert requests.get(f"{flower.url}/api/tasks", auth=auth, timeout=10).status_code == 401
    wait_until(lambda: flower.shows_success(job), timeout_seconds=20, what="the task's page")

    facts = {
        "job_id": job.id,
        "experiment_name": "flowers",
        "model_name": "iris-classifier",
        "git_uri": git_server.url("tiny"),
        "commit": "main",
    }
    assert flower.read_task(job)["kwargs"] == str(facts)
    assert flower.read_task(job)["name"] == "iris-classifier main"
    assert str(facts) in html.unescape(flower.task(job).text)
    flower.end(signal.SIGTERM)
    everything = [path.read_bytes() for path in flower.folder.rglob("*") if path.is_file()]
    assert [content for content in everything if job.id.encode() in content]
    assert [content for content in everything if TOKEN.encode() in content or AUTH[1].encode() in content] == []


def test_after_it_was_stopped_it_still_knows_the_job(
    flower: Flower, worker: WorkerProcess, git_server: GitServer
) -> None:
    start(flower)
    job, _ = train(worker, git_server)
    wait_until(lambda: flower.shows_success(job), timeout_seconds=20, what="the task's page")
    before = flower.read_task(job)
    flower.end(signal.SIGTERM)
    start(flower)
    assert flower.shows_success(job)
    assert flower.read_task(job) == before


def test_after_it_was_killed_it_knows_what_it_had_saved(
    flower: Flower, worker: WorkerProcess, git_server: GitServer
) -> None:
    start(flower, save_seconds=SAVE_SECONDS)
    job, _ = train(worker, git_server)
    wait_until(lambda: flower.shows_success(job), timeout_seconds=20, what="the task's page")
    seen_at = time.time_ns()
    # Not while it saves: it writes its file anew each time.
    wait_until(lambda: seen_at < saved_at(flower) < time.time_ns() - SAVED_NS, what="Flower's next save")
    flower.end(signal.SIGKILL)
    start(flower)
    assert flower.shows_success(job)


@pytest.mark.parametrize("button", ["revoke?terminate=false", "revoke?terminate=true&signal=SIGKILL"])
def test_its_revoke_button_cancels_a_job_that_trains(
    flower: Flower, worker: WorkerProcess, git_server: GitServer, button: str
) -> None:
    start(flower)
    job = post(worker, git_server, "long")
    wait_until(lambda: worker.store.get(job.id).state == "running", timeout_seconds=60, what="a training")
    press(flower, job, button)
    assert worker.ended(job).state == "cancelled"


def test_its_revoke_button_cancels_jobs_that_wait(flower: Flower, worker: WorkerProcess) -> None:
    start(flower)
    queued = worker.submit(git_uri="https://git.example/tiny.git", queue="nobody's")
    claim = claimed(worker.store)
    wakes = worker.store.finish(claim, replace(FAILED, retry_in_seconds=3600))
    for job in (queued, wakes):
        press(flower, job, "revoke")
        wait_until(partial(is_cancelled, worker, job), what="a cancelled job")


def test_a_job_that_is_cancelled_over_http_while_it_waits_is_shown_as_revoked(
    flower: Flower, worker: WorkerProcess, git_server: GitServer
) -> None:
    start(flower)
    trains, waits = post(worker, git_server, "long"), post(worker, git_server, "long")  # of one model: one at a time
    wait_until(lambda: flower.knows(waits) == "RECEIVED", timeout_seconds=60, what="a job that waits")
    workers = requests.get(f"{flower.url}/workers?json=1", auth=AUTH, timeout=10).json()
    for job in (waits, trains):
        assert client_of(worker).post(f"/jobs/{job.id}/cancel").status_code == 202
        wait_until(partial(shows_as_revoked, flower, job), timeout_seconds=30, what="a revoked task")
    after = requests.get(f"{flower.url}/workers?json=1", auth=AUTH, timeout=10).json()
    assert [each["hostname"] for each in after["data"]] == [each["hostname"] for each in workers["data"]]


def shows_as_revoked(flower: Flower, job: Job) -> bool:
    """Whether it says so under the job's name."""
    return flower.knows(job) == "REVOKED" and flower.read_task(job)["name"] == "iris-classifier main"


def is_cancelled(worker: WorkerProcess, job: Job) -> bool:
    """Whether the record and Celery's result say so."""
    return worker.store.get(job.id).state == "cancelled" and str(worker.celery.AsyncResult(job.id).state) == "REVOKED"


def test_its_revoke_button_leaves_what_has_ended_as_it_is(
    flower: Flower, worker: WorkerProcess, git_server: GitServer
) -> None:
    start(flower)
    job, _ = train(worker, git_server)
    press(flower, job, "revoke")
    again, _ = train(worker, git_server)
    assert [worker.store.get(each.id).state for each in (job, again)] == ["succeeded", "succeeded"]
    assert "revoke not followed" in worker.log


def press(flower: Flower, job: Job, button: str) -> None:
    """Press a button of the job's page."""
    name, _, query = button.partition("?")
    answer = requests.post(f"{flower.url}/api/task/{name}/{job.id}?{query}", auth=AUTH, timeout=30)
    assert answer.ok, answer.text


def saved_at(flower: Flower) -> int:
    return max((path.stat().st_mtime_ns for path in (flower.folder / "data").glob("flower.db*")), default=0)
