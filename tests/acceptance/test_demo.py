"""`make demo` in a fresh clone: with Docker, without it, and where Docker is insisted on and missing."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.engines import docker_or_skip
from tests.support.servers.stack import processes_of

DEMO_SECONDS = 280
IMAGE_SECONDS = 280


def make_demo(clone: Path, folder: Path, **settings: str) -> "subprocess.CompletedProcess[str]":
    """Run `make demo` as a stranger does; nothing of this machine's settings reaches it."""
    passed_on = {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("DOCKER_")}
    environment = {**passed_on, "HOME": str(folder / "home"), "DATA_DIR": str(folder / "data"), **settings}
    (folder / "home").mkdir()
    return subprocess.run(
        ["make", "demo"],
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
        timeout=DEMO_SECONDS,
        check=False,
    )


def assert_shows_the_main_job(done: "subprocess.CompletedProcess[str]", folder: Path) -> None:
    """A succeeded job, a registered version, a second run that is not promoted, and an end without a trace."""
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\nPages http://\S+/ui/\nAPI http://", done.stdout)
    assert re.search(r"POST /retrain -> 202, /jobs/[0-9a-f-]{36}", done.stdout)
    assert len(re.findall(r"  \d\d:\d\d:\d\d  succeeded ", done.stdout)) == 2
    assert re.search(r"epoch 10/10: accuracy 0\.\d+", done.stdout), "no live progress"
    assert re.search(r"Registered: model sklearn-dummy-[\d-]+, version 1 \(promoted: ", done.stdout)
    assert re.search(r"not promoted: 0\.\d+ < 0\.\d+", done.stdout)
    assert "Traceback" not in done.stdout + done.stderr
    assert processes_of(folder / "data") == []


def without_docker(folder: Path) -> dict[str, str]:
    """The settings of a machine where no engine answers."""
    return {"DOCKER_HOST": f"unix://{folder / 'no-docker.sock'}"}


def test_without_docker_it_trains_in_a_plain_process_and_says_so(clone: Path, tmp_path: Path) -> None:
    done = make_demo(clone, tmp_path, **without_docker(tmp_path))
    assert_shows_the_main_job(done, tmp_path)
    assert "Docker does not answer: training will run as a plain process of your user, without" in done.stdout


def test_with_docker_it_trains_in_a_container(clone: Path, tmp_path: Path) -> None:
    docker_or_skip().close()
    done = make_demo(clone, tmp_path)
    assert_shows_the_main_job(done, tmp_path)
    assert "runner: docker" in done.stdout
    assert "plain process" not in done.stdout


@pytest.mark.parametrize("target", ["demo", "up"])
def test_insisting_on_docker_where_it_does_not_answer_ends_with_1_and_the_way_out(
    target: str, clone: Path, tmp_path: Path
) -> None:
    environment = {"PATH": os.environ["PATH"], "RUNNER": "docker", "DATA_DIR": str(tmp_path)}
    done = subprocess.run(
        [".venv/bin/python", "-m", {"demo": "deploy.one_machine.demo", "up": "deploy.one_machine.stack"}[target]],
        cwd=clone,
        env=environment | without_docker(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "RUNNER=docker, but Docker does not answer. Start it, or use RUNNER=process." in done.stderr
    assert processes_of(tmp_path) == []
