"""Starts and stops the processes of tests.bench.bare."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from deploy.one_machine.ports import is_taken
from tests.bench.bare import REDIS_VARIABLE
from tests.bench.report import ROOT
from tests.support.network.ports import free_port
from tests.support.waiting import wait_until

STOP_SECONDS = 10
WORKER = ("-m", "celery", "-A", "tests.bench.bare", "worker", "--pool", "threads", "--concurrency", "2")


@dataclass(frozen=True)
class BareServer:
    """The server of the bare app."""

    port: int
    pid: int


@contextmanager
def running_bare_server(redis_url: str) -> Iterator[BareServer]:
    """Serve it meanwhile."""
    port = free_port()
    with _process(redis_url, "-m", "tests.bench.bare", str(port)) as process:
        wait_until(lambda: is_taken(port), what="the bare server")
        yield BareServer(port, process.pid)


@contextmanager
def running_bare_worker(redis_url: str) -> Iterator[int]:
    """Run a Celery worker for it meanwhile; its process id."""
    with _process(redis_url, *WORKER) as process:
        yield process.pid


@contextmanager
def _process(redis_url: str, *arguments: str) -> "Iterator[subprocess.Popen[bytes]]":
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), REDIS_VARIABLE: redis_url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_SECONDS)
