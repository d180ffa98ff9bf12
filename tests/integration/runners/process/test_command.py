"""What a command gets and sees: environment, GPUs, pauses, its folder."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from shared.errors import Code
from tests.integration.runners.process.conftest import HOST_ENV, PYTHON, code_of, run, wait, wait_for_log
from tests.support.waiting import wait_until
from worker.runners.process.runner import ProcessRunner
from worker.runners.seam import AttemptSpec, Handle


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


# Nothing of the attempt is left on it: environment, session, folder, and in the end its parent.
DAEMON = (
    "import subprocess, sys; print(subprocess.Popen(['/bin/sleep', '60'], start_new_session=True, env={}, cwd='/', "
    "stdin=-3, stdout=-3, stderr=-3).pid, flush=True)"
)


def daemon_of(runner: ProcessRunner, handle: Handle) -> psutil.Process:
    return psutil.Process(int(wait_for_log(runner, handle)[0]))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt its orphaned descendants")
@pytest.mark.parametrize("ending", ["exit 0", "exit 3", "kill -9 $$", "(sleep 60 &); (setsid sleep 60 &); exit 0"])
def test_a_daemon_that_shed_all_traces_of_its_attempt_ends_with_the_command(
    runner: ProcessRunner, spec: Callable[..., AttemptSpec], state: Path, ending: str
) -> None:
    handle = runner.start_or_attach(spec(f'python -c "{DAEMON}"; while [ ! -e ../end ]; do sleep 0.02; done; {ending}'))
    daemon = daemon_of(runner, handle)
    (state / handle.name / "end").touch()
    wait(runner, handle)
    assert not daemon.is_running()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt its orphaned descendants")
def test_a_pause_and_a_stop_reach_a_daemon_that_shed_all_traces_of_its_attempt(
    runner: ProcessRunner, spec: Callable[..., AttemptSpec]
) -> None:
    handle = runner.start_or_attach(spec(f'python -c "{DAEMON}"; sleep 60'))
    daemon = daemon_of(runner, handle)
    runner.pause(handle)
    assert daemon.status() == psutil.STATUS_STOPPED
    runner.stop(handle, grace_seconds=0)
    assert not daemon.is_running()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt its orphaned descendants")
def test_ended_daemons_do_not_pile_up_while_the_command_goes_on(
    runner: ProcessRunner, spec: Callable[..., AttemptSpec]
) -> None:
    handle = runner.start_or_attach(spec("for i in 1 2 3 4 5; do (setsid true &); done; echo x; sleep 60"))
    wait_for_log(runner, handle)
    launcher = psutil.Process(int(handle.id.partition(":")[0]))
    wait_until(lambda: len(launcher.children()) == 1, what="only the command to be left")


def test_a_pause_catches_up_with_a_command_that_starts_one_process_after_the_other(
    runner: ProcessRunner, spec: Callable[..., AttemptSpec]
) -> None:
    handle = runner.start_or_attach(spec("echo x; while :; do /bin/true & /bin/true; done"))
    wait_for_log(runner, handle)
    runner.pause(handle)
    launcher = psutil.Process(int(handle.id.partition(":")[0]))
    family = [launcher, *launcher.children(recursive=True)]
    assert {each.status() for each in family} <= {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE}


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


def test_images_mean_nothing_on_a_host_that_has_no_attempts_yet(runner: ProcessRunner) -> None:
    assert runner.list_mine() == []
    assert runner.prepare_image("anything:1", timeout_seconds=1) is None


def test_a_project_that_is_not_there_cannot_start(
    runner: ProcessRunner, spec: Callable[..., AttemptSpec], tmp_path: Path
) -> None:
    asked = spec("true")
    asked.source.rmdir()
    assert code_of(lambda: runner.start_or_attach(asked)) is Code.CONTAINER_FAILED
