"""Examples in their own images, which have no more of MLflow than mlflow-skinny."""

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from mlflow.projects.utils import load_project
from mlflow.tracking import MlflowClient

from tests.support.engines import docker_or_skip
from tests.support.example_image import ROOT, build_example_image

CODE_FOLDER = "/mlflow/projects/code"
TRAINING_TIMEOUT_SECONDS = 60


@pytest.fixture(scope="module")
def engine() -> Iterator[docker.DockerClient]:
    client = docker_or_skip()
    yield client
    client.close()


def train(engine: docker.DockerClient, image: str, folder: Path, **run: Any) -> str:
    """Run the training in a container of the image, and return what it printed."""
    container = engine.containers.create(image, network_mode="host", working_dir=CODE_FOLDER, **run)
    try:
        code = io.BytesIO()
        with tarfile.open(fileobj=code, mode="w") as archive:
            archive.add(folder / "train.py", "train.py")
        container.put_archive(CODE_FOLDER, code.getvalue())
        container.start()
        exit_code = container.wait(timeout=TRAINING_TIMEOUT_SECONDS)["StatusCode"]
        log = container.logs().decode()
    finally:
        container.remove(force=True)
    assert exit_code == 0, log
    return log


@pytest.mark.parametrize(
    ("example", "parameters"),
    [("sklearn-dummy", {"epochs": "2"}), ("sklearn-dummy-hyperparameter", {"alphas": "0.001"})],
)
def test_an_example_trains_in_its_own_image(
    engine: docker.DockerClient, mlflow_url: str, tmp_path: Path, example: str, parameters: dict[str, str]
) -> None:
    folder, image = ROOT / "examples" / example, build_example_image(engine, example)
    project = load_project(str(folder))  # type: ignore[no-untyped-call]
    assert project.docker_env["image"] == image
    client = MlflowClient(mlflow_url)
    run_id = client.create_run("0").info.run_id
    model_name = f"digits-{run_id}"
    command = project.get_entry_point("main").compute_command({"model_name": model_name, **parameters}, str(tmp_path))

    environment = {"MLFLOW_TRACKING_URI": mlflow_url, "MLFLOW_RUN_ID": run_id}
    log = train(engine, image, folder, command=["sh", "-c", command], environment=environment)

    assert f"promoted: first version of '{model_name}'" in log
    assert client.get_model_version_by_alias(model_name, "champion").run_id == run_id
