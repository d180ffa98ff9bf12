"""The images of examples/: mlflow-skinny, what they train with, and mypackage as it is in this checkout."""

import subprocess
from pathlib import Path

from tests.support.engines import docker_or_skip

ROOT = Path(__file__).parents[3]
BUILD_SECONDS = 500


def build_example_image(example: str = "sklearn-dummy") -> str:
    """Build it as its README says, and return its name."""
    docker_or_skip().close()
    name = f"retrain-example-{example}"
    command = ["docker", "build", "--quiet", "--file", f"examples/{example}/Dockerfile", "--tag", name, "."]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return name
