"""The worker calls nobody at home: what must be set before MLflow is imported, by whichever module comes first."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
LOOK = """
import os, sys

class Look:
    def find_spec(self, name, *_):
        if name == "mlflow":
            print(os.environ.get("MLFLOW_DISABLE_TELEMETRY"))

sys.meta_path.insert(0, Look())
import worker.__main__
"""


def test_mlflows_telemetry_is_off_before_mlflow_is_imported() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOOK], cwd=ROOT, env={}, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "true\n"
