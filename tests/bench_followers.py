"""What 50 followers of one log cost the API: its memory, and the time of GET /jobs/<id>."""

import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path

import psutil
import requests

from shared.jobs import JobState
from shared.sql import SqlStore
from shared.store import Claim, Ending
from tests.support.api_server import ApiServer, running_api
from tests.support.event_stream import follow_log
from tests.support.jobs import running
from tests.support.ports import free_port

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
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with running_api(folder, REDIS_URL=f"redis://127.0.0.1:{free_port()}/0") as api:
            store = SqlStore(f"sqlite:///{folder / 'jobs.db'}")
            claim = running(store)
            with _printing(store, claim):
                alone = _cost(api, claim)
                url, ready = f"{api.url}/jobs/{claim.job.id}/logs", get_context("spawn").Event()
                followers = get_context("spawn").Process(target=_follow, args=(url, ready), daemon=True)
                followers.start()
                ready.wait(60)
                time.sleep(2)  # for all to have caught up
                followed = _cost(api, claim)
            store.finish(claim, Ending(JobState.SUCCEEDED))
            followers.join(60)
            store.close()
    return followed, alone


def _follow(url: str, ready: Event) -> None:
    with ThreadPoolExecutor(FOLLOWERS) as threads:
        texts = [threads.submit(follow_log, url, seconds=120) for _ in range(FOLLOWERS)]
        ready.set()
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
