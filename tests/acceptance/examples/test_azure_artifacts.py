"""Models and logs in Azure Blob storage, behind the MLflow server, which alone can open it."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.storage.blob import ContainerClient
from mlflow.tracking import MlflowClient

from tests.acceptance.support.checkout import ROOT
from tests.acceptance.support.leaks import Secret, docker_with, environments_with, files_with
from tests.acceptance.support.projects import WAIT_FOR_GO, let_go, mlproject, repository
from tests.support.servers.azurite import ACCOUNT, Azurite
from tests.support.servers.example_image import build_example_image
from tests.support.servers.stack import Stack, running_stack


@pytest.fixture
def image() -> str:
    return build_example_image()


@pytest.fixture
def container(azurite: Azurite) -> Iterator[ContainerClient]:
    with azurite.new_container() as container:
        yield container


@pytest.fixture
def stack(azurite: Azurite, container: ContainerClient, tmp_path: Path) -> Iterator[Stack]:
    settings = {
        "ARTIFACTS_DESTINATION": f"wasbs://{container.container_name}@{ACCOUNT}.blob.core.windows.net/mlflow",
        "AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string,
    }
    with running_stack(tmp_path / "stack", runner="docker", settings=settings) as up:
        yield up


def test_a_containers_model_and_log_are_blobs_and_it_has_no_credential_of_them(
    image: str, stack: Stack, azurite: Azurite, container: ContainerClient, tmp_path: Path
) -> None:
    name, key = f"digits {uuid.uuid4().hex[:8]}", Secret(ACCOUNT, azurite.key)
    command = f"env && {WAIT_FOR_GO} && python train.py --epochs 2 --model_name {{model_name}}"
    files = {"MLproject": mlproject(command, image=image, parameters="{model_name: string}")}
    files["train.py"] = (ROOT / "examples/sklearn-dummy/train.py").read_text()
    git_uri = repository(tmp_path / "project", files)

    job = stack.post({"experiment_name": "azure", "git_uri": git_uri, "model_name": name})
    stack.wait_running(job)
    (training,) = stack.containers()
    assert docker_with(key, stack) == []
    holders = environments_with(key, stack.processes())
    let_go(training)
    ended = stack.wait(job)
    assert ended["state"] == "succeeded", (ended["reason"], stack.job_log(job))
    assert any("mlflow_in_place" in line for line in holders)
    ours = ("mlflow_in_place", "deploy.one_machine.stack")  # MLflow, as it serves, and who started it
    assert [line for line in holders if not any(each in line for each in ours)] == []

    log = stack.job_log(job)
    assert f"RETRAIN_JOB_ID={job['id']}" in log
    assert "AZURE_" not in log
    blobs = list(container.list_blob_names(name_starts_with="mlflow/"))
    (kept,) = (blob for blob in blobs if blob.endswith("/artifacts/retrain/attempt-1.log"))
    assert container.download_blob(kept).readall().decode() == log
    assert any(blob.endswith("/artifacts/MLmodel") for blob in blobs)

    run_id = ended["mlflow"]["run_id"]
    client = MlflowClient(stack.urls["mlflow"])
    assert client.get_run(run_id).info.artifact_uri.startswith("mlflow-artifacts:")
    local = client.download_artifacts(run_id, "retrain/attempt-1.log", str(tmp_path))
    assert Path(local).read_text() == log
    assert not (stack.data / "mlflow" / "artifacts").exists()
    assert files_with(key, stack.folder) == []
