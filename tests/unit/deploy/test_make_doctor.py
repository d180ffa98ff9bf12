"""`make doctor` asks where the worker is: in the Compose stack if there is one here, else in this checkout."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "deploy").mkdir()
    for name in ("Makefile", "deploy/Makefile", "requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def would_run(folder: Path) -> str:
    done = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", "doctor", "ARGS=--json"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("place", ["", "deploy"])
def test_in_compose_it_runs_a_worker_of_the_stack_whether_one_is_up_and_builds_nothing(
    checkout: Path, place: str
) -> None:
    (checkout / "deploy/.env").touch()
    said = would_run(checkout / place)
    assert "docker compose run --rm --no-deps --quiet-pull worker python -m worker.doctor --json" in said
    assert "venv" not in said


def test_elsewhere_it_runs_in_the_checkouts_own_python(checkout: Path) -> None:
    said = would_run(checkout)
    assert ".venv/bin/python -m worker.doctor --json" in said
    assert "docker" not in said
