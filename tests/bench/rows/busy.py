"""What trainings and clients that poll cost whoever submits: the slowest answers, beside those of an idle service."""

import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.synchronize import Event as StopEvent
from typing import Any

import requests

from tests.acceptance.support.projects import GO, let_go, mlproject, repository
from tests.bench.http_client import connected, request
from tests.bench.row import Row
from tests.bench.rows.jobs import Work, working
from tests.bench.samples import Sample

TRAININGS = 2
CLIENTS = 50
POLL_SECONDS = 1.0
ROUNDS = 300
PAUSE_SECONDS = 0.02  # between two submits, so that the figure is of an answer and not of a queue
SETTLE_SECONDS = 3.0  # until all clients have begun
NOBODYS_QUEUE = "of-nobody"  # what is submitted to be measured must not be trained
# It prints as a training does, and computes nothing: the processors that a training takes are no cost of the service.
PRINTING = f"while [ ! -e {GO} ]; do echo epoch 1: loss 0.123456 accuracy 0.987654; sleep 0.1; done"


def _submit_busy(work: Work) -> Iterator[Sample]:
    training = repository(work.stack.folder.parent / "printing", {"MLproject": mlproject(PRINTING)})
    while True:
        alone = _slowest(work)
        with _busy(work, training):
            busy = _slowest(work)
        work.settle()
        yield Sample(busy * 1000, alone * 1000)


def _slowest(work: Work) -> float:
    """Seconds of the 99th percentile of POST /retrain, one client."""
    body = {"experiment_name": "bench", "git_uri": work.nothing, "queue": NOBODYS_QUEUE}
    message, times = request("/retrain", json.dumps(body).encode()), []
    with connected(work.stack.ports["api"]) as client:
        for _ in range(ROUNDS):
            times.append(client.ask(message))
            time.sleep(PAUSE_SECONDS)
    return sorted(times)[ROUNDS * 99 // 100]


@contextmanager
def _busy(work: Work, training: str) -> Iterator[None]:
    """Let jobs train, and clients poll them."""
    jobs = [work.stack.wait_running(work.submit(training)) for _ in range(TRAININGS)]
    spawn = get_context("spawn")
    stop = spawn.Event()
    urls = [f"{work.stack.urls['api']}/jobs/{job['id']}" for job in jobs]
    process = spawn.Process(target=_poll, args=(urls, stop), daemon=True)
    process.start()
    time.sleep(SETTLE_SECONDS)
    try:
        yield
    finally:
        stop.set()
        process.join(30)
    assert process.exitcode == 0, "the clients broke off"
    _end(work, jobs)


def _end(work: Work, jobs: list[dict[str, Any]]) -> None:
    for container in work.stack.containers():
        let_go(container)
    for job in jobs:
        work.ended(job)


def _poll(urls: list[str], stop: StopEvent) -> None:
    failed = list[BaseException]()
    clients = [threading.Thread(target=_be_client, args=(urls[n % len(urls)], stop, failed)) for n in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    if failed:
        raise failed[0]


def _be_client(url: str, stop: StopEvent, failed: list[BaseException]) -> None:
    try:
        with requests.Session() as session:
            while not stop.wait(random.uniform(0.5, 1.5) * POLL_SECONDS):  # noqa: S311 - not a secret
                session.get(url, timeout=60).raise_for_status()
    except requests.RequestException as error:
        failed.append(error)


WHAT = f"p99 of POST /retrain, {TRAININGS} train, {CLIENTS} poll"
ROWS = [Row("submit-busy", WHAT, "ms", "the idle service", working(TRAININGS), _submit_busy, samples=5, warm_up=1)]
