"""Jobs whose models pass the gate, or do not: what GET /jobs/<id> says of it, and a rollback."""

import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from mlflow.tracking import MlflowClient

from tests.acceptance.support.checkout import ROOT
from tests.acceptance.support.projects import repository
from tests.support.servers.stack import Stack

MLPROJECT = """\
name: gated
entry_points:
  main:
    parameters:
      model_name: string
      accuracy: float
      recall: {type: float, default: 0.9}
    command: "python train.py {model_name} {accuracy} {recall}"
"""
TRAIN = """\
import sys
import mlflow
import mlflow.sklearn
from sklearn.linear_model import LinearRegression
from mypackage import utility

name, accuracy, recall = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
mlflow.log_metric("recall", recall)
utility.auto_compare_and_register(
    model=LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]),
    eval_metric=accuracy,
    model_name=name,
    lower=False,
    p_metric="accuracy",
    client=mlflow.tracking.MlflowClient(),
    mlflow_model=mlflow.sklearn,
    eval_dataset=("iris", "abc1"),
)
"""
OUTSIDE = """\
import os
import sys
import mlflow
import mlflow.sklearn
from sklearn.linear_model import LinearRegression
from mypackage import utility

name, shape, is_given_up = sys.argv[1], sys.argv[2], sys.argv[3] == "given up"
client, model, data = mlflow.tracking.MlflowClient(), LinearRegression(), ([[0.0], [1.0]], [0.0, 1.0])
if shape == "autolog":
    mlflow.sklearn.autolog(log_models=False)
    model.fit(*data)
    mlflow.log_metric("accuracy", 0.5)
else:
    with mlflow.start_run():
        model.fit(*data)
if is_given_up:
    client.set_tag(os.environ["RETRAIN_RUN_ID"], "retrain.fenced", "true")
utility.auto_compare_and_register(
    model=model,
    eval_metric=0.5,
    model_name=name,
    lower=False,
    p_metric="accuracy",
    client=client,
    mlflow_model=mlflow.sklearn,
)
"""
OUTSIDE_PROJECT = """\
name: outside
entry_points:
  main:
    parameters:
      model_name: string
      shape: string
      fate: {type: string, default: lives}
    command: "python train.py {model_name} {shape} {fate}"
"""
Train = Callable[..., dict[str, Any]]


@pytest.fixture
def model() -> str:
    return f"gated {uuid.uuid4().hex[:8]}"


@pytest.fixture
def train(process_stack: Stack, tmp_path: Path, model: str) -> Train:
    """Retrains, and gives what the job says of the promotion at its end."""
    folder = tmp_path / "project"
    shutil.copytree(ROOT / "mypackage", folder / "mypackage", ignore=shutil.ignore_patterns("__pycache__"))
    git_uri = repository(folder, {"MLproject": MLPROJECT, "train.py": TRAIN})

    def train(accuracy: float, recall: float = 0.9, **request: Any) -> dict[str, Any]:
        body = {"experiment_name": "gated", "git_uri": git_uri, "model_name": model, **request}
        body["parameters"] = {"accuracy": accuracy, "recall": recall}
        job = process_stack.wait(process_stack.post(body), timeout_seconds=180)
        assert job["state"] == "succeeded", (job["reason"], process_stack.job_log(job))
        promotion: dict[str, Any] = job["promotion"]
        return promotion

    return train


def test_jobs_are_promoted_by_their_worth_and_a_rollback_is_one_request(
    process_stack: Stack, train: Train, model: str
) -> None:
    assert train(0.9)["reason"] == f"promoted: first version of '{model}' (accuracy 0.9)"
    assert train(0.94)["reason"] == "promoted: 0.94 > 0.9 (same evaluation data)"
    third = train(0.91)
    assert (third["promoted"], third["reason"]) == (False, "not promoted: 0.91 < 0.94 (same evaluation data)")
    assert third["datasets"] == {"challenger": "iris@abc1", "champion": "iris@abc1"}

    guarded = train(0.96, 0.85, promotion={"guardrails": {"recall": 0.02}})
    assert guarded["reason"] == (
        "not promoted: 0.96 > 0.94, but recall fell by 0.05, 0.02 is allowed (same evaluation data)"
    )
    assert guarded["guardrails"]["recall"]["holds"] is False

    url = f"{process_stack.urls['api']}/models/{model}/champion"
    answer = requests.post(url, json={"version": 1, "reason": "blind to roses"}, timeout=30)
    assert answer.json() == {
        "model": model,
        "version": "1",
        "previous_version": "2",
        "reason": "blind to roses",
        "changed": True,
    }
    aliases = MlflowClient(process_stack.urls["mlflow"]).get_registered_model(model).aliases
    assert {alias: str(version) for alias, version in aliases.items()} == {"champion": "1", "previous": "2"}
    assert train(0.91)["reason"] == "promoted: 0.91 > 0.9 (same evaluation data)"


@pytest.fixture
def outside(process_stack: Stack, tmp_path: Path, model: str) -> Callable[..., dict[str, Any]]:
    """Retrains with the gate outside the job's run, and gives the ended job."""
    folder = tmp_path / "outside"
    shutil.copytree(ROOT / "mypackage", folder / "mypackage", ignore=shutil.ignore_patterns("__pycache__"))
    git_uri = repository(folder, {"MLproject": OUTSIDE_PROJECT, "train.py": OUTSIDE})

    def outside(**parameters: str) -> dict[str, Any]:
        body = {"experiment_name": "outside", "git_uri": git_uri, "model_name": model, "parameters": parameters}
        return process_stack.wait(process_stack.post(body), timeout_seconds=180)

    return outside


@pytest.mark.parametrize("shape", ["autolog", "after"])
def test_a_gate_outside_the_jobs_run_shows_in_the_job(
    shape: str, process_stack: Stack, outside: Callable[..., dict[str, Any]], model: str
) -> None:
    job = outside(shape=shape)
    assert (job["state"], job["model"]) == ("succeeded", {"name": model, "version": "1"}), job["reason"]
    assert job["promotion"]["reason"] == f"promoted: first version of '{model}' (accuracy 0.5)"
    assert job["metrics"]["accuracy"] == 0.5
    client = MlflowClient(process_stack.urls["mlflow"])
    assert str(client.get_model_version_by_alias(model, "champion").version) == "1"


def test_a_gate_outside_the_jobs_run_obeys_the_fence_of_that(
    process_stack: Stack, outside: Callable[..., dict[str, Any]], model: str
) -> None:
    job = outside(shape="after", fate="given up")
    assert job["state"] == "failed"
    assert "RunEnded" in process_stack.job_log(job)
    client = MlflowClient(process_stack.urls["mlflow"])
    assert client.search_registered_models(f"name = '{model}'") == []
