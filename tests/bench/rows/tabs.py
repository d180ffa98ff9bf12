"""What 200 open pages cost a client of the API: the median of GET /jobs/<id> beside them, and without them."""

import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.synchronize import Event as StopEvent
from pathlib import Path

import requests

from shared.sql import SqlStore
from tests.bench.row import Options, Row
from tests.bench.samples import Sample
from tests.support.jobs import ended, submit
from tests.support.network.ports import free_port
from tests.support.servers.api_server import ApiServer, running_api

TABS = 200
ROUNDS = 300
PAUSE_SECONDS = 0.02
ASK_SECONDS = 5.0  # as live.js does
SUBMIT_SECONDS = 2.0  # so often something changes
SETTLE_SECONDS = 8.0


@contextmanager
def open_pages(_: Options) -> Iterator[ApiServer]:
    """Serve a list of 50 jobs, which changes every other second."""
    room = {"API_TABS": str(2 * TABS), "API_CONNECTIONS": "2000", "API_CONNECTIONS_PER_PEER": "2000"}
    nothing = {"REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}
    with tempfile.TemporaryDirectory(prefix="bench-") as name, running_api(Path(name), **nothing, **room) as api:
        store, done = SqlStore(f"sqlite:///{Path(name) / 'jobs.db'}"), threading.Event()
        for _number in range(50):
            ended(store)
        changing = threading.Thread(target=_change, args=(store, done))
        changing.start()
        yield api
        done.set()
        changing.join()
        store.close()


def _change(store: SqlStore, done: threading.Event) -> None:
    while not done.wait(SUBMIT_SECONDS):
        submit(store)


def _measure(told: int) -> Callable[[ApiServer], Iterator[Sample]]:
    def measure(api: ApiServer) -> Iterator[Sample]:
        job_id = requests.get(f"{api.url}/jobs?limit=1", timeout=30).json()["jobs"][0]["id"]
        while True:
            alone = _median(f"{api.url}/jobs/{job_id}")
            with _tabs(api.url, told):
                yield Sample(_median(f"{api.url}/jobs/{job_id}"), alone)

    return measure


def _median(url: str) -> float:
    times = []
    with requests.Session() as session:
        for _ in range(ROUNDS):
            began = time.perf_counter()
            session.get(url, timeout=60).raise_for_status()
            times.append((time.perf_counter() - began) * 1000)
            time.sleep(PAUSE_SECONDS)
    return statistics.median(times)


@contextmanager
def _tabs(url: str, told: int) -> Iterator[None]:
    spawn = get_context("spawn")
    stop = spawn.Event()
    process = spawn.Process(target=_browse, args=(url, told, stop), daemon=True)
    process.start()
    time.sleep(SETTLE_SECONDS)
    try:
        yield
    finally:
        stop.set()
        process.join(30)


def _browse(url: str, told: int, stop: StopEvent) -> None:
    tabs = [threading.Thread(target=_tab, args=(url, number < told, stop), daemon=True) for number in range(TABS)]
    for each in tabs:
        each.start()
    stop.wait()


def _tab(url: str, is_told: bool, stop: StopEvent) -> None:
    with requests.Session() as session, suppress(requests.RequestException):
        if not is_told:
            while not stop.wait(random.uniform(0.75, 1.25) * ASK_SECONDS):  # noqa: S311 - not a secret
                session.get(f"{url}/ui/jobs", timeout=60)
            return
        with requests.get(f"{url}/ui/live?of=jobs", stream=True, timeout=60) as answer:
            answer.raise_for_status()
            for line in answer.iter_lines(chunk_size=1):
                if line == b"data: jobs":
                    session.get(f"{url}/ui/jobs", timeout=60)


WHAT = "GET /jobs/<id> beside {} open pages that {}"
ROWS = [
    Row("tabs", WHAT.format(TABS, "are told"), "ms", "without them", open_pages, _measure(TABS), samples=2, warm_up=0),
    Row("tabs-asking", WHAT.format(TABS, "ask"), "ms", "without them", open_pages, _measure(0), samples=2, warm_up=0),
]
