"""A short drill: one fault of each kind that this machine can inject. `make drill` runs long ones."""

import subprocess
import sys

import pytest

from tests.acceptance.support.checkout import ROOT

FAULTS, SEED = 12, 7
DRILL_SECONDS = 600


@pytest.mark.timeout(DRILL_SECONDS + 60)
def test_a_short_drill_passes() -> None:
    drill = subprocess.run(
        [sys.executable, "-m", "tests.drill", "--faults", str(FAULTS), "--seed", str(SEED)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=DRILL_SECONDS,
        check=False,
    )

    assert drill.returncode == 0, drill.stdout[-20_000:] + drill.stderr[-5000:]
    assert f"{FAULTS} faults in" in drill.stdout
