"""What 50 followers of one log cost the API: its memory, and the time of GET /jobs/<id>."""

import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from multiprocessing import get_context
from pathlib import Path

import psutil
import requests

from shared.jobs.model import JobState
from shared.jobs.records import Claim, Ending
from shared.sql import SqlStore
from tests.support.event_stream import follow_log
from tests.support.jobs import running
from tests.support.network.ports import free_port
from tests.support.servers.api_server import ApiServer, running_api
from tests.support.waiting import wait_until

FOLLOWERS = 50
ROUNDS = 200
LINES = b"".join(b"epoch %d: loss 0.123456 accuracy 0.987654\n" % number for number in range(20))
PRINT_SECONDS = 0.5


@dataclass(frozen=True)
class Cost:
    """What was measured."""

    get_seconds: float  # median
    pss_bytes: int


def costs() -> tuple[Cost, Cost]:
    """With 50 followers of a job that prints 40 lines a second, and of the same job with none."""
    settings = {"REDIS_URL": f"redis://127.0.0.1:{free_port()}/0", "API_FOLLOWERS": str(FOLLOWERS)}
    with tempfile.TemporaryDirectory() as name, running_api(Path(name), **settings) as api:
        store = SqlStore(f"sqlite:///{Path(name) / 'jobs.db'}")
        claim = running(store)
        url = f"{api.url}/jobs/{claim.job.id}/logs"
        with _printing(store, claim):
            alone = _cost(api, claim)
            followers = get_context("spawn").Process(target=_follow, args=(url,), daemon=True)
            followers.start()
            wait_until(lambda: _is_full(url), every_seconds=0.5, what="all followers")
            followed = _cost(api, claim)
        store.finish(claim, Ending(JobState.SUCCEEDED))
        store.close()
        followers.join(60)
        assert followers.exitcode == 0, "the followers broke off"
    return followed, alone


def _is_full(url: str) -> bool:
    with requests.get(f"{url}?follow=1", stream=True, timeout=30) as answer:
        return answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE


def _follow(url: str) -> None:
    with ThreadPoolExecutor(FOLLOWERS) as threads:
        texts = [threads.submit(follow_log, url, seconds=120) for _ in range(FOLLOWERS)]
        assert len({each.result() for each in texts}) == 1


@contextmanager
def _printing(store: SqlStore, claim: Claim) -> Iterator[None]:
    """Let the training print meanwhile."""
    done = threading.Event()

    def print_lines() -> None:
        while not done.wait(PRINT_SECONDS):
            store.append_log(claim, LINES, source_offset=0)

    with ThreadPoolExecutor(1) as thread:
        thread.submit(print_lines)
        try:
            yield
        finally:
            done.set()


def _cost(api: ApiServer, claim: Claim) -> Cost:
    assert api.process is not None
    times = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        requests.get(f"{api.url}/jobs/{claim.job.id}", timeout=30).raise_for_status()
        times.append(time.perf_counter() - begin)
        time.sleep(0.01)
    processes = [psutil.Process(api.process.pid), *psutil.Process(api.process.pid).children()]
    return Cost(statistics.median(times), sum(each.memory_full_info().pss for each in processes))
