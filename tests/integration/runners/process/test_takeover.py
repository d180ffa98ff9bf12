"""Attempts that outlive their worker, their launcher or their process group, and are found again by pid."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil

from shared.errors import Code
from tests.integration.runners.process.conftest import HOST_ENV, PYTHON, code_of, run, wait, wait_for_log
from tests.support.waiting import wait_until
from worker.runners.process.runner import ProcessRunner
from worker.runners.seam import AttemptSpec, Exit, Handle

ROOT = Path(__file__).parents[4]


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_an_attempt_outlives_its_worker_and_the_next_one_takes_it_over(
    runner: ProcessRunner, spec: Callable[..., AttemptSpec], state: Path
) -> None:
    asked = spec("echo one; while [ ! -e go ]; do sleep 0.05; done; echo two; exit 5")
    worker = f"""
import time
from pathlib import Path
from worker.runners.process.runner import ProcessRunner
from worker.runners.seam import AttemptSpec
runner = ProcessRunner(Path({str(state)!r}), python=Path({sys.executable!r}), base_env={HOST_ENV!r})
spec = AttemptSpec({asked.job_id!r}, 1, None, {asked.command!r}, Path({str(asked.source)!r}))
print(runner.start_or_attach(spec).id, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", worker], cwd=ROOT, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout
        handle = Handle(id=first.stdout.readline().strip(), name=asked.name)
        first.kill()
    assert runner.attach(asked.name) == handle
    assert runner.start_or_attach(asked) == handle
    assert runner.poll(handle) is None
    (state / asked.name / "code" / "go").touch()
    assert wait(runner, handle) == Exit(exit_code=5)
    assert runner.read_log(handle, 0) == b"one\ntwo\n"


def test_many_starts_at_once_run_the_command_once(
    runner: ProcessRunner, spec: Callable[..., AttemptSpec], state: Path
) -> None:
    asked = spec("echo started; sleep 0.3")
    (asked.source / "data").write_bytes(b"x" * 1_000_000)
    found: list[Handle] = []

    def start() -> None:
        other = ProcessRunner(state, python=PYTHON, base_env=HOST_ENV)
        found.append(other.start_or_attach(asked))
        wait_until(lambda: other.poll(found[-1]))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 8
    assert len(set(found)) == 1
    assert runner.read_log(found[0], 0) == b"started\n"


def test_a_start_that_was_cut_off_before_the_command_ran_is_done_again(
    runner: ProcessRunner, spec: Callable[..., AttemptSpec], state: Path
) -> None:
    asked = spec("cat train.txt")
    (asked.source / "train.txt").write_text("whole")
    (state / asked.name / ".code.half" / "code").mkdir(parents=True)
    (state / asked.name / ".code.half" / "code" / "train.txt").write_text("ha")
    assert runner.attach(asked.name) is None
    cut_off = runner.list_mine()[0]
    assert cut_off.name == asked.name
    assert code_of(lambda: runner.poll(cut_off)) is Code.CONTAINER_LOST
    assert run(runner, asked) == "whole"


def test_a_look_at_an_attempt_that_is_just_being_started_lets_it_start(
    runner: ProcessRunner, spec: Callable[..., AttemptSpec], state: Path
) -> None:
    asked = spec("echo x")
    (state / asked.name).mkdir(parents=True)
    launcher_env = {"RETRAIN_JOB_ID": asked.job_id, "RETRAIN_ATTEMPT": "1"}
    with subprocess.Popen(["/bin/sleep", "60"], env=launcher_env, start_new_session=True) as launcher:
        try:
            assert code_of(lambda: runner.poll(runner.list_mine()[0])) is Code.CONTAINER_LOST
            assert is_running(launcher.pid)
        finally:
            launcher.kill()


def test_what_was_killed_from_outside_is_lost(runner: ProcessRunner, spec: Callable[..., AttemptSpec]) -> None:
    handle = runner.start_or_attach(spec("echo x; sleep 60"))
    wait_for_log(runner, handle)
    os.killpg(int(handle.id.partition(":")[0]), signal.SIGKILL)
    wait_until(lambda: not is_running(int(handle.id.partition(":")[0])), what="the launcher's end")
    assert code_of(lambda: runner.poll(handle)) is Code.CONTAINER_LOST
    assert runner.read_log(handle, 0) == b"x\n"


def test_a_command_that_kills_its_launcher_does_not_go_on_unobserved(
    runner: ProcessRunner, spec: Callable[..., AttemptSpec]
) -> None:
    asked = spec(
        "setsid sleep 60 & echo $!; env -i /bin/sleep 60 & echo $!; env -u TMPDIR setsid sleep 60 & echo $!; "
        "echo $$; sleep 0.5; kill -s KILL $PPID; sleep 60"
    )
    about = {"RETRAIN_JOB_ID": asked.job_id, "RETRAIN_ATTEMPT": "1"}
    handle = runner.start_or_attach(replace(asked, env=about))
    pids = [int(line) for line in wait_for_log(runner, handle, lines=4)]
    wait_until(lambda: not is_running(int(handle.id.partition(":")[0])), what="the launcher's end")

    assert code_of(lambda: runner.poll(handle)) is Code.CONTAINER_LOST
    assert not [pid for pid in pids if is_running(pid)]


def test_what_a_command_left_in_another_session_ends_with_it(
    runner: ProcessRunner, spec: Callable[..., AttemptSpec]
) -> None:
    handle = runner.start_or_attach(spec("setsid sleep 60 & echo $!; sleep 0.2"))
    assert wait(runner, handle) == Exit(exit_code=0)
    assert not is_running(int(runner.read_log(handle, 0)))


def test_another_process_with_the_same_pid_is_not_taken_for_the_attempt_and_not_stopped(
    runner: ProcessRunner, spec: Callable[..., AttemptSpec], state: Path
) -> None:
    asked = spec("true")
    folder = state / asked.name
    folder.mkdir(parents=True)
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as other:
        (folder / "launched").write_text(f"{other.pid}:1700000000\n")
        handle = runner.start_or_attach(asked)
        assert code_of(lambda: runner.poll(handle)) is Code.CONTAINER_LOST
        runner.stop(handle, grace_seconds=0)
        runner.remove(handle)
        assert other.poll() is None
        other.kill()


def test_no_zombie_is_left(runner: ProcessRunner, spec: Callable[..., AttemptSpec]) -> None:
    before = set(psutil.Process().children())  # of other tests of this process
    for _ in range(3):
        wait(runner, runner.start_or_attach(spec("true")))
    wait_until(lambda: runner.list_mine() and not _zombies() - before, what="no zombies")


def _zombies() -> set[psutil.Process]:
    return {child for child in psutil.Process().children() if child.status() == psutil.STATUS_ZOMBIE}


def test_stopping_ends_what_left_the_process_group_too(runner: ProcessRunner, spec: Callable[..., AttemptSpec]) -> None:
    handle = runner.start_or_attach(spec("setsid sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1; done' & wait"))
    escaped = int(wait_for_log(runner, handle)[0])
    assert is_running(escaped)
    runner.stop(handle, grace_seconds=0.2)
    wait_until(lambda: not is_running(escaped), what="the end of what escaped")
    assert wait(runner, handle).exit_code != 0
