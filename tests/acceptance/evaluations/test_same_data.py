"""Two models of handwritten digits whose test set moved in between: compared on the same data, and so decided."""

import uuid
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from tests.acceptance.support.projects import repository
from tests.support.length import IS_LONG
from tests.support.servers.example_image import build_example_image
from tests.support.servers.stack import Stack

pytestmark = pytest.mark.timeout(600)  # the image, the first time on a busy machine

MLPROJECT = """\
name: digits
docker_env:
  image: retrain-example-sklearn-dummy
entry_points:
  main:
    parameters: {model_name: string, epochs: int, tested_on: string}
    command: "python train.py {model_name} {epochs} {tested_on}"
  evaluate:
    parameters: {model_uri: string}
    command: "python -m mypackage.evaluation scoring:score {model_uri}"
"""
DIGITS = """\
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

images, digits = load_digits(return_X_y=True)
train_images, test_images, train_digits, test_digits = train_test_split(images / 16, digits, random_state=7)
"""
TRAIN = """\
import sys

import mlflow
import mlflow.sklearn
import numpy as np
from sklearn.linear_model import SGDClassifier

from data import test_digits, test_images, train_digits, train_images
from mypackage import utility

name, epochs, tested_on = sys.argv[1], int(sys.argv[2]), sys.argv[3]
model = SGDClassifier(loss="log_loss", random_state=7)
for _ in range(epochs):
    model.partial_fit(train_images, train_digits, classes=np.arange(10))
easy = np.isin(test_digits, [2, 7])  # what the test set consists of later
picked = slice(None) if tested_on == "all" else easy
utility.auto_compare_and_register(
    model=model,
    eval_metric=model.score(test_images[picked], test_digits[picked]),
    model_name=name,
    lower=False,
    p_metric="accuracy",
    client=mlflow.tracking.MlflowClient(),
    mlflow_model=mlflow.sklearn,
)
"""
SCORING = """\
import mlflow.sklearn

from data import test_digits, test_images
from mypackage.evaluation import log_scores


def score(model_uri):
    right = mlflow.sklearn.load_model(model_uri).predict(test_images) == test_digits
    log_scores(range(len(right)), right, digit=test_digits)
    return {"accuracy": right.mean()}
"""


@pytest.mark.parametrize("stack_name", ["docker_stack", *(["process_stack"] if IS_LONG else [])])
def test_a_worse_model_with_a_better_number_is_not_promoted(
    request: pytest.FixtureRequest, stack_name: str, tmp_path: Path
) -> None:
    if stack_name == "docker_stack":
        build_example_image("sklearn-dummy")
    stack: Stack = request.getfixturevalue(stack_name)
    files = {"MLproject": MLPROJECT, "data.py": DIGITS, "train.py": TRAIN, "scoring.py": SCORING}
    git_uri, model = repository(tmp_path / "project", files), f"digits-{uuid.uuid4().hex[:8]}"

    def train(**parameters: Any) -> dict[str, Any]:
        body = {"experiment_name": "same data", "git_uri": git_uri, "model_name": model, "parameters": parameters}
        job = stack.wait(stack.post({**body, "promotion": {"min_confidence": 0.95}}), timeout_seconds=180)
        assert job["state"] == "succeeded", (job["reason"], stack.job_log(job))
        return job

    assert train(epochs=10, tested_on="all")["promotion"]["promoted"]
    job = train(epochs=1, tested_on="easy")
    promotion = job["promotion"]
    evidence = promotion["evidence"]
    client = MlflowClient(stack.urls["mlflow"])
    run = client.get_run(job["mlflow"]["run_id"])
    assert run.data.metrics["accuracy"] > 0.99  # by which it would have been promoted
    assert promotion["state"] == "not_promoted"
    assert promotion["reason"].startswith("not promoted: worse by 0.0")
    assert promotion["reason"].endswith("on 450 examples (accuracy, the same data now)")
    assert evidence["challenger"] < evidence["champion"]
    assert len(evidence["slices"]) == 10
    assert str(client.get_model_version_by_alias(model, "champion").version) == "1"

    children = client.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")
    assert {(each.info.run_name, each.info.status) for each in children} == {
        ("evaluation of the champion, version 1", "FINISHED"),
        ("evaluation of the new model", "FINISHED"),
    }
    log = stack.job_log(job)
    assert "[evaluate] the champion, version 1" in log
    assert log.rstrip().endswith(promotion["reason"])
