"""The image of examples/sklearn-dummy: mlflow-skinny, scikit-learn and mypackage as it is in this checkout."""

import io
import tarfile
from pathlib import Path

import docker

ROOT = Path(__file__).parents[2]
DOCKERFILE = "examples/sklearn-dummy/Dockerfile"
EXAMPLE_IMAGE = "retrain-example-sklearn-dummy"
BUILD_SECONDS = 280


def build_example_image(engine: docker.DockerClient) -> str:
    """Build it from the few files that its Dockerfile needs, and return its name."""
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        for name in ("pyproject.toml", "README.md", "mypackage", "examples/sklearn-dummy"):
            archive.add(ROOT / name, name, filter=lambda entry: None if "__pycache__" in entry.name else entry)
    context.seek(0)
    engine.images.build(
        fileobj=context, custom_context=True, dockerfile=DOCKERFILE, tag=EXAMPLE_IMAGE, rm=True, timeout=BUILD_SECONDS
    )
    return EXAMPLE_IMAGE
