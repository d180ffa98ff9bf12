"""What every runner does that tells when an attempt ends."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.runner_bench import REAL_KINDS, Bench, open_bench
from worker.runners.seam import Handle, TellsEnds

LONG_SECONDS = 60


@pytest.fixture(params=REAL_KINDS)
def real(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    yield from open_bench(request.param, tmp_path)


def rest(bench: Bench, handle: Handle, seconds: float, stopping: threading.Event | None = None) -> float:
    """Rest, and return how long that took."""
    assert isinstance(bench.runner, TellsEnds)
    began = time.monotonic()
    bench.runner.rest(handle, stopping or threading.Event(), seconds)
    return time.monotonic() - began


def test_a_rest_ends_with_the_attempt(real: Bench) -> None:
    handle = real.start("echo here; sleep 2")
    real.wait_for_log(handle, b"here\n")
    assert rest(real, handle, 0.3) >= 0.3
    assert rest(real, handle, LONG_SECONDS) < LONG_SECONDS
    real.wait(handle)


def test_a_rest_ends_when_the_worker_stops(real: Bench) -> None:
    handle = real.start("echo here; sleep 600")
    real.wait_for_log(handle, b"here\n")
    stopping = threading.Event()
    threading.Timer(0.1, stopping.set).start()
    assert rest(real, handle, LONG_SECONDS, stopping) < LONG_SECONDS
    assert real.runner.poll(handle) is None


def test_an_end_that_was_told_is_not_told_again_and_again(tmp_path: Path) -> None:
    """Where an engine ends the streams of what goes on, it must not be asked again without a pause."""
    for bench in open_bench("docker", tmp_path):
        handle = bench.start("echo here")
        bench.wait_for_log(handle, b"here\n")
        rest(bench, handle, LONG_SECONDS)
        bench.wait(handle)
        assert rest(bench, handle, 0.5) >= 0.5
