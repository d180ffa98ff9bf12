"""What the worker loads: not MLflow, which would be half of its memory, and calls home unless it is told not to."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
LOOK = """
import os, sys
import worker.__main__, worker.composition

print(*{name.partition(".")[0] for name in sys.modules}, os.environ.get("MLFLOW_DISABLE_TELEMETRY"))
"""
FORBIDDEN = {"matplotlib", "mlflow", "numpy", "pandas", "scipy", "api"}


def test_the_worker_loads_no_mlflow_and_has_its_telemetry_off() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOOK], cwd=ROOT, env={}, capture_output=True, text=True, check=True, timeout=60
    )
    loaded = done.stdout.split()
    assert "celery" in loaded
    assert not FORBIDDEN & set(loaded)
    assert loaded[-1] == "true"
