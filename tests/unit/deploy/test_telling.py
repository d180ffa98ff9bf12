"""A command that takes long is told of while it runs, so that nobody takes it for hung."""

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.dependencies.telling import run_telling

UNTIL_TOLD_TWICE = (
    "import pathlib, sys, time\nwhile not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.01)\nsys.exit(3)"
)


def test_it_is_told_again_and_again_that_a_command_runs_and_its_exit_code_comes_back(tmp_path: Path) -> None:
    told: list[str] = []

    def say(text: str) -> None:
        told.append(text)
        if len(told) == 2:
            (tmp_path / "told").touch()

    command = [sys.executable, "-c", UNTIL_TOLD_TWICE, str(tmp_path / "told")]
    assert run_telling(command, "still building", every_seconds=0.05, say=say) == 3
    assert len(told) >= 2
    assert told[0] == "  still building, for 0 s now ..."


def test_a_command_that_is_quick_says_nothing_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_telling([sys.executable, "-c", ""], "still building") == 0
    assert capsys.readouterr().out == ""


def test_a_command_whose_time_is_up_is_ended() -> None:
    forever = [sys.executable, "-c", "import time; time.sleep(600)"]
    with pytest.raises(subprocess.TimeoutExpired):
        run_telling(forever, "still building", timeout_seconds=0.1, every_seconds=0.05, say=lambda _: None)
