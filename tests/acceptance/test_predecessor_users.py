"""The two files that the predecessor's README told its users to write, and its body: they retrain without edits."""

import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from docker.errors import ImageNotFound
from mlflow.tracking import MlflowClient

from tests.acceptance.support.checkout import ROOT
from tests.acceptance.support.projects import repository
from tests.support.engines import docker_or_skip
from tests.support.projects.predecessor import (
    BLOCK_MLPROJECT,
    COPIED_HELPER,
    COPIED_TRAINING,
    DOCUMENTED_IMAGE,
    DOCUMENTED_MLPROJECT,
    DOCUMENTED_TRAINING,
    SEARCH_TRAINING,
)
from tests.support.servers.stack import Stack

BUILD_SECONDS = 280


@pytest.fixture(scope="module", autouse=True)
def image() -> Iterator[None]:
    """The example's image, under the name that the predecessor's README gave to its users' own."""
    client = docker_or_skip()
    command = ["docker", "build", "--quiet", "--file", "examples/sklearn-dummy/Dockerfile"]
    command += ["--tag", DOCUMENTED_IMAGE, "."]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    yield
    with suppress(ImageNotFound):
        client.images.remove(DOCUMENTED_IMAGE, noprune=True)
    client.close()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A user's repository before its first commit: the mypackage folder copied next to the two files."""
    folder = tmp_path / "user" / "repo_name"
    location = folder / "path" / "to" / "MLproject" / "directoy"
    shutil.copytree(ROOT / "mypackage", location / "mypackage", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def retrain(stack: Stack, project: Path, *, mlproject: str, train: str, **added: Any) -> dict[str, Any]:
    """Commit the files, send the documented body, and return the job at its end."""
    location = "path/to/MLproject/directoy"
    git_uri = repository(project, {f"{location}/MLproject": mlproject, f"{location}/train.py": train})
    documented = {
        "experiment_name": "name_of_experiment",
        "git_uri": git_uri,
        "MLproject_location": location,
        "commit_hash": "main",
        "dataset_uri": "",
        "base_model": "",
    }
    job = stack.wait(stack.post(documented | added), timeout_seconds=180)
    assert job["state"] == "succeeded", (job["reason"], stack.job_log(job))
    return job


def assert_is_champion(stack: Stack, job: dict[str, Any], name: str, metric: str) -> None:
    """The job's model is in the registry, and the job says why."""
    client = MlflowClient(stack.urls["mlflow"])
    champion = client.get_model_version_by_alias(name, "champion")
    assert job["model"] == {"name": name, "version": str(champion.version)}
    assert champion.run_id == job["mlflow"]["run_id"]
    assert job["promotion"]["promoted"] is True
    value = client.get_run(job["mlflow"]["run_id"]).data.metrics[metric]
    assert (job["promotion"]["metric"], job["promotion"]["challenger"], job["metrics"][metric]) == (
        metric,
        value,
        value,
    )


def test_the_documented_project_retrains_by_the_documented_body(docker_stack: Stack, project: Path) -> None:
    name = f"iris-{uuid.uuid4().hex[:8]}"
    job = retrain(
        docker_stack,
        project,
        mlproject=DOCUMENTED_MLPROJECT,
        train=DOCUMENTED_TRAINING,
        parameters={"lower_is_better": False, "primary_metric": "accuracy", "epochs": 3, "note": "two words; $(id)"},
        model_name=name,
    )
    assert_is_champion(docker_stack, job, name, "accuracy")
    expected = ["--experiment_name", "name_of_experiment", "--epochs", "3", "--note", "two words; $(id)"]
    assert f"the rest: {expected} lower: False" in docker_stack.job_log(job)
    run = MlflowClient(docker_stack.urls["mlflow"]).get_run(job["mlflow"]["run_id"])
    expected_params = {"base_model": "None", "dataset_repo": "not_used", "param_name": "param_value"}
    assert expected_params.items() <= run.data.params.items()
    assert (run.info.status, run.data.tags["mlflow.source.git.commit"]) == ("FINISHED", job["resolved"]["commit_sha"])


def test_without_any_addition_it_runs_with_its_own_defaults(docker_stack: Stack, project: Path) -> None:
    job = retrain(docker_stack, project, mlproject=DOCUMENTED_MLPROJECT, train=DOCUMENTED_TRAINING)
    assert_is_champion(docker_stack, job, "default", "mAP")


def test_a_block_command_with_int_and_bool_runs_and_takes_extra_parameters(docker_stack: Stack, project: Path) -> None:
    name = f"iris-{uuid.uuid4().hex[:8]}"
    parameters = {"lower_is_better": "true", "primary_metric": "loss", "epochs": 7, "extra": 0.5}
    job = retrain(
        docker_stack,
        project,
        mlproject=BLOCK_MLPROJECT,
        train=DOCUMENTED_TRAINING,
        parameters=parameters,
        model_name=name,
    )
    assert_is_champion(docker_stack, job, name, "loss")
    assert job["promotion"]["direction"] == "lower_is_better"
    assert "the rest: ['--epochs', '7', '--extra', '0.5'] lower: True" in docker_stack.job_log(job)


def test_a_hyperparameter_search_has_the_jobs_run_as_its_parent(docker_stack: Stack, project: Path) -> None:
    name = f"iris-{uuid.uuid4().hex[:8]}"
    job = retrain(
        docker_stack,
        project,
        mlproject=BLOCK_MLPROJECT,
        train=SEARCH_TRAINING,
        parameters={"primary_metric": "metric3"},
        model_name=name,
    )
    assert_is_champion(docker_stack, job, name, "metric3")
    client = MlflowClient(docker_stack.urls["mlflow"])
    run = client.get_run(job["mlflow"]["run_id"])
    children = client.search_runs([run.info.experiment_id], f"tags.mlflow.parentRunId = '{run.info.run_id}'")
    assert sorted(child.info.run_name for child in children) == ["child0", "child1", "child2", "child3"]
    assert {child.info.status for child in children} == {"FINISHED"}


def test_with_the_helper_that_the_predecessor_s_users_copied_their_models_are_registered_as_ever(
    docker_stack: Stack, project: Path
) -> None:
    """It looks at the latest version and registers what is better. It moves nothing, so nothing is refused."""
    name = f"iris-{uuid.uuid4().hex[:8]}"
    (project / "path/to/MLproject/directoy/mypackage/utility.py").write_text(COPIED_HELPER)
    registered = []
    for value in (0.8, 0.7, 0.9):
        train = COPIED_TRAINING.format(value=value)
        job = retrain(docker_stack, project, mlproject=DOCUMENTED_MLPROJECT, train=train, model_name=name)
        assert (job["refused"], job["promotion"]) == ([], None)
        client = MlflowClient(docker_stack.urls["mlflow"])
        registered.append(len(client.search_model_versions(f"name='{name}'")))
    assert registered == [1, 1, 2]
