"""What one caller who polls 100 times a second, and 200 slow clients, cost five honest ones: their slowest answers."""

import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.synchronize import Event as StopEvent
from pathlib import Path

import requests

from tests.support.network.hostile_clients import drip, slow_connections
from tests.support.network.ports import free_port
from tests.support.servers.api_server import ApiServer, running_api

HONEST = tuple(f"honest-{number}-with-a-long-token" for number in range(5))
HASTY = "hasty-with-a-long-token"
SLOW = 200
POLLS_A_SECOND = 100
ROUNDS = 200  # of each honest client
PAUSE_SECONDS = 0.05  # between two requests of one
SETTLE_SECONDS = 2.0


def costs() -> tuple[float, float]:
    """Seconds of the 99th percentile: with the others, and without them."""
    settings = {
        "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0",
        "API_TOKENS": ",".join((*HONEST, HASTY)),
        "API_CONNECTIONS_PER_PEER": "400",  # here, all clients have one address
    }
    with tempfile.TemporaryDirectory() as name, running_api(Path(name), **settings) as api:
        _honest(api)  # what is made at the first requests
        alone = _honest(api)
        with _others(api.port):
            beside = _honest(api)
    return beside, alone


def _honest(api: ApiServer) -> float:
    with ThreadPoolExecutor(len(HONEST)) as pool:
        times = sorted(each for found in pool.map(lambda token: _ask(api.url, token), HONEST) for each in found)
    return times[len(times) * 99 // 100]


def _ask(url: str, token: str) -> list[float]:
    times = []
    with requests.Session() as session:
        for _ in range(ROUNDS):
            began = time.perf_counter()
            session.get(f"{url}/jobs", headers={"Authorization": f"Bearer {token}"}, timeout=60).raise_for_status()
            times.append(time.perf_counter() - began)
            time.sleep(PAUSE_SECONDS)
    return times


@contextmanager
def _others(port: int) -> Iterator[None]:
    spawn = get_context("spawn")
    stop = spawn.Event()
    processes = [spawn.Process(target=client, args=(port, stop), daemon=True) for client in (_be_hasty, _be_slow)]
    for process in processes:
        process.start()
    time.sleep(SETTLE_SECONDS)
    try:
        yield
    finally:
        stop.set()
        for process in processes:
            process.join(30)


def _be_hasty(port: int, stop: StopEvent) -> None:
    headers, due = {"Authorization": f"Bearer {HASTY}"}, time.monotonic()
    with requests.Session() as session:
        while not stop.wait(max(0.0, due - time.monotonic())):
            answer = session.get(f"http://127.0.0.1:{port}/jobs", headers=headers, timeout=60)
            assert answer.status_code in (200, 429), answer.status_code
            due += 1 / POLLS_A_SECOND


def _be_slow(port: int, stop: StopEvent) -> None:
    while not stop.is_set():
        with slow_connections(port, SLOW) as sockets:
            while drip(sockets) > SLOW // 2 and not stop.wait(1):  # the API closes them after some seconds
                pass
