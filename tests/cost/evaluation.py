"""What it costs a job that champion and new model are scored on the same data, part by part."""

import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from mlflow.tracking import MlflowClient

from tests.acceptance.support.projects import repository
from tests.cost.tables import row, say, spread
from tests.support.servers.example_image import build_example_image
from tests.support.servers.stack import Stack, running_stack

DOCKERS_POOLS = "172.16.0.0/12,192.168.0.0/16"
MEGABYTE = 10**6
MLPROJECT = """\
name: cost
docker_env:
  image: retrain-example-sklearn-dummy
entry_points:
  main:
    parameters: {model_name: string, right: float, examples: int}
    command: "python train.py {model_name} {right}"
  evaluate:
    parameters: {model_uri: string, examples: int}
    command: "EXAMPLES={examples} python -m mypackage.evaluation scoring:score {model_uri}"
"""
TRAIN = """\
import sys

import mlflow.sklearn
from sklearn.dummy import DummyClassifier

from mypackage import utility

right = float(sys.argv[2])
model = DummyClassifier(strategy="constant", constant=1).fit([[0], [0]], [0, 1])
model.right_ = right
utility.auto_compare_and_register(
    model=model,
    eval_metric=right,
    model_name=sys.argv[1],
    lower=False,
    p_metric="accuracy",
    client=mlflow.tracking.MlflowClient(),
    mlflow_model=mlflow.sklearn,
)
"""
# The metrics that begin with "cost" are what this measures itself by; the service knows nothing of them.
SCORING = """\
import os
import resource
import time

import mlflow.sklearn
import numpy as np

from mypackage.evaluation import log_scores


def score(model_uri):
    began, examples = time.time(), int(os.environ["EXAMPLES"])
    model = mlflow.sklearn.load_model(model_uri)
    predicted = model.predict(np.zeros((examples, 1)))
    right = (predicted == 1) & (np.random.default_rng(7).random(examples) < model.right_)
    log_scores(range(examples), right)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"accuracy": right.mean(), "cost_began": began, "cost_ended": time.time(), "cost_peak": peak}
"""
FILES = {"MLproject": MLPROJECT, "train.py": TRAIN, "scoring.py": SCORING}
COMPARE = """\
import resource, sys
from pathlib import Path
from worker.evaluation.comparing import Question, compare
compare(Question("accuracy", Path(sys.argv[1]), Path(sys.argv[2]), False))
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
"""
TITLES = (
    "examples",
    "container and Python, s",
    "second Python, s",
    "scoring a model, s",
    "noticing the end, s",
    "comparing, s",
    "job in all, s",
    "memory of a scoring, MB",
    "memory of comparing, MB",
)


@dataclass(frozen=True)
class Cost:
    """Seconds and bytes of one evaluation."""

    container: float
    second: float
    scoring: float
    noticing: float
    comparing: float
    job: float
    memory: float
    comparing_memory: float


def measure(folder: Path, examples: Sequence[int], rounds: int) -> None:
    """Print a row for each number of examples, and what a job without an evaluation takes."""
    build_example_image("sklearn-dummy")
    settings = {"TRAINING_ALLOWED_NETWORKS": DOCKERS_POOLS, "SLOTS": "1"}
    with running_stack(folder / "stack", runner="docker", settings=settings) as stack:
        git_uri = repository(folder / "project", FILES)
        plain = repository(folder / "plain", {**FILES, "MLproject": MLPROJECT.partition("  evaluate:")[0]})
        row(TITLES)
        row(["---:"] * len(TITLES))
        for count in examples:
            _train(stack, git_uri, f"cost-{count}", 0.8, count)  # the first champion
            costs = [_cost(stack, git_uri, count, folder / f"{count}-{number}") for number in range(rounds)]
            parts = [[getattr(each, name) for each in costs] for name in Cost.__dataclass_fields__]
            row([f"{count:,}", *(spread(each) for each in parts[:6]), *(f"{max(each):.0f}" for each in parts[6:])])
        _train(stack, plain, "cost-plain", 0.8, 1)
        alone = [_seconds(_train(stack, plain, "cost-plain", 0.8, 1)) for _ in range(rounds)]
        say(f"\nThe same job without an evaluation: {statistics.median(alone):.1f} s, {spread(alone)}")


def _train(stack: Stack, git_uri: str, model: str, right: float, examples: int) -> Mapping[str, Any]:
    parameters = {"right": right, "examples": examples}
    body = {"experiment_name": "cost", "git_uri": git_uri, "model_name": model, "parameters": parameters}
    job = stack.wait(stack.post(body), timeout_seconds=300)
    assert job["state"] == "succeeded", (job["reason"], stack.job_log(job))
    return job


def _cost(stack: Stack, git_uri: str, examples: int, folder: Path) -> Cost:
    job = _train(stack, git_uri, f"cost-{examples}", 0.7, examples)
    assert job["promotion"]["evidence"]["n"] == examples, job["promotion"]
    client = MlflowClient(stack.urls["mlflow"])
    run = client.get_run(job["mlflow"]["run_id"])
    nested = client.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")
    first, second = sorted(nested, key=lambda each: each.data.metrics["cost_began"])
    asked_at = min(each.info.start_time for each in nested) / 1000
    known_at = max(each.info.end_time for each in nested) / 1000
    measured = [each.data.metrics for each in (first, second)]
    seconds, size = _compare([_fetch(client, each.info.run_id, folder / each.info.run_id) for each in nested])
    return Cost(
        container=measured[0]["cost_began"] - asked_at,
        second=measured[1]["cost_began"] - measured[0]["cost_ended"],
        scoring=statistics.mean(each["cost_ended"] - each["cost_began"] for each in measured),
        noticing=known_at - measured[1]["cost_ended"],
        comparing=seconds,
        job=_seconds(job),
        memory=max(each["cost_peak"] for each in measured),
        comparing_memory=size / MEGABYTE,
    )


def _fetch(client: MlflowClient, run_id: str, folder: Path) -> str:
    folder.mkdir(parents=True)
    return str(client.download_artifacts(run_id, "scores.csv", str(folder)))


def _compare(files: Sequence[str]) -> tuple[float, int]:
    """Return how long the worker waits for the process that compares, and the memory that this takes."""
    begins = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", COMPARE, *files], check=True, capture_output=True, timeout=300)
    return time.perf_counter() - begins, int(done.stdout)


def _seconds(job: Mapping[str, Any]) -> float:
    ended, created = (datetime.fromisoformat(job[name]) for name in ("ended_at", "created_at"))
    return (ended - created).total_seconds()
