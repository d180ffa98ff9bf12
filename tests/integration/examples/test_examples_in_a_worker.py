"""examples/ through a real worker, queue, store, git and MLflow: runs, versions and decisions are looked up there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from shared.errors import Code
from shared.jobs.model import Job
from tests.support.servers.git_repository import bare_repository
from tests.support.servers.mlflow_server import running_mlflow_server
from tests.support.servers.valkey import running_valkey
from tests.support.servers.worker import WorkerProcess, worker_process

EXAMPLES = Path(__file__).parents[3] / "examples"
SEARCH = "sklearn-dummy-hyperparameter"
TRAINING_SECONDS = 120


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    folder = tmp_path_factory.mktemp("worker")
    with (
        running_valkey() as valkey,
        running_mlflow_server(tmp_path_factory.mktemp("mlflow")) as mlflow_url,
        worker_process(
            folder, redis_url=valkey.url, tracking_uri=mlflow_url, DATASET_CACHE=str(folder / "cache")
        ) as started,
    ):
        yield started


@pytest.fixture(scope="module")
def git_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A repository with the examples that need no data."""
    files = [EXAMPLES / name / file for name in ("sklearn-dummy", SEARCH) for file in ("MLproject", "train.py")]
    contents = {file.relative_to(EXAMPLES).as_posix(): file.read_text() for file in files}
    return bare_repository(tmp_path_factory.mktemp("project") / "examples.git", contents).uri


@pytest.fixture
def client(worker: WorkerProcess) -> MlflowClient:
    return MlflowClient(worker.tracking_uri)


def trained(worker: WorkerProcess, git_uri: str, example: str, **request: Any) -> Job:
    job = worker.submit(git_uri=git_uri, MLproject_location=example, **request)
    return worker.ended(job, seconds=TRAINING_SECONDS)


@pytest.fixture(scope="module")
def searched(worker: WorkerProcess, git_uri: str) -> Job:
    """A search with the defaults, the first of its model."""
    return trained(worker, git_uri, SEARCH, model_name="digits-searched")


@pytest.fixture(scope="module")
def first(worker: WorkerProcess, git_uri: str) -> Job:
    """The first version of 'digits'."""
    return trained(worker, git_uri, "sklearn-dummy", model_name="digits", parameters={"epochs": 1})


def test_a_search_is_nested_in_the_jobs_run_and_its_best_passes_the_gate(
    searched: Job, worker: WorkerProcess, client: MlflowClient
) -> None:
    assert searched.result, worker.output(searched)
    assert searched.result["decision"]["promoted"]
    assert searched.result["model_versions"] == [{"name": "digits-searched", "version": "1"}]
    version = client.get_model_version("digits-searched", "1")
    assert (version.run_id, version.tags["retrain.job_id"]) == (searched.run_id, searched.id)

    parent = client.get_run(searched.run_id or "")
    children = client.search_runs([parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{searched.run_id}'")
    tried = [(child.data.params["alpha"], child.data.params["l1_ratio"]) for child in children]
    assert sorted(tried) == [(alpha, ratio) for alpha in ("0.001", "0.1") for ratio in ("0.15", "0.9")]
    assert {run.info.status for run in (parent, *children)} == {"FINISHED"}
    best = max(children, key=lambda child: child.data.metrics["validation_accuracy"])
    assert parent.data.tags["best_child"] == best.info.run_id
    assert best.data.params.items() <= parent.data.params.items()
    assert best.data.metrics.items() <= parent.data.metrics.items()


def test_a_worse_search_changes_nothing_and_a_better_one_takes_over(
    searched: Job, worker: WorkerProcess, git_uri: str, client: MlflowClient
) -> None:
    further = [
        trained(worker, git_uri, SEARCH, model_name="digits-searched", parameters={"alphas": alphas})
        for alphas in ("0.1", "0.0001,0.001")
    ]

    decisions = [(job.result or {})["decision"] for job in (searched, *further)]
    assert [decision["promoted"] for decision in decisions] == [True, False, True]
    readme = (EXAMPLES / SEARCH / "README.md").read_text()
    assert [f"`{decision['reason']}`" in readme for decision in decisions] == [True] * 3
    champion = client.get_model_version_by_alias("digits-searched", "champion")
    assert (str(champion.version), champion.run_id) == ("2", further[-1].run_id)


def test_a_job_trains_the_champion_further_and_shows_which_version_that_was(
    first: Job, worker: WorkerProcess, git_uri: str, client: MlflowClient
) -> None:
    champion = {"base_model": "models:/digits@champion", "parameters": {"epochs": 1}}
    further = trained(worker, git_uri, "sklearn-dummy", model_name="digits-further", **champion)

    assert further.result, worker.output(further)
    assert further.base_model_version == "1"
    assert client.get_run(further.run_id or "").data.params["base_model"] == "models:/digits/1"
    source = client.get_model_version("digits", "1").source
    assert further.result["base_model"] == {"name": "digits", "version": "1", "run_id": first.run_id, "source": source}
    assert len(list((worker.folder / "cache" / "entries").iterdir())) == 1


def test_a_base_model_that_is_not_there_ends_the_job_with_what_there_is_before_it_trains(
    first: Job, worker: WorkerProcess, git_uri: str
) -> None:
    assert first.result
    job = trained(worker, git_uri, "sklearn-dummy", base_model="models:/digits/9")

    assert job.reason
    assert (job.reason.code, len(job.attempts), job.attempt.container) == (Code.INVALID_PARAMETER, 1, None)
    assert "model 'digits' has no version 9 (it has: versions 1; aliases champion)" in job.reason.message
