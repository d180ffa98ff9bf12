"""What only processes do: survive their worker, be found again by pid, leave no zombie and no secret behind."""

import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from shared.errors import AttemptError, Code
from tests.support.engines import require
from tests.support.waiting import wait_until
from worker.runners.process.runner import ProcessRunner
from worker.runners.seam import AttemptSpec, Exit, Handle, LogBounds

ROOT = Path(__file__).parents[3]
PYTHON = Path(sys.executable)
HOST_ENV = {"PATH": "/usr/bin:/bin", "HOME": "/home/someone", "LANG": "C.UTF-8", "REDIS_URL": "redis://secret"}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def runner(state: Path) -> Iterator[ProcessRunner]:
    runner = ProcessRunner(state, python=PYTHON, base_env=HOST_ENV)
    yield runner
    for handle in runner.list_mine():
        runner.remove(handle)
    assert list(state.glob("*")) == []


@pytest.fixture
def spec(tmp_path: Path) -> Callable[..., AttemptSpec]:
    source = tmp_path / "source"
    source.mkdir()

    def make(command: str, **fields: Any) -> AttemptSpec:
        job_id = secrets.token_hex(6)
        return AttemptSpec(job_id=job_id, attempt=1, image=None, command=command, source=source, **fields)

    return make


def wait(runner: ProcessRunner, handle: Handle) -> Exit:
    found = wait_until(lambda: runner.poll(handle), what=f"the end of {handle.name}")
    assert found is not None
    return found


def wait_for_log(runner: ProcessRunner, handle: Handle, *, lines: int = 1) -> list[bytes]:
    wait_until(lambda: runner.read_log(handle, 0).count(b"\n") >= lines, what=f"the log of {handle.name}")
    return runner.read_log(handle, 0).splitlines()


def run(runner: ProcessRunner, spec: AttemptSpec) -> str:
    handle = runner.start_or_attach(spec)
    assert wait(runner, handle) == Exit(exit_code=0)
    return runner.read_log(handle, 0).decode()


def code_of(call: Callable[[], object]) -> Code:
    with pytest.raises(AttemptError) as caught:
        call()
    return caught.value.code


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_command_gets_the_worker_s_python_a_folder_for_temporary_files_and_little_else(
    runner: ProcessRunner, spec: Callable[..., AttemptSpec], state: Path
) -> None:
    asked = spec("env; command -v python", env={"MLFLOW_RUN_ID": "r1"})
    *lines, python = run(runner, asked).splitlines()
    env = dict(line.partition("=")[::2] for line in lines)
    assert Path(python).parent == PYTHON.parent
    assert env.pop("TMPDIR") == str(state / asked.name / "tmp")
    assert env.pop("PATH") == f"{PYTHON.parent}:/usr/bin:/bin"
    assert env.keys() - {"PWD", "OLDPWD", "SHLVL", "_"} == {"HOME", "LANG", "MLFLOW_RUN_ID"}


def test_limits_are_said_to_mean_nothing_here_and_the_attempt_runs(
    runner: ProcessRunner, spec: Callable[..., AttemptSpec], caplog: pytest.LogCaptureFixture
) -> None:
    assert run(runner, spec("echo trained", cpus=1.5)) == "trained\n"
    assert [record.message for record in caplog.records] == ["the process runner ignores limits and volumes"]


def cuda_env(log: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in log.splitlines() if line.startswith("CUDA_"))


