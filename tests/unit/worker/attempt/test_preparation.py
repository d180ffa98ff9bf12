"""From a claim to a started attempt, on fakes: what the container is given, and what the record says about it."""

import json
from pathlib import Path

import pytest

from shared.errors import Code, UserError
from tests.fakes.worker import FakeWorker
from tests.support.jobs import claim
from tests.unit.worker.attempt.preparing import DockerWorker, started
from worker.credentials.keys import Keys
from worker.runners.seam import Handle
from worker.tracking.run_tags import tags_of


@pytest.fixture
def worker(tmp_path: Path) -> FakeWorker:
    return DockerWorker.new(tmp_path, project_env_allowlist="REGION", mlflow_tracking_uri="http://127.0.0.1:5007")


def test_the_command_is_rendered_and_the_values_are_logged(worker: FakeWorker) -> None:
    _, spec = started(worker, parameters={"alpha": 0.1, "layers": 3})

    assert spec.command.endswith("python train.py 0.1 iris --layers 3")
    [run] = worker.tracking.runs.values()
    assert run.request.parameters == {"alpha": "0.1", "experiment_name": "iris", "layers": "3"}


def test_the_gate_gets_what_the_request_asks_of_it_and_nothing_else(worker: FakeWorker) -> None:
    _, spec = started(worker, promotion={"min_delta": 0.01, "guardrails": {"recall": 0.02}})
    assert json.loads(spec.env["RETRAIN_PROMOTION"]) == {"min_delta": 0.01, "guardrails": {"recall": 0.02}}

    _, spec = started(worker)
    assert "RETRAIN_PROMOTION" not in spec.env


def test_the_training_finds_its_run_by_its_environment(worker: FakeWorker) -> None:
    taken, spec = started(worker)

    assert (
        dict(spec.env).items()
        >= {
            "SEED": "7",
            "RETRAIN_JOB_ID": taken.job.id,
            "RETRAIN_ATTEMPT": "1",
            "RETRAIN_RUN_ID": f"run-{taken.job.id}-1",
            "MLFLOW_RUN_ID": f"run-{taken.job.id}-1",
            "MLFLOW_EXPERIMENT_ID": "1",
            "MLFLOW_TRACKING_URI": "http://host.docker.internal:5007",
        }.items()
    )


def test_the_training_and_its_run_know_the_request_that_asked_for_them(worker: FakeWorker) -> None:
    _, spec = started(worker, job={"request_id": "nightly.7"})

    assert spec.env["RETRAIN_REQUEST_ID"] == "nightly.7"
    assert [tags_of(run.request)["retrain.request_id"] for run in worker.tracking.runs.values()] == ["nightly.7"]


def test_the_run_of_a_triggers_job_says_what_fired_it(worker: FakeWorker) -> None:
    by = {"trigger": "nightly", "kind": "git", "key": "push 1", "facts": {"branch": "main"}}
    started(worker, job={"trigger_name": "nightly", "triggered_by": by})
    started(worker, job={"trigger_name": "nightly", "triggered_by": {**by, "facts": {"branch": "x" * 5000}}})

    tags = [tags_of(run.request) for run in worker.tracking.runs.values()]
    assert [each["retrain.trigger"] for each in tags] == ["nightly", "nightly"]
    assert [json.loads(each["retrain.triggered_by"]) for each in tags] == [by, {**by, "facts": {}}]


def test_the_run_has_the_name_that_the_request_gives_it_or_that_of_model_and_commit(worker: FakeWorker) -> None:
    started(worker, run_name="iris, more trees")
    started(worker, model_name="iris-classifier")

    named = [tags_of(run.request)["mlflow.runName"] for run in worker.tracking.runs.values()]
    sha = next(run.request.commit_sha for run in worker.tracking.runs.values())
    assert named == ["iris, more trees", f"iris-classifier {sha[:7]}"]


def test_a_job_of_an_older_version_trains_without_a_request_id(worker: FakeWorker) -> None:
    _, spec = started(worker)

    assert "RETRAIN_REQUEST_ID" not in spec.env
    assert ["retrain.request_id" in tags_of(run.request) for run in worker.tracking.runs.values()] == [False]


