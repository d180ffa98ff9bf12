"""What is kept of a command's output when it has no end."""

import os
import subprocess
import threading
from pathlib import Path

import pytest

from shared.errors import AttemptCancelled, AttemptTimeout, Code, UserError
from tests.support.waiting import wait_until
from worker.interruption import NEVER, Interruption
from worker.source.deadline import Deadline
from worker.source.git import Git
from worker.source.git_output import KEPT_STDERR_BYTES


def make_git(folder: Path, script: str, *, timeout_seconds: float = 30, interruption: Interruption = NEVER) -> Git:
    """A git that runs the script in git's place."""
    (folder / "git").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "git").chmod(0o700)
    path = f"{folder}:{os.environ['PATH']}"
    return Git("https://host/a.git", Deadline(timeout_seconds, interruption), frozenset({"https"}), {"PATH": path})


def test_a_command_that_prints_without_end_is_ended(tmp_path: Path) -> None:
    git = make_git(tmp_path, f"echo $$ > {tmp_path}/pid; yes")
    with pytest.raises(UserError, match="more refs or files") as caught:
        git.run("ls-remote")
    assert caught.value.code is Code.INVALID_PROJECT
    assert is_group_gone(tmp_path / "pid")


def is_group_gone(pid: Path) -> bool:
    group = pid.read_text().strip()
    left = subprocess.run(["ps", "-o", "stat=", "-g", group], capture_output=True, text=True, check=False, timeout=10)
    return all(state.startswith("Z") for state in left.stdout.split())


@pytest.mark.parametrize("waits", ["sleep 60", "exec >&- 2>&-; sleep 60"])
def test_a_command_that_waits_is_ended_with_all_its_processes_when_the_job_is_cancelled(
    tmp_path: Path, waits: str
) -> None:
    interruption = Interruption()
    git = make_git(
        tmp_path, f"echo $$ > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/pid; {waits}", interruption=interruption
    )

    def cancel() -> None:
        wait_until((tmp_path / "pid").exists)
        interruption.interrupt(AttemptCancelled.on_request())

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(AttemptCancelled):
        git.run("fetch")
    thread.join()
    assert is_group_gone(tmp_path / "pid")


def test_a_command_that_complains_without_end_costs_the_timeout_and_no_memory(tmp_path: Path) -> None:
    with pytest.raises(AttemptTimeout):
        make_git(tmp_path, "yes >&2", timeout_seconds=1).run("fetch")


@pytest.mark.parametrize("end", ["\\n", "\\r"])
def test_of_a_long_complaint_the_last_whole_lines_are_kept(tmp_path: Path, end: str) -> None:
    script = f"yes s3cret | head -c 9000000 | tr '\\n' '{end}' >&2; printf 'fatal: no' >&2; exit 3"
    result = make_git(tmp_path, script).run("fetch")
    assert result.exit_code == 3
    assert len(result.stderr) <= 3 * KEPT_STDERR_BYTES
    assert {line for line in result.stderr.splitlines()[:-1] if line} == {"s3cret"}
    assert result.stderr.endswith("fatal: no")
