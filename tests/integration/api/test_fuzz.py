"""Whatever the API's document allows is answered as it says, and what it does not is refused: the short form."""

import subprocess
import sys

import pytest


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "which", [("api", "--roles", "operator", "--phases", "fuzzing,stateful"), ("pages",)], ids=("api", "pages")
)
def test_answers_are_as_documented_and_none_is_a_5xx(which: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "tests.fuzz", "--examples", "1", "--only", *which]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
