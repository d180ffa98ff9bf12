"""The command `retrain` where nothing but mypackage is installed, as on a user's own machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.servers.stack import Stack

INSTALL_SECONDS = 300
TRAINING_SECONDS = 120


@pytest.fixture
def elsewhere(clone: Path, tmp_path: Path) -> Path:
    """A new virtual environment that mypackage was installed into."""
    run(Path(sys.executable), "-m", "venv", str(tmp_path), seconds=INSTALL_SECONDS)
    run(tmp_path / "bin/pip", "install", "--quiet", str(clone), seconds=INSTALL_SECONDS)
    return tmp_path


def run(program: Path, *arguments: str, seconds: float) -> str:
    """Run a program without this checkout on its path; what it printed."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [program, *arguments],
        cwd="/",
        env=environment,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_retraining_is_submitted_and_followed_to_its_model(
    elsewhere: Path, process_stack: Stack, clone: Path
) -> None:
    installed = run(elsewhere / "bin/pip", "list", seconds=60).lower()
    assert "automated-training" in installed
    assert not any(service in installed for service in ("celery", "flask", "docker ", "sqlalchemy"))
    followed = run(
        elsewhere / "bin/retrain",
        *("--url", process_stack.urls["api"], "submit", "--experiment-name", "clean", "--model-name", "clean"),
        *("--git-uri", f"file://{clone}", "--mlproject-location", "examples/sklearn-dummy", "--follow"),
        seconds=TRAINING_SECONDS,
    )
    [job] = process_stack.get("/jobs", model="clean").json()["jobs"]
    assert job["state"] == "succeeded"
    assert process_stack.job_log(job) in followed
    assert "promoted: first version of 'clean'" in followed
