"""examples/, each trained through the API in containers of its own image; dvc-retrain has test_dvc_retrain.py."""

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.models import Model
from mlflow.tracking import MlflowClient

from tests.support.length import IS_LONG
from tests.support.servers.example_image import build_example_image
from tests.support.servers.stack import Stack

TRAINING_SECONDS = 180
pytestmark = pytest.mark.timeout(600)  # PyTorch's image, the first time on a busy machine
MNIST = "mnist-pytorch-lightning"
Train = Callable[..., dict[str, Any]]


@pytest.fixture
def model_name() -> str:
    return f"digits-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def train(docker_stack: Stack, clone: Path, model_name: str) -> Train:
    """Builds an example's image, retrains it, and gives the job at its end."""

    def train(example: str, **parameters: str) -> dict[str, Any]:
        build_example_image(example)
        body: dict[str, Any] = {"experiment_name": example, "git_uri": f"file://{clone}", "model_name": model_name}
        body |= {"MLproject_location": f"examples/{example}", "parameters": parameters}
        job = docker_stack.wait(docker_stack.post(body), timeout_seconds=TRAINING_SECONDS)
        assert job["state"] == "succeeded", (job["reason"], docker_stack.job_log(job))
        return job

    return train


@pytest.fixture
def registry(docker_stack: Stack) -> Iterator[MlflowClient]:
    mlflow.set_tracking_uri(docker_stack.urls["mlflow"])
    yield MlflowClient()
    mlflow.set_tracking_uri("")


@pytest.mark.parametrize(
    ("example", "good", "worse"),
    [
        ("sklearn-dummy", {}, {"alpha": "0.1"}),
        ("sklearn-dummy-hyperparameter", {}, {"alphas": "0.1"}),
        *([(MNIST, {"data": "digits"}, {"data": "digits", "epochs": "1"})] if IS_LONG else []),
    ],
)
def test_an_example_trains_in_its_own_image_and_a_worse_retrain_changes_nothing(
    train: Train,
    registry: MlflowClient,
    model_name: str,
    example: str,
    good: dict[str, str],
    worse: dict[str, str],
) -> None:
    jobs = [train(example, **good), train(example, **worse)]

    assert {job["resolved"]["image"] for job in jobs} == {f"retrain-example-{example}"}
    assert [job["model"] for job in jobs] == [{"name": model_name, "version": "1"}, None]
    champion = registry.get_model_version_by_alias(model_name, "champion")
    assert [str(version.version) for version in registry.search_model_versions(f"name = '{model_name}'")] == ["1"]
    assert (champion.run_id, champion.tags["retrain.job_id"]) == (jobs[0]["mlflow"]["run_id"], jobs[0]["id"])

    runs = [registry.get_run(job["mlflow"]["run_id"]) for job in jobs]
    decisions = [json.loads(run.data.tags["retrain.decision"]) for run in runs]
    assert [
        {name: job["promotion"][name] for name in jobs[0]["promotion"] if name in decisions[0]} for job in jobs
    ] == (decisions)
    assert [job["promotion"]["state"] for job in jobs] == ["promoted", "not_promoted"]
    assert [job["metrics"] for job in jobs] == [run.data.metrics for run in runs]
    accuracies = [job["metrics"]["accuracy"] for job in jobs]
    assert accuracies[0] > 0.95 > accuracies[1]
    assert [job["promotion"]["promoted"] for job in jobs] == [True, False]
    reason = f"not promoted: {accuracies[1]:.4f} < {accuracies[0]:.4f} (same evaluation data)"
    assert jobs[1]["promotion"]["reason"] == reason


def test_the_network_is_logged_with_its_curve_its_data_and_what_its_reader_needs(
    train: Train, registry: MlflowClient, docker_stack: Stack, model_name: str, tmp_path: Path
) -> None:
    job = train(MNIST, data="digits", epochs="2")

    log = docker_stack.job_log(job)
    assert "data: digits (as asked)" in log
    assert "Epoch 1: 100%" in log  # the progress bar
    run_id = job["mlflow"]["run_id"]
    curve = registry.get_metric_history(run_id, "accuracy")
    assert [(point.step, f"epoch {point.step}/2: accuracy {point.value:.4f}" in log) for point in curve] == [
        (1, True),
        (2, True),
    ]
    inputs = registry.get_run(run_id).inputs
    assert inputs is not None
    [evaluation] = inputs.dataset_inputs
    used = f"{evaluation.dataset.name}@{evaluation.dataset.digest}"
    assert job["promotion"]["datasets"]["challenger"] == used

    folder = mlflow.artifacts.download_artifacts(f"models:/{model_name}@champion", dst_path=str(tmp_path))
    signature = Model.load(folder).signature
    assert signature is not None
    assert [each.shape for each in signature.inputs.inputs] == [(-1, 1, 8, 8)]
    needed = {line.partition("==")[0] for line in (Path(folder) / "requirements.txt").read_text().split()}
    assert needed == {"mlflow", "torch", "cloudpickle", "numpy"}
