"""What every runner does with a pause: nothing is lost by it, and a stop does not wait for its end."""

import shlex
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.runner import Script
from tests.support.runner_bench import HANDLES_SIGTERM, KINDS, Bench, open_bench
from tests.support.waiting import wait_until
from worker.runners.seam import Exit, Handle

COUNTING = "i=1; while [ $i -le 40 ]; do echo $i; i=$((i+1)); sleep 0.05; done"
COUNTED = [b"%d" % number for number in range(1, 41)]


@pytest.fixture(params=KINDS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    yield from open_bench(request.param, tmp_path)


def counting(bench: Bench) -> tuple[Handle, bytes]:
    """Start an attempt that prints forty numbers within a few seconds, and read the first ones."""
    handle = bench.start(COUNTING, Script(outputs=[b"%s\n" % number for number in COUNTED]))
    return handle, bench.wait_for_log(handle, b"3\n")


def look_on(bench: Bench, handle: Handle, log: bytes, *, seconds: float) -> bytes:
    """Return what it prints in that time, as a supervisor would see it."""
    ends_at, seen = time.monotonic() + seconds, bytearray()

    def look() -> bool:
        assert bench.runner.poll(handle) is None
        seen.extend(bench.runner.read_log(handle, len(log) + len(seen)))
        return time.monotonic() > ends_at

    wait_until(look)
    return bytes(seen)


def test_what_is_paused_prints_nothing_and_goes_on_where_it_was_when_resumed(bench: Bench) -> None:
    handle, log = counting(bench)
    bench.runner.pause(handle)
    bench.restarted().pause(handle)
    log += look_on(bench, handle, log, seconds=0.5)
    assert look_on(bench, handle, log, seconds=0.5) == b""
    bench.restarted().resume(handle)
    bench.runner.resume(handle)
    assert bench.wait(handle) == Exit(exit_code=0)
    assert (log + bench.log(handle, len(log))).split() == COUNTED


def test_what_is_paused_ends_by_sigterm_when_it_is_stopped(bench: Bench) -> None:
    command = f"python3 -c {shlex.quote(HANDLES_SIGTERM.format(code=7))}"
    handle = bench.start(command, Script(outputs=[b"ready\n"], hangs=True, on_sigterm=7))
    bench.wait_for_log(handle, b"ready")
    bench.runner.pause(handle)
    bench.restarted().stop(handle, grace_seconds=20)
    assert bench.runner.poll(handle) == Exit(exit_code=7)


def test_what_is_paused_and_ignores_sigterm_is_killed_after_the_grace(bench: Bench) -> None:
    command = "trap '' TERM; echo ready; while true; do sleep 0.1; done"
    handle = bench.start(command, Script(outputs=[b"ready\n"], hangs=True, on_sigterm=None))
    bench.wait_for_log(handle, b"ready")
    bench.runner.pause(handle)
    began_at = time.monotonic()
    bench.runner.stop(handle, grace_seconds=0)
    assert time.monotonic() - began_at < 5
    assert bench.runner.poll(handle) == Exit(exit_code=137)


def test_what_is_paused_can_be_removed(bench: Bench) -> None:
    handle, _log = counting(bench)
    bench.runner.pause(handle)
    bench.runner.remove(handle)
    assert bench.runner.list_mine() == []


def test_pausing_and_resuming_what_has_ended_or_is_gone_changes_nothing(bench: Bench) -> None:
    handle = bench.start("exit 3", Script(exit=Exit(3)))
    bench.wait(handle)
    bench.runner.pause(handle)
    bench.runner.resume(handle)
    assert bench.runner.poll(handle) == Exit(exit_code=3)
    bench.runner.remove(handle)
    bench.runner.pause(handle)
    bench.runner.resume(handle)
