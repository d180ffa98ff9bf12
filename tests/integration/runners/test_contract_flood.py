"""What every runner does with output that is more than it is to keep: the disk holds little, and the excess shows."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.runner import Script
from tests.support.engines import docker_or_skip, require
from tests.support.runner_bench import KINDS, Bench, open_bench
from tests.support.waiting import wait_until
from worker.runners.seam import Exit, Handle, LogBounds

BOUNDS = LogBounds(kept_bytes=100_000, flood_bytes=2_000_000)
BEGIN = b"begin\n"
FLOODS = [f"yes '{'x' * 99}' | head -c 20000000", "head -c 20000000 /dev/zero | tr '\\0' x"]


@pytest.fixture(params=KINDS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    yield from open_bench(request.param, tmp_path, BOUNDS)


def stored_bytes(bench: Bench, handle: Handle, folder: Path) -> int:
    """What lies on the disk of the attempt's output."""
    if bench.runner.kind == "fake":
        return len(bench.log(handle))
    if bench.runner.kind == "process":
        return (folder / "state" / handle.name / "log").stat().st_size
    engine = docker_or_skip()
    try:
        log = Path(engine.api.inspect_container(handle.id)["LogPath"])
    finally:
        engine.close()
    require(os.access(log.parent, os.R_OK), "the engine's folder on this machine")
    return sum(each.stat().st_size for each in log.parent.glob(f"{log.name}*"))


@pytest.mark.parametrize("flood", FLOODS, ids=["lines", "one endless line"])
def test_a_flood_is_counted_and_not_stored_and_its_beginning_is_kept(bench: Bench, tmp_path: Path, flood: str) -> None:
    script = Script(outputs=[BEGIN, *[b"x" * 1_000_000] * 20])
    handle = bench.start(f"echo begin; sleep 1; {flood}", script)
    wait_until(lambda: bench.runner.poll(handle) or BEGIN in bench.runner.read_log(handle, 0), what="its first line")
    assert bench.runner.unkept_bytes(handle) == 0

    assert bench.wait(handle) == Exit(exit_code=0)
    assert len(BEGIN) + bench.runner.unkept_bytes(handle) + BOUNDS.kept_bytes > BOUNDS.flood_bytes
    assert stored_bytes(bench, handle, tmp_path) <= BOUNDS.flood_bytes + 20_000


def test_nothing_is_thrown_away_up_to_the_limit_also_in_the_shortest_lines(bench: Bench) -> None:
    lines = b"".join(b"%d\n" % number for number in range(10_000, 10_000 + BOUNDS.kept_bytes // 6))
    command = f"python3 -c 'for n in range(10000, {10_000 + BOUNDS.kept_bytes // 6}): print(n)'"
    handle = bench.start(command, Script(outputs=[lines]))
    bench.wait(handle)

    assert bench.log(handle) == lines
    assert bench.runner.unkept_bytes(handle) == 0


def test_an_attempt_of_which_nothing_was_read_is_bounded_too(bench: Bench, tmp_path: Path) -> None:
    handle = bench.start(FLOODS[0], Script(outputs=[b"x" * 10**7]))
    restarted = bench.restarted()
    bench.wait(handle, runner=restarted)
    assert stored_bytes(bench, handle, tmp_path) <= BOUNDS.flood_bytes + 20_000
