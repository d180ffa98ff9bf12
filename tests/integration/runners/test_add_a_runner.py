"""docs/contributing/add-a-runner.md is followed: its runner, as another distribution, keeps the contract."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.acceptance.support.pages import marked_blocks
from tests.support.distributions import write_metadata

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/contributing/add-a-runner.md"
CONTRACT_SECONDS = 120


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with the page's files, and the metadata that pip would write for them."""
    for block in marked_blocks(PAGE):
        if block.title:
            (tmp_path / block.title).write_text(block.text)
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text())["project"]
    ((group, entry_points),) = project["entry-points"].items()
    write_metadata(tmp_path, name=project["name"], group=group, entry_points=entry_points)
    return tmp_path


def run(command: str, installed: Path) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": f"{ROOT}{os.pathsep}{installed}"}
    done = subprocess.run(
        ["bash", "-euc", command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=CONTRACT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_runner_of_the_page_keeps_the_contract(installed: Path) -> None:
    (command,) = (block.text for block in marked_blocks(PAGE) if not block.title)
    printed = run(command, installed)
    assert " passed" in printed
    assert "skipped" not in printed


def test_the_doctor_lets_the_runner_of_the_page_look(installed: Path) -> None:
    look = (
        "from shared.settings import Settings; from worker.doctor.runner import check_runner; "
        "print(*check_runner(Settings.load(_env_file=None, runner='shell'), __import__('os').environ))"
    )
    assert "subject='setsid', state=<State.OK" in run(f'python -c "{look}"', installed)
