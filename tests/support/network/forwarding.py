"""Opens ports of loopback at other addresses of this machine, for namespaces and containers, by a gateway."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import psutil

from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[3]
READY_SECONDS = 30
STOP_SECONDS = 10


@contextmanager
def forwarding(address: str, *ports: int) -> Iterator[None]:
    """Forward these ports of the address to the same ports of 127.0.0.1."""
    with ExitStack() as stack:
        started = [stack.enter_context(_gateway(address, port)) for port in ports]
        for process in started:
            wait_until(partial(_listens, process), timeout_seconds=READY_SECONDS, what=f"a gateway at {address}")
        yield


@contextmanager
def _gateway(address: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.network.gateway", address, str(port)],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


def _listens(process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None
    return any(each.status == psutil.CONN_LISTEN for each in psutil.Process(process.pid).net_connections())
