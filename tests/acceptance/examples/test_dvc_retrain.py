"""examples/dvc-retrain: a dataset in DVC with its data in Azure, two revisions of it, and what became of each model."""

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import ContainerClient, ContainerSasPermissions, generate_container_sas
from mlflow.tracking import MlflowClient

from tests.acceptance.support.datasets import EXAMPLE, publish
from tests.acceptance.support.leaks import Secret, answers_with, files_with, runs_with
from tests.support.projects.dvc_repository import DvcAuthor
from tests.support.servers.azurite import ACCOUNT, Azurite
from tests.support.servers.example_image import build_example_image
from tests.support.servers.git_server import GitServer
from tests.support.servers.stack import Stack, running_stack

CREDENTIAL = "AZURE_STORAGE_CONNECTION_STRING"
PASSWORD = Secret("reader", "hunter-7Qx2/@k")
Train = Callable[[str], dict[str, Any]]


@pytest.fixture
def container(azurite: Azurite) -> Iterator[ContainerClient]:
    with azurite.new_container() as container:
        yield container


@pytest.fixture
def signature(azurite: Azurite, container: ContainerClient) -> str:
    """A SAS by which the data can be read, and no more."""
    return generate_container_sas(
        ACCOUNT,
        container.container_name,
        account_key=azurite.key,
        permission=ContainerSasPermissions(read=True, list=True),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )


@pytest.fixture
def stack(azurite: Azurite, signature: str, tmp_path: Path) -> Iterator[Stack]:
    """A stack whose operator lets projects have that SAS, and reach the servers of this test."""
    build_example_image("dvc-retrain")
    lent = f"BlobEndpoint={azurite.url};SharedAccessSignature={signature}"
    settings = {CREDENTIAL: lent, "PROJECT_ENV_ALLOWLIST": CREDENTIAL, "CONTAINER_NETWORK": "host"}
    with running_stack(tmp_path / "stack", runner="docker", settings=settings) as up:
        yield up


@pytest.fixture
def git_server(tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path / "git", PASSWORD.username, PASSWORD.password) as server:
        yield server


@pytest.fixture
def author(
    azurite: Azurite,
    container: ContainerClient,
    git_server: GitServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> DvcAuthor:
    """Who makes the dataset, and may write."""
    monkeypatch.setenv(CREDENTIAL, azurite.connection_string)
    repository = git_server.create("digits", {"README": "data"})
    return DvcAuthor(tmp_path / "author", repository, remote_url=f"azure://{container.container_name}/dvc")


@pytest.fixture
def train(stack: Stack, clone: Path, git_server: GitServer) -> Train:
    """Retrains the example on a revision of the data, and gives the job at its end."""
    model = f"digits-dvc {uuid.uuid4().hex[:8]}"
    dataset = git_server.url("digits", with_credentials=True)

    def train(rev: str) -> dict[str, Any]:
        body = {"experiment_name": "dvc-retrain", "git_uri": f"file://{clone}", "model_name": model}
        body |= {"MLproject_location": "examples/dvc-retrain", "dataset_repo": f"{dataset}@{rev}"}
        job = stack.wait(stack.post(body), timeout_seconds=180)
        assert job["state"] == "succeeded", (job["reason"], stack.job_log(job))
        return job

    return train


def test_newer_data_gives_the_champion_and_older_data_does_not_take_it_back(
    train: Train, author: DvcAuthor, git_server: GitServer, stack: Stack, signature: str, tmp_path: Path
) -> None:
    older = publish(author, tmp_path / "older", 100)
    first = train("main")
    newer = publish(author, tmp_path / "newer", 1347)
    second, third = train("main"), train(older)

    jobs = (first, second, third)
    assert [job["resolved"]["dataset"]["rev"] for job in jobs] == [older, newer, older]
    digests = [job["resolved"]["dataset"]["digest"] for job in jobs]
    assert digests[0] == digests[2] != digests[1]
    assert {job["resolved"]["dataset"]["repo"] for job in jobs} == {git_server.url("digits")}
    client = MlflowClient(stack.urls["mlflow"])
    inputs = client.get_run(second["mlflow"]["run_id"]).inputs
    assert inputs is not None
    assert [each.dataset.digest in digests[1] for each in inputs.dataset_inputs] == [True]

    readme = (EXAMPLE / "README.md").read_text()
    assert [job["promotion"]["promoted"] for job in jobs] == [True, True, False]
    assert f"`{second['promotion']['reason']}`" in readme
    assert f"`{third['promotion']['reason']}`" in readme
    champion = client.get_model_version_by_alias(second["model"]["name"], "champion")
    assert champion.run_id == second["mlflow"]["run_id"]

    for secret in (PASSWORD, Secret(ACCOUNT, signature.rpartition("sig=")[2])):
        assert files_with(secret, stack.folder) == []
        assert answers_with(secret, stack, first) == runs_with(secret, stack, first) == []
