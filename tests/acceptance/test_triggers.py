"""Retrainings that start by themselves: a DVC repository in Azure grows by a commit, and nobody sends a job."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.storage.blob import ContainerClient, ContainerSasPermissions, generate_container_sas
from mlflow.tracking import MlflowClient

from tests.acceptance.support.datasets import publish
from tests.acceptance.support.leaks import Secret, files_with
from tests.support.projects.dvc_repository import DvcAuthor
from tests.support.servers.azurite import ACCOUNT, Azurite
from tests.support.servers.git_server import GitServer
from tests.support.servers.stack import Stack, running_stack
from tests.support.waiting import wait_until

CREDENTIAL = "AZURE_STORAGE_CONNECTION_STRING"
PASSWORD = Secret("reader", "hunter-7Qx2/@k")
NAME = "new-data"
Event = dict[str, Any]


@pytest.fixture
def container(azurite: Azurite) -> Iterator[ContainerClient]:
    with azurite.new_container() as container:
        yield container


@pytest.fixture
def stack(azurite: Azurite, container: ContainerClient, tmp_path: Path) -> Iterator[Stack]:
    """A stack on processes whose operator lets projects read that container; it starts while the data is made."""
    signature = generate_container_sas(
        ACCOUNT,
        container.container_name,
        account_key=azurite.key,
        permission=ContainerSasPermissions(read=True, list=True),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    lent = f"BlobEndpoint={azurite.url};SharedAccessSignature={signature}"
    settings = {CREDENTIAL: lent, "PROJECT_ENV_ALLOWLIST": CREDENTIAL, "DOCKER_HOST": f"unix://{tmp_path}/no-docker"}
    with running_stack(tmp_path / "stack", runner="process", settings=settings, ready=False) as up:
        yield up


@pytest.fixture
def git_server(tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path / "git", PASSWORD.username, PASSWORD.password) as server:
        yield server


@pytest.fixture
def author(
    azurite: Azurite, container: ContainerClient, git_server: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> DvcAuthor:
    monkeypatch.setenv(CREDENTIAL, azurite.connection_string)
    repository = git_server.create("digits", {"README": "data"})
    return DvcAuthor(tmp_path / "author", repository, remote_url=f"azure://{container.container_name}/dvc")


class Watched:
    """The trigger, by the API."""

    def __init__(self, stack: Stack, template: dict[str, Any]) -> None:
        self._stack, self._template = stack, template

    def write(self, method: str, path: str, **body: Any) -> None:
        """Write it, with this condition and policy."""
        sent = {"template": self._template, **body}
        answer = requests.request(method, f"{self._stack.urls['api']}{path}", json=sent, timeout=30)
        assert answer.ok, answer.text

    def events(self) -> list[Event]:
        """What happened to it, the newest first."""
        found: list[Event] = self._stack.get(f"/triggers/{NAME}/events").json()["events"]
        return found

    def next(self, outcome: str, *, after: int = 0) -> Event:
        """The first event with that outcome after that number."""
        found: list[Event] = []

        def is_there() -> bool:
            found[:] = [each for each in self.events() if each["outcome"] == outcome and each["number"] > after]
            return bool(found)

        wait_until(is_there, timeout_seconds=60, every_seconds=0.2, what=f"an event that is {outcome}")
        return found[-1]


def test_a_commit_to_a_dvc_repository_is_noticed_retrained_and_promoted_and_the_same_again_is_skipped(
    stack: Stack, author: DvcAuthor, git_server: GitServer, clone: Path, tmp_path: Path
) -> None:
    older = publish(author, tmp_path / "older", 100)
    model = f"digits-dvc {uuid.uuid4().hex[:8]}"
    template = {"experiment_name": "dvc", "git_uri": f"file://{clone}", "model_name": model}
    template |= {"MLproject_location": "examples/dvc-retrain"}
    watched = Watched(stack, template | {"dataset_repo": f"{git_server.url('digits', with_credentials=True)}@main"})
    stack.wait_ready()
    skipping = {"skip_if_same_inputs": True}
    watched.write("POST", "/triggers", name=NAME, when={"dataset": {"look_every_seconds": 10}}, policy=skipping)
    assert watched.next("unchanged")["reason"] == f"revision is {older[:12]}…; from now on a change fires"

    newer = publish(author, tmp_path / "newer", 1347)
    fired = watched.next("fired")
    assert (fired["facts"]["before"], fired["facts"]["revision"]) == (older, newer)
    job = stack.wait({"id": fired["job_id"]}, timeout_seconds=120)
    assert job["state"] == "succeeded", (job["reason"], stack.job_log(job))
    assert (job["trigger"], job["resolved"]["dataset"]["rev"]) == (NAME, newer)
    assert job["promotion"]["promoted"], job["promotion"]
    champion = MlflowClient(stack.urls["mlflow"]).get_model_version_by_alias(model, "champion")
    assert champion.run_id == job["mlflow"]["run_id"]

    still = watched.next("unchanged", after=fired["number"])
    assert still["reason"] == f"revision is still {newer[:12]}…"
    watched.write("PUT", f"/triggers/{NAME}", when={"every": 10}, policy=skipping)
    skipped = watched.next("skipped", after=still["number"])
    assert skipped["reason"] == "same inputs as the trigger's last success"
    assert [each["id"] for each in stack.get("/jobs", trigger=NAME).json()["jobs"]] == [job["id"]]
    folders = stack.data / "processes"  # of trainings, with their credentials until they have ended
    wait_until(lambda: not [*folders.glob("*/retrain-*")], what="a training's folder that is removed")
    assert files_with(PASSWORD, stack.folder) == []
