"""What 400 silent connections and four costly requests at once cost an honest client: its slowest answers."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier as Start
from multiprocessing.synchronize import Event as StopEvent
from pathlib import Path

import requests

from tests.support.network.hostile_clients import costly_body, silent_connections
from tests.support.network.ports import free_port
from tests.support.servers.api_server import ApiServer, running_api

SILENT = 400
COSTLY = 4
ROUNDS = 2000
WAVE_SECONDS = 2.0  # from four costly requests to the next four, each of both kinds
REOPENED_SECONDS = 5.0  # sooner than the API closes what sends nothing
BODIES = (960_000, 250_000)  # one that is refused for its size, and the costliest that is read


@dataclass(frozen=True)
class Answers:
    """How long an honest client waited."""

    p50_seconds: float
    p99_seconds: float


def costs() -> tuple[Answers, Answers]:
    """With the hostile clients, and without them."""
    settings = {"REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}
    with tempfile.TemporaryDirectory() as name, running_api(Path(name), **settings) as api:
        _ask(api)  # what is made at the first requests
        alone = _ask(api)
        with _hostile(api.port):
            beset = _ask(api)
    return beset, alone


def _ask(api: ApiServer) -> Answers:
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        requests.get(f"{api.url}/jobs", timeout=60).raise_for_status()
        times.append(time.perf_counter() - began)
    times.sort()
    return Answers(times[ROUNDS // 2], times[ROUNDS * 99 // 100])


@contextmanager
def _hostile(port: int) -> Iterator[None]:
    """Silent connections all the time, and waves of costly requests, from processes of their own."""
    spawn = get_context("spawn")
    stop, start = spawn.Event(), spawn.Barrier(COSTLY + 2, timeout=60)
    clients = (_be_silent, *[_be_costly] * COSTLY)
    processes = [spawn.Process(target=client, args=(port, stop, start), daemon=True) for client in clients]
    for process in processes:
        process.start()
    start.wait()
    try:
        yield
    finally:
        stop.set()
        for process in processes:
            process.join(30)


def _be_silent(port: int, stop: StopEvent, start: Start) -> None:
    with silent_connections(port, SILENT):
        start.wait()
        stop.wait(REOPENED_SECONDS)
    while not stop.is_set():
        with silent_connections(port, SILENT):
            stop.wait(REOPENED_SECONDS)


def _be_costly(port: int, stop: StopEvent, start: Start) -> None:
    bodies = [costly_body(characters) for characters in BODIES]
    start.wait()
    while not stop.wait(WAVE_SECONDS - time.time() % WAVE_SECONDS):  # all of them at the same moment
        for body in bodies:
            answer = requests.post(
                f"http://127.0.0.1:{port}/retrain", data=body, headers={"Content-Type": "application/json"}, timeout=60
            )
            assert answer.status_code in (413, 422), answer.status_code