def test_an_attempt_sees_its_own_gpus_whatever_its_project_says_and_its_handle_tells_them(
    runner: ProcessRunner, spec: Callable[..., AttemptSpec], state: Path
) -> None:
    asked = spec("env", gpu_ids=("GPU-a", "GPU-b"), env={"CUDA_VISIBLE_DEVICES": "0,1,2,3"})
    assert cuda_env(run(runner, asked)) == {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": "GPU-a,GPU-b"}
    next_worker = ProcessRunner(state, python=PYTHON, base_env=HOST_ENV)
    assert [handle.gpu_ids for handle in next_worker.list_mine()] == [("GPU-a", "GPU-b")]


@pytest.mark.parametrize(("gpus", "shown"), [((), None), (("GPU-a",), "")])
def test_an_attempt_without_gpus_sees_none_of_a_host_that_has_some(
    runner: ProcessRunner, spec: Callable[..., AttemptSpec], monkeypatch: pytest.MonkeyPatch,
    gpus: tuple[str, ...], shown: str | None
) -> None:  # fmt: skip
    monkeypatch.setattr(runner, "find_gpus", lambda: gpus)
    assert cuda_env(run(runner, spec("env"))).get("CUDA_VISIBLE_DEVICES") == shown


def test_a_pause_reaches_what_left_the_process_group(runner: ProcessRunner, spec: Callable[..., AttemptSpec]) -> None:
    asked = spec("setsid sleep 60 & echo $!; (sleep 60 & echo $!); sleep 60 & echo $!; wait")
    about = {"RETRAIN_JOB_ID": asked.job_id, "RETRAIN_ATTEMPT": "1"}
    handle = runner.start_or_attach(replace(asked, env=about))
    members = [psutil.Process(int(line)) for line in wait_for_log(runner, handle, lines=3)]
    members.append(psutil.Process(int(handle.id.partition(":")[0])))
    runner.pause(handle)
    assert {each.status() for each in members} == {psutil.STATUS_STOPPED}
    runner.resume(handle)
    wait_until(lambda: {each.status() for each in members} == {psutil.STATUS_SLEEPING}, what="all of them to go on")


def test_a_pause_catches_up_with_a_command_that_starts_one_process_after_the_other(
    runner: ProcessRunner, spec: Callable[..., AttemptSpec]
) -> None:
    handle = runner.start_or_attach(spec("echo x; while :; do /bin/true & /bin/true; done"))
    wait_for_log(runner, handle)
    runner.pause(handle)
    launcher = psutil.Process(int(handle.id.partition(":")[0]))
    family = [launcher, *launcher.children(recursive=True)]
    assert {each.status() for each in family} <= {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE}


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
        wait_until(lambda: log.stat().st_size > 900_000, what="a full disk")
        assert runner.poll(handle) is None
        subprocess.run(["mount", "-o", "remount,size=4m", str(state)], check=True, timeout=30)
        assert wait(runner, handle) == Exit(exit_code=3)
        assert log.stat().st_size == 2_000_000
        runner.remove(handle)
    finally:
        subprocess.run(["umount", "--lazy", str(state)], check=True, timeout=30)


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


def test_what_was_killed_from_outside_is_lost(runner: ProcessRunner, spec: Callable[..., AttemptSpec]) -> None:
    handle = runner.start_or_attach(spec("echo x; sleep 60"))
    wait_for_log(runner, handle)
    os.killpg(int(handle.id.partition(":")[0]), signal.SIGKILL)
    wait_until(lambda: not is_running(int(handle.id.partition(":")[0])), what="the launcher's end")
    assert code_of(lambda: runner.poll(handle)) is Code.CONTAINER_LOST
    assert runner.read_log(handle, 0) == b"x\n"


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


def test_removing_ends_what_a_command_left_in_another_session(
    runner: ProcessRunner, spec: Callable[..., AttemptSpec]
) -> None:
    handle = runner.start_or_attach(spec("setsid sleep 60 & echo $!; sleep 0.2"))
    assert wait(runner, handle) == Exit(exit_code=0)
    escaped = int(runner.read_log(handle, 0))
    assert is_running(escaped)

    runner.remove(handle)
    assert not is_running(escaped)


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


def test_a_project_that_took_rights_away_is_removed_whole(
    runner: ProcessRunner, spec: Callable[..., AttemptSpec], state: Path
) -> None:
    asked = spec("mkdir -p a/b && touch a/b/c && chmod 0 a/b && chmod 500 a")
    handle = runner.start_or_attach(asked)
    wait(runner, handle)
    runner.remove(handle)
    assert not (state / asked.name).exists()


def test_only_the_worker_s_user_can_read_an_attempt_s_folder(
    runner: ProcessRunner, spec: Callable[..., AttemptSpec], state: Path
) -> None:
    asked = spec("sleep 60", private_files={"token": b"s3cret"}, private_env={"token": "TOKEN_FILE"})
    handle = runner.start_or_attach(asked)
    assert (state / asked.name).stat().st_mode & 0o777 == 0o700
    assert (state / asked.name / "private" / "token").stat().st_mode & 0o777 == 0o600
    process = psutil.Process(int(handle.id.partition(":")[0]))
    assert "s3cret" not in str([process.cmdline(), process.environ()])


def test_images_mean_nothing_here(runner: ProcessRunner) -> None:
    assert runner.prepare_image("anything:1", timeout_seconds=1) is None


def test_a_project_that_is_not_there_cannot_start(
    runner: ProcessRunner, spec: Callable[..., AttemptSpec], tmp_path: Path
) -> None:
    asked = spec("true")
    asked.source.rmdir()
    assert code_of(lambda: runner.start_or_attach(asked)) is Code.CONTAINER_FAILED


def test_a_new_host_has_no_attempts(runner: ProcessRunner) -> None:
    assert runner.list_mine() == []
