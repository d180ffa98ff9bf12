"""Jobs on the data of a real DVC repository: its remote in Azurite, itself on a git host with a password."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from api.representation import whole_job
from shared.jobs.model import Job, JobState
from shared.links import Links
from shared.requests.retrain_request import RetrainRequest
from tests.support.jobs import new_job
from tests.support.projects.dvc_repository import DvcAuthor
from tests.support.servers.azurite import Azurite
from tests.support.servers.git_server import GitServer
from tests.support.servers.valkey import running_valkey
from tests.support.servers.worker import WorkerProcess, worker_process

PASSWORD = "hunter2-and-more"
PROJECT = """\
name: lines
docker_env:
  image: unused
  environment: [["AZURE_STORAGE_CONNECTION_STRING", "{access}"]]
entry_points:
  main:
    parameters: {{dataset_repo: string}}
    command: "python train.py {{dataset_repo}}"
"""
TRAIN = """\
import sys

import mlflow
import numpy as np
from mypackage import utility
from mypackage.prep_utils import data_and_model_prep
from sklearn.linear_model import LinearRegression

data_and_model_prep("data", repo_url=sys.argv[1], ds_origin="dvc_repo")
x, y = np.loadtxt("data/lines.csv", delimiter=",").T
model = LinearRegression().fit(x[:, None], y)
error = abs(float(model.predict([[10.0]])[0]) - 20)
mlflow.log_metric("error", error)
utility.auto_compare_and_register(
    model=model, eval_metric=error, model_name="{model}", lower=True, p_metric="error",
    client=mlflow.tracking.MlflowClient(), mlflow_model=mlflow.sklearn,
)
"""
WRONG, RIGHT = "1,1\n2,2\n3,3\n", "1,2\n2,4\n3,6\n"
MODEL = "lines-of-a-dataset"


@dataclass
class Team:
    """A project, its data, and the service."""

    worker: WorkerProcess
    project_uri: str
    host: GitServer  # of the data, with a password
    data: DvcAuthor
    client: MlflowClient

    def train(self, dataset_repo: str) -> Job:
        """Submit a job with the data's password, and wait for its end."""
        asked = RetrainRequest(experiment_name="lines", git_uri=self.project_uri, dataset_repo=dataset_repo)
        body, secrets = asked.without_credentials()
        secret = self.worker.settings.vault().seal(secrets)
        job = self.worker.store.submit(new_job(request=body.model_dump(mode="json"), secret=secret)).job
        self.worker.queue.send(job)
        return self.worker.ended(job, seconds=120)

    def url(self, pin: str = "") -> str:
        """The data's address, as its user writes it."""
        return self.host.url("data", with_credentials=True) + pin

    def shown(self, job: Job) -> dict[str, str | None]:
        """What GET /jobs/<id> says of its data."""
        dataset = whole_job(job, Links.of(self.worker.settings), None).resolved.dataset
        assert dataset is not None, self.worker.output(job)
        return dataset.model_dump()


def has_password(path: Path) -> bool:
    """Return whether it stands in the file, which the worker may be removing meanwhile."""
    with suppress(FileNotFoundError):
        return PASSWORD.encode() in path.read_bytes()
    return False


@pytest.fixture
def team(azurite: Azurite, mlflow_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Team]:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azurite.connection_string)
    with (
        GitServer(tmp_path / "projects") as projects,
        GitServer(tmp_path / "data", username="reader", password=PASSWORD) as host,
        running_valkey() as valkey,
        azurite.new_container() as container,
    ):
        project = PROJECT.format(access=azurite.connection_string)
        lines = projects.create("lines", {"MLproject": project, "train.py": TRAIN.format(model=MODEL)})
        remote = f"azure://{container.container_name}/dvc"
        author = DvcAuthor(tmp_path / "author", host.create("data", {"README": "data"}), remote_url=remote)
        options = {"GIT_SCHEMES": "http", "GIT_HOSTS": "127.0.0.1", "HOME": str(tmp_path)}
        with worker_process(tmp_path / "worker", redis_url=valkey.url, tracking_uri=mlflow_url, **options) as worker:
            yield Team(worker, lines.uri, host, author, MlflowClient(mlflow_url))


def test_the_data_is_pinned_and_recorded_and_better_data_makes_the_next_champion(team: Team) -> None:
    first_revision = team.data.commit({"lines": {"lines.csv": WRONG}})
    first = team.train(team.url())
    second_revision = team.data.commit({"lines": {"lines.csv": RIGHT}})
    again = team.train(team.url(f"@{first_revision[:12]}:lines"))
    second = team.train(team.url("@main:lines"))

    assert [job.state for job in (first, again, second)] == [JobState.SUCCEEDED] * 3, team.worker.output(first)
    told = [team.shown(job) for job in (first, again, second)]
    assert [each["rev"] for each in told] == [first_revision, first_revision, second_revision]
    assert {each["repo"] for each in told} == {team.host.url("data")}
    assert {each["path"] for each in told} == {"lines"}
    assert told[0]["digest"] == told[1]["digest"] != told[2]["digest"]
    decisions = [(job.result or {})["decision"]["promoted"] for job in (first, again, second)]
    assert decisions == [True, False, True]
    run = team.client.get_run(str(second.run_id))
    assert run.inputs is not None
    assert [given.dataset.digest for given in run.inputs.dataset_inputs] == [str(told[2]["digest"])[4:]]
    assert run.data.params["dataset_repo"] == f"{team.host.url('data')}@{second_revision}:lines"
    assert team.client.get_model_version_by_alias(MODEL, "champion").run_id == second.run_id
    assert not [path for path in team.worker.folder.rglob("*") if path.is_file() and has_password(path)]


def test_a_repositorys_name_is_never_a_command(team: Team) -> None:
    job = team.train("x; touch pwned")
    assert job.state is JobState.FAILED
    assert job.reason is not None
    assert "Cloning 'x; touch pwned' failed" in job.reason.message
    assert not list(team.worker.folder.rglob("pwned"))
