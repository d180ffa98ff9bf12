"""What stays as long as the stack does: small, told all that it needs, and no longer there than its parts."""

import os
import subprocess
import sys
from pathlib import Path

from deploy.one_machine.stack_supervisor import Part, Supervised

ROOT = Path(__file__).parents[3]
HEAVY = {"celery", "docker", "multiprocessing.queues", "pydantic", "requests", "sqlalchemy", "worker"}
BECOME = """
import os, sys
from pathlib import Path
from deploy.one_machine import stack_supervisor
from tests.unit.deploy.test_stack_supervisor import supervised

with Path(sys.argv[1], "lock").open("w") as lock:
    stack_supervisor.become_supervisor(supervised(Path(sys.argv[1]), sys.argv[2]), dict(os.environ), lock)
"""


def supervised(folder: Path, command: str = "exec true", **environment: str) -> Supervised:
    return Supervised(
        folder=str(folder),
        environment={"PATH": os.environ["PATH"], "SECRET": "s3cret", **environment},
        parts={"part": Part(command, ["SECRET"]), "other": Part("exec sleep 60", [])},
        with_names=True,
        urls={"api": "http://127.0.0.1:9", "mlflow": "http://127.0.0.1:9"},
        welcome="Ready.",
        chosen_file=str(folder / "chosen"),
        chosen={"RUNNER": "process"},
        runner="process",
        network="",
    )


def test_it_loads_nothing_that_only_planning_needs() -> None:
    code = "import sys, deploy.one_machine.stack_supervisor; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={}, capture_output=True, text=True, check=True, timeout=60
    )
    assert not HEAVY & set(done.stdout.split())


def test_a_part_gets_the_environment_without_what_is_withheld(tmp_path: Path) -> None:
    stack = supervised(tmp_path)
    assert "SECRET" not in stack.environment_of("part")
    assert stack.environment_of("other")["SECRET"] == "s3cret"


def test_the_plan_reaches_it_whole_and_shows_no_secret_in_arguments_or_environment(tmp_path: Path) -> None:
    command = f"cat /proc/$PPID/cmdline /proc/$PPID/environ > {tmp_path}/seen; exec cat chosen"
    done = subprocess.run(
        [sys.executable, "-c", BECOME, str(tmp_path), command],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert 'part   | {"RUNNER": "process"}' in done.stdout
    assert "other stopped (rc=-15)" in done.stdout
    if sys.platform == "linux":
        seen = (tmp_path / "seen").read_text()
        assert "stack_supervisor" in seen
        assert "s3cret" not in seen
    assert not (tmp_path / "chosen").exists()


def test_its_own_end_is_that_of_the_part_that_ended_first(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BECOME, str(tmp_path), "exit 7"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 7
    assert "A process ended by itself" in done.stdout