def test_the_record_says_what_was_found_out(worker: FakeWorker) -> None:
    taken, _ = started(worker)

    job = worker.store.get(taken.job.id)
    assert (job.image, job.image_id, job.experiment_id) == ("iris:1", "sha256:iris:1", "1")
    assert job.run_id == job.attempt.run_id == f"run-{job.id}-1"
    assert len(job.commit_sha or "") == 40


def test_the_run_is_tagged_with_its_image(worker: FakeWorker) -> None:
    started(worker)

    (run,) = worker.tracking.runs.values()
    assert (run.request.image, run.request.image_id) == ("iris:1", "sha256:iris:1")


def test_limits_reach_the_runner(worker: FakeWorker) -> None:
    _, spec = started(worker, resources={"cpus": 1.5, "memory": "2g"})

    assert (spec.cpus, spec.memory_bytes) == (1.5, 2 * 2**30)


def test_a_project_without_an_image_does_not_train_in_containers(worker: FakeWorker) -> None:
    worker.source.project = 'name: iris\nentry_points: {main: {command: "true"}}\n'
    taken = claim(worker.store, worker.submit())

    with pytest.raises(UserError, match=r"docker_env\.image") as error:
        worker.preparation.start(taken, Keys())
    assert error.value.code == Code.INVALID_PROJECT
    assert worker.tracking.runs == {}


@pytest.mark.parametrize("key", ["python_env", "conda_env"])
def test_a_project_with_packages_and_no_image_is_told_all_that_is_needed_at_once(worker: FakeWorker, key: str) -> None:
    points = 'entry_points: {main: {command: "true"}}\n'
    worker.source.project = f"name: iris\n{key}: MLproject\n{points}"
    with pytest.raises(UserError, match=f"in the place of {key}|MLflow takes only one") as error:
        started(worker)
    assert "must have the packages of MLproject" in error.value.message

    worker.source.project = f"name: iris\ndocker_env: {{image: iris:1}}\n{points}"  # as that says
    _, spec = started(worker)
    assert spec.command == "true"


def test_a_project_that_copies_what_the_service_sets_needs_no_operator(worker: FakeWorker) -> None:
    worker.source.project = worker.source.project.replace('"REGION"', "MLFLOW_TRACKING_URI, MLFLOW_RUN_ID")
    _, spec = started(worker)
    assert spec.env["MLFLOW_TRACKING_URI"] == "http://host.docker.internal:5007"
    assert spec.env["MLFLOW_RUN_ID"].startswith("run-")


def test_a_project_that_copies_the_login_of_mlflow_gets_the_services(worker: FakeWorker) -> None:
    names = "MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD, MLFLOW_TRACKING_TOKEN"
    worker.source.project = worker.source.project.replace('"REGION"', names)
    _, spec = started(worker)
    assert b"MLFLOW_TRACKING_PASSWORD=mlflow-pass" in spec.private_files["exports"]


def test_an_image_that_cannot_be_pulled_is_found_out_before_the_run_is_made(worker: FakeWorker) -> None:
    worker.runner.image_error = UserError(Code.IMAGE_PULL_FAILED, "There is no image iris:1.")
    taken = claim(worker.store, worker.submit())

    with pytest.raises(UserError):
        worker.preparation.start(taken, Keys())
    assert worker.tracking.runs == {}


@pytest.mark.parametrize("breaks", [False, True])
def test_the_source_is_gone_once_the_attempt_has_it(worker: FakeWorker, breaks: bool) -> None:
    if breaks:
        worker.tracking.down = True
        with pytest.raises(Exception, match="does not answer"):
            started(worker)
    else:
        started(worker)

    assert worker.source.list_names() == []


def test_a_folder_that_cannot_be_removed_does_not_end_the_attempt(
    worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_name: str) -> None:
        raise OSError("Device or resource busy")

    monkeypatch.setattr(worker.source, "discard", refuse)
    taken = claim(worker.store, worker.submit())

    assert isinstance(worker.preparation.start(taken, Keys()), Handle)


def test_the_gpus_of_the_claim_reach_the_runner(tmp_path: Path) -> None:
    worker = FakeWorker.new(tmp_path, retrain_gpus="a,b")
    worker.sweep.once(reconcile=True)
    job_id = worker.submit(resources={"gpus": 2}, job={"gpus": 2})
    worker.run(job_id)

    assert [spec.gpu_ids for spec in worker.host.started] == [("a", "b")]
    assert worker.store.get(job_id).attempt.gpu_ids == ("a", "b")
