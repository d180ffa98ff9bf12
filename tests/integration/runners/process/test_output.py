"""A process's output, and room on the disk for it."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.integration.runners.process.conftest import HOST_ENV, PYTHON, wait
from tests.support.engines import require
from tests.support.waiting import wait_until
from worker.runners.process.runner import ProcessRunner
from worker.runners.seam import AttemptSpec, Exit, LogBounds


def test_binary_output_comes_exact(runner: ProcessRunner, spec: Callable[..., AttemptSpec]) -> None:
    handle = runner.start_or_attach(spec("printf '\\377\\000\\n\\200'"))
    wait(runner, handle)
    assert runner.read_log(handle, 0) == b"\xff\x00\n\x80"


def test_a_large_log_comes_in_pieces(runner: ProcessRunner, spec: Callable[..., AttemptSpec]) -> None:
    handle = runner.start_or_attach(spec("head -c 3000000 /dev/zero"))
    wait(runner, handle)
    pieces: list[int] = []
    while piece := runner.read_log(handle, sum(pieces)):
        pieces.append(len(piece))
    assert pieces == [1048576, 1048576, 902848]


def test_what_is_not_kept_is_counted_to_the_byte(
    spec: Callable[..., AttemptSpec], runner: ProcessRunner, state: Path
) -> None:
    small = ProcessRunner(state, python=PYTHON, base_env=HOST_ENV, log_bounds=LogBounds(1000, 20_000))
    handle = small.start_or_attach(spec("head -c 2500 /dev/zero; sleep 0.1; head -c 300000 /dev/zero >&2"))
    wait(small, handle)
    assert (len(small.read_log(handle, 0)), runner.unkept_bytes(handle)) == (1000, 301_500)
    small.remove(handle)


def test_output_that_finds_no_room_on_the_disk_waits_for_it_and_nothing_is_lost(tmp_path: Path) -> None:
    require(os.geteuid() == 0, "root, to mount a small disk")
    state, source = tmp_path / "state", tmp_path / "source"
    for folder in (state, source):
        folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "test", str(state)], check=True, timeout=30)
    try:
        runner = ProcessRunner(state, python=PYTHON, base_env=HOST_ENV)
        handle = runner.start_or_attach(AttemptSpec("full", 1, None, "head -c 2000000 /dev/zero; exit 3", source))
        log = state / handle.name / "log"
        wait_until(lambda: log.exists() and log.stat().st_size > 900_000, what="a full disk")
        assert runner.poll(handle) is None
        subprocess.run(["mount", "-o", "remount,size=4m", str(state)], check=True, timeout=30)
        assert wait(runner, handle) == Exit(exit_code=3)
        assert log.stat().st_size == 2_000_000
        runner.remove(handle)
    finally:
        subprocess.run(["umount", "--lazy", str(state)], check=True, timeout=30)


def test_how_a_command_ended_needs_no_more_room_on_the_disk(
    runner: ProcessRunner, spec: Callable[..., AttemptSpec], state: Path
) -> None:
    asked = spec("while [ ! -e go ]; do sleep 0.05; done; exit 7")
    handle = runner.start_or_attach(asked)
    record = state / asked.name / "exit"
    wait_until(record.exists, what="room for the exit code")
    before = record.stat()
    assert runner.poll(handle) is None

    (state / asked.name / "code" / "go").touch()
    assert wait(runner, handle) == Exit(exit_code=7)
    assert (record.stat().st_ino, record.stat().st_size) == (before.st_ino, before.st_size)
