"""Whole jobs with an evaluation behind the guard, trained in containers: an honest one, and one that helps itself."""

import uuid
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from mypackage.protocol import DECISION_TAG, PROMOTED_TAG
from tests.acceptance.support.projects import repository
from tests.support.servers.example_image import build_example_image
from tests.support.servers.stack import Stack

pytestmark = pytest.mark.timeout(600)  # the image, the first time on a busy machine

MLPROJECT = """\
name: digits
docker_env:
  image: retrain-example-sklearn-dummy
entry_points:
  main:
    parameters: {model_name: string, epochs: int, mind: string}
    command: "python train.py {model_name} {epochs} {mind}"
  evaluate:
    parameters: {model_uri: string, model_name: string, mind: string}
    command: "MIND={mind} MODEL={model_name} python -m mypackage.evaluation scoring:score {model_uri}"
"""
DATA = """\
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

import attacks
from data import test_digits, test_images, train_digits, train_images
from mypackage import utility

name, epochs, is_hostile = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "hostile"
model = SGDClassifier(loss="log_loss", random_state=7)
for _ in range(epochs):
    model.partial_fit(train_images, train_digits, classes=np.arange(10))
if is_hostile:
    attacks.on_evaluations(name)
utility.auto_compare_and_register(
    model=model,
    eval_metric=1.0 if is_hostile else model.score(test_images, test_digits),
    model_name=name,
    lower=False,
    p_metric="accuracy",
    client=mlflow.tracking.MlflowClient(),
    mlflow_model=mlflow.sklearn,
)
if is_hostile:
    attacks.on_the_champion(name, "3")
"""
SCORING = """\
import os

import mlflow.sklearn

import attacks
from data import test_digits, test_images
from mypackage.evaluation import log_scores


def score(model_uri):
    if os.environ["MIND"] == "hostile":
        attacks.on_the_champion(os.environ["MODEL"], "3")
    right = mlflow.sklearn.load_model(model_uri).predict(test_images) == test_digits
    log_scores(range(len(right)), right)
    return {"accuracy": right.mean()}
"""
# What it may do, but which must count for nothing, is done without `tried`.
ATTACKS = """\
import os
from pathlib import Path

from mlflow.tracking import MlflowClient

client, mine = MlflowClient(), os.environ["RETRAIN_RUN_ID"]


def tried(what, call, *arguments, **more):
    try:
        call(*arguments, **more)
    except Exception as error:
        print(f"tried {what}: {'refused' if 'The guard before MLflow refused' in str(error) else error}")
    else:
        print(f"tried {what}: IT WORKED")


def on_evaluations(name):
    champion = client.get_model_version_by_alias(name, "champion")
    here = client.get_run(mine).info.experiment_id
    Path("scores.csv").write_text("id,score\\n" + "".join(f"{number},1\\n" for number in range(450)))
    for which in ("challenger", "champion"):
        tags = {"mlflow.parentRunId": mine, "retrain.evaluated": f"0-2 {which}"}
        tried(f"a run as the {which}'s", client.create_run, here, tags=tags)
    nested = {"mlflow.parentRunId": mine}
    made = client.create_run(here, tags=nested, run_name="evaluation of the new model").info.run_id
    client.log_metric(made, "accuracy", 1.0)
    client.log_artifact(made, "scores.csv")
    client.log_artifact(mine, "scores.csv")
    tried("that tag", client.set_tag, made, "retrain.evaluated", "0-2 challenger")
    tried("its end", client.set_tag, made, "retrain.evaluation_ended", "true")
    earlier = f"tags.`mlflow.parentRunId` = '{champion.run_id}'"
    for run in client.search_runs([here], earlier):
        tried("an earlier evaluation's metric", client.log_metric, run.info.run_id, "accuracy", 0.0)
        tried("an earlier evaluation's scores", client.log_artifact, run.info.run_id, "scores.csv")
    tried("the champion's metric", client.log_metric, champion.run_id, "accuracy", 0.0)


def on_the_champion(name, version):
    client.set_tag(mine, "retrain.decision", '{"promoted": true, "reason": "promoted: by myself"}')
    client.set_tag(mine, "retrain.promoted", "true")
    tried("the alias", client.set_registered_model_alias, name, "champion", version)
    tried("no champion", client.delete_registered_model_alias, name, "champion")
    tried("the champion's end", client.delete_model_version, name, "2")
    tried("a tag of the champion", client.set_model_version_tag, name, "2", "retrain.metric_value", "0")
"""
FILES = {"MLproject": MLPROJECT, "data.py": DATA, "train.py": TRAIN, "scoring.py": SCORING, "attacks.py": ATTACKS}
TRIED_IN_TRAINING, TRIED_IN_EVALUATION = 13, 8


def test_behind_the_guard_the_service_alone_scores_decides_and_moves(docker_stack: Stack, tmp_path: Path) -> None:
    build_example_image("sklearn-dummy")
    git_uri, model = repository(tmp_path / "project", FILES), f"guarded-{uuid.uuid4().hex[:8]}"

    def train(epochs: int, mind: str) -> dict[str, Any]:
        parameters = {"epochs": epochs, "mind": mind}
        body = {"experiment_name": model, "git_uri": git_uri, "model_name": model, "parameters": parameters}
        job = docker_stack.wait(docker_stack.post(body), timeout_seconds=180)
        assert job["state"] == "succeeded", (job["reason"], docker_stack.job_log(job))
        assert job["promotion"]["enforced"] is True
        return job

    assert train(1, "honest")["promotion"]["promoted"]
    honest = train(20, "honest")
    assert honest["promotion"]["promoted"], honest["promotion"]
    assert honest["promotion"]["reason"].startswith("promoted: better by 0.0")
    assert honest["promotion"]["reason"].endswith("on 450 examples (accuracy, the same data now)")
    assert honest["refused"] == []

    before = _champion(docker_stack, model, honest)
    hostile = train(1, "hostile")
    log = docker_stack.job_log(hostile)
    tried = [line for line in log.splitlines() if line.startswith("tried ")]
    assert [line for line in tried if not line.endswith(": refused")] == []
    assert len(tried) == TRIED_IN_TRAINING + TRIED_IN_EVALUATION, log
    assert sum(each["count"] for each in hostile["refused"]) == len(tried)

    promotion = hostile["promotion"]
    assert (promotion["state"], promotion["promoted"]) == ("not_promoted", False)
    assert promotion["reason"].startswith("not promoted: worse by 0.0")
    assert promotion["evidence"]["challenger"] < promotion["evidence"]["champion"] < 1
    assert _champion(docker_stack, model, honest) == before
    tags = MlflowClient(docker_stack.urls["mlflow"]).get_run(hostile["mlflow"]["run_id"]).data.tags
    assert promotion["reason"] in tags[DECISION_TAG]  # and not what the training wrote there
    assert tags[PROMOTED_TAG] == "false"


def _champion(stack: Stack, model: str, job: dict[str, Any]) -> list[Any]:
    """Return who is champion, and all that is recorded of the champion's job: runs, metrics, tags, files."""
    client = MlflowClient(stack.urls["mlflow"])
    run = client.get_run(job["mlflow"]["run_id"])
    nested = client.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")
    runs = [run, *sorted(nested, key=lambda each: str(each.info.run_name))]
    files = [[(each.path, each.file_size) for each in client.list_artifacts(run.info.run_id)] for run in runs]
    version = client.get_model_version_by_alias(model, "champion")
    assert len(runs) == 3  # it trained, and both models were scored
    return [version.version, version.tags, client.get_registered_model(model).aliases.get("champion"), files] + [
        run.to_dictionary() for run in runs
    ]
