"""Data and base model of an attempt: pinned by the first one, and the same for every later one."""

import hashlib
from pathlib import Path

import pytest

from shared.addresses.git_uri import Credentials
from shared.errors import Code, FailureType
from tests.fakes.worker import FakeWorker
from tests.unit.worker.attempt.preparing import PROJECT, DockerWorker, started
from worker.credentials.keys import Keys


@pytest.fixture
def worker(tmp_path: Path) -> FakeWorker:
    return DockerWorker.new(tmp_path, project_env_allowlist="REGION", mlflow_tracking_uri="http://127.0.0.1:5007")


def with_dataset(worker: FakeWorker) -> FakeWorker:
    worker.source.project = PROJECT.replace("experiment_name", "dataset_repo")
    return worker


DATA = "https://git.example/data.git"
FIRST = hashlib.sha1(b"v1", usedforsecurity=False).hexdigest()
NEWEST = hashlib.sha1(b"HEAD", usedforsecurity=False).hexdigest()


@pytest.mark.parametrize(
    ("asked", "parameter", "pinned"),
    [
        (f"{DATA}@v1", f"{DATA}@{FIRST}", f"{DATA}@{FIRST}"),
        (f"{DATA}@v1:a/b", f"{DATA}@{FIRST}:a/b", f"{DATA}@{FIRST}:a/b"),
        (DATA, DATA, f"{DATA}@{NEWEST}"),
        ("https://git.example/data@v1", f"https://git.example/data@{FIRST}", f"https://git.example/data@{FIRST}"),
        ("https://git.example/data", "https://git.example/data", None),
        ("http://other.example/data.git", "http://other.example/data.git", None),
        ("not_used", "not_used", None),
    ],
)
def test_the_data_is_pinned_to_the_commit_that_the_first_attempt_finds(
    worker: FakeWorker, asked: str, parameter: str, pinned: str | None
) -> None:
    taken, spec = started(with_dataset(worker), dataset_repo=asked)
    [run] = worker.tracking.runs.values()
    assert run.request.parameters["dataset_repo"] == parameter
    assert spec.env.get("RETRAIN_DATASET_REPO") == pinned
    assert worker.store.get(taken.job.id).dataset_repo == pinned


def test_a_later_attempt_uses_the_data_of_the_first_and_does_not_look_again(worker: FakeWorker) -> None:
    pinned = f"{DATA}@{FIRST}"
    _, spec = started(with_dataset(worker), dataset_repo=f"{DATA}@main", job={"dataset_repo": pinned})
    assert spec.env["RETRAIN_DATASET_REPO"] == pinned
    assert [request.what for request in worker.source.requests] == ["git_uri"]


def test_only_the_datas_own_credentials_are_shown_to_its_host(worker: FakeWorker) -> None:
    dataset = Credentials("https://git.example/", "robot", "ghp_s3cret")
    started(with_dataset(worker), Keys(dataset=dataset), dataset_repo=DATA)
    assert [request.credentials for request in worker.source.requests] == [None, dataset]


OWN_DEFAULTS = PROJECT.replace(
    "experiment_name: string",
    "base_model: {default: mobile_v2}\n      dataset_repo: {default: 'https://git.example/d.git'}",
).replace("{experiment_name}", "{base_model} {dataset_repo}")


def test_a_projects_own_defaults_stand_where_the_request_says_nothing(worker: FakeWorker) -> None:
    worker.source.project = OWN_DEFAULTS
    _, spec = started(worker)
    assert spec.command.endswith("python train.py 0.5 mobile_v2 https://git.example/d.git")
    _, spec = started(worker, base_model="", dataset_uri="")
    assert spec.command.endswith("python train.py 0.5 mobile_v2 https://git.example/d.git")
    assert [request.what for request in worker.source.requests] == ["git_uri", "git_uri"]

    _, spec = started(worker, base_model="None", dataset_repo="not_used")
    assert spec.command.endswith("python train.py 0.5 None not_used")


def test_a_job_that_an_earlier_version_recorded_has_the_words_that_it_wrote(worker: FakeWorker) -> None:
    worker.source.project = OWN_DEFAULTS
    recorded = worker.store.get(worker.submit()).request
    assert not {"base_model", "dataset_repo"} & set(recorded)
    earlier = {**recorded, "base_model": "None", "dataset_repo": "not_used"}
    _, spec = started(worker, job={"request": earlier})
    assert spec.command.endswith("python train.py 0.5 None not_used")


def test_data_of_a_project_that_takes_none_is_not_looked_at(worker: FakeWorker) -> None:
    started(worker, dataset_repo=DATA)
    assert [request.what for request in worker.source.requests] == ["git_uri"]


def with_base_model(worker: FakeWorker) -> FakeWorker:
    worker.source.project = PROJECT.replace("experiment_name", "base_model")
    return worker


def test_a_base_model_reaches_every_attempt_as_the_version_that_its_alias_was_at_the_first(worker: FakeWorker) -> None:
    worker.tracking.base_models = {"models:/iris@champion": "3", "models:/iris/3": "3"}
    taken, spec = started(with_base_model(worker), base_model="models:/iris@champion")
    assert spec.command.endswith(" models:/iris/3")
    known = worker.store.get(taken.job.id).base_model_version
    assert known == "3"

    worker.tracking.base_models["models:/iris@champion"] = "4"
    _, spec = started(worker, base_model="models:/iris@champion", job={"base_model_version": known})
    assert spec.command.endswith(" models:/iris/3")


@pytest.mark.parametrize("word", ["None", "yolov8n.pt", "/models/base", "base_model"])
def test_a_base_model_that_only_the_project_understands_reaches_it_as_it_is(worker: FakeWorker, word: str) -> None:
    taken, _ = started(with_base_model(worker), base_model=word)
    [run] = worker.tracking.runs.values()
    assert run.request.parameters["base_model"] == word
    assert worker.store.get(taken.job.id).base_model_version is None


def test_a_base_model_of_a_registry_that_the_project_brings_itself_is_not_looked_up(worker: FakeWorker) -> None:
    with_base_model(worker)
    worker.source.project = worker.source.project.replace('"SEED", "7"', '"MLFLOW_REGISTRY_URI", "databricks-uc"')
    _, spec = started(worker, base_model="models:/main.team.iris@champion")
    assert spec.command.endswith(" models:/main.team.iris@champion")


def test_a_base_model_that_is_not_there_ends_the_job_before_a_container_is_made(worker: FakeWorker) -> None:
    job_id = with_base_model(worker).submit(base_model="models:/iris/9")
    worker.run(job_id)

    reason = worker.store.get(job_id).reason
    assert reason
    assert (reason.code, reason.type) == (Code.INVALID_PARAMETER, FailureType.USER_ERROR)
    assert worker.host.started == []


def test_a_base_model_is_looked_up_again_when_the_tracking_server_was_away(worker: FakeWorker) -> None:
    worker.tracking.base_models = {"models:/iris/3": "3"}
    worker.tracking.down = True
    job_id = with_base_model(worker).submit(base_model="models:/iris/3")
    worker.run(job_id)
    job = worker.store.get(job_id)
    assert (job.state, job.attempt.reason and job.attempt.reason.code) == ("retry_wait", Code.TRACKING_UNAVAILABLE)


def test_a_base_model_of_a_project_that_takes_none_is_not_looked_at(worker: FakeWorker) -> None:
    taken, _ = started(worker, base_model="models:/iris/9")
    assert worker.store.get(taken.job.id).base_model_version is None
