"""The images of examples/: mlflow-skinny, what they train with, and mypackage as it is in this checkout."""

import io
import tarfile
from pathlib import Path

import docker

ROOT = Path(__file__).parents[2]
BUILD_SECONDS = 280


def build_example_image(engine: docker.DockerClient, example: str = "sklearn-dummy") -> str:
    """Build it from the few files that its Dockerfile needs, and return its name."""
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        for name in ("pyproject.toml", "README.md", "mypackage", f"examples/{example}"):
            archive.add(ROOT / name, name, filter=lambda entry: None if "__pycache__" in entry.name else entry)
    context.seek(0)
    engine.images.build(
        fileobj=context,
        custom_context=True,
        dockerfile=f"examples/{example}/Dockerfile",
        tag=f"retrain-example-{example}",
        rm=True,
        timeout=BUILD_SECONDS,
    )
    return f"retrain-example-{example}"
