"""Submitting while jobs train: at once, without a gap in the answers, and never more trainings than slots."""

import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.acceptance.conftest import SLOTS
from tests.acceptance.support.projects import WAIT_FOR_GO, let_go, mlproject, repository
from tests.support.engines import docker_or_skip
from tests.support.servers.stack import HOST_LABEL, Stack

REQUESTS = 10
ALL_ACCEPTED_SECONDS = 1.0
ANSWER_SECONDS = 1.0
SAMPLE_SECONDS = 0.05


@dataclass
class Samples:
    """What was seen, again and again, while the jobs went on."""

    running_containers: Counter[int] = field(default_factory=Counter)
    training_jobs: Counter[int] = field(default_factory=Counter)
    answers: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


@contextmanager
def sampling(stack: Stack, job: dict[str, Any]) -> Iterator[Samples]:
    """Ask for one job, for all that train, and for the running containers, until the end of the block."""
    samples, stop = Samples(), threading.Event()
    threads = [threading.Thread(target=each, args=(stack, job, samples, stop)) for each in (_ask, _count)]
    for thread in threads:
        thread.start()
    try:
        yield samples
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _ask(stack: Stack, job: dict[str, Any], samples: Samples, stop: threading.Event) -> None:
    while not stop.wait(SAMPLE_SECONDS):
        before = time.monotonic()
        try:
            answer = requests.get(f"{stack.urls['api']}/jobs/{job['id']}", timeout=5)
        except requests.RequestException as error:
            samples.failures.append(str(error))
            continue
        samples.answers.append(time.monotonic() - before)
        if answer.status_code != 200 or answer.json()["id"] != job["id"]:
            samples.failures.append(answer.text)


def _count(stack: Stack, _job: dict[str, Any], samples: Samples, stop: threading.Event) -> None:
    client = docker_or_skip()
    while not stop.wait(SAMPLE_SECONDS):
        # The low-level call: it asks the engine once, and not once more for each container, which may be gone by then.
        found = client.api.containers(filters={"label": f"{HOST_LABEL}={stack.host}"})
        samples.running_containers[len(found)] += 1
        busy = stack.get("/jobs", state="starting,running", limit=100).json()["jobs"]
        samples.training_jobs[len(busy)] += 1
    client.close()


def post_at_once(stack: Stack, bodies: list[dict[str, Any]]) -> tuple[list[requests.Response], float]:
    """Send all of them at the same moment; the answers, and the time that it took in all."""
    barrier = threading.Barrier(len(bodies) + 1)

    def post(body: dict[str, Any]) -> requests.Response:
        barrier.wait(10)
        return requests.post(f"{stack.urls['api']}/retrain", json=body, timeout=30)

    with ThreadPoolExecutor(len(bodies)) as pool:
        pending = [pool.submit(post, body) for body in bodies]
        barrier.wait(10)
        before = time.monotonic()
        answers = [each.result() for each in pending]
        return answers, time.monotonic() - before


def test_ten_requests_at_once_are_accepted_within_a_second_while_jobs_train(
    docker_stack: Stack, tmp_path: Path
) -> None:
    waiting = repository(tmp_path / "waiting", {"MLproject": mlproject(WAIT_FOR_GO)})
    short = repository(tmp_path / "short", {"MLproject": mlproject("sleep 0.5")})

    def body(git_uri: str) -> dict[str, Any]:
        return {"experiment_name": "load", "git_uri": git_uri, "concurrency_key": uuid.uuid4().hex}

    training = [docker_stack.post(body(waiting)) for _ in range(SLOTS)]
    for job in training:
        docker_stack.wait_running(job)
    with sampling(docker_stack, training[0]) as samples:
        answers, seconds = post_at_once(docker_stack, [body(short) for _ in range(REQUESTS)])
        assert [answer.status_code for answer in answers] == [202] * REQUESTS
        jobs = [answer.json() for answer in answers]
        assert {docker_stack.job(job)["state"] for job in jobs} == {"queued"}  # all slots are taken
        for container in docker_stack.containers():
            let_go(container)
        ended = [docker_stack.wait(job) for job in [*training, *jobs]]
    assert seconds < ALL_ACCEPTED_SECONDS
    assert len({job["id"] for job in jobs}) == REQUESTS
    assert {job["state"] for job in ended} == {"succeeded"}
    assert samples.failures == []
    assert max(samples.answers) < ANSWER_SECONDS
    assert max(samples.running_containers) == SLOTS
    assert max(samples.training_jobs) == SLOTS
