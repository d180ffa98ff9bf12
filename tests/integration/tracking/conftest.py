"""Runs of the tests on a real tracking server."""

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from worker.tracking.client import Run, RunResult, Tracking
from worker.tracking.run_tags import RunRequest

SHA = "0123456789abcdef0123456789abcdef01234567"
REQUEST = RunRequest(
    job_id="job-1",
    attempt=1,
    experiment_name="iris",
    git_uri="https://token@host.example/team/iris.git",
    commit_sha=SHA,
    folder="models/iris",
    branch="main",
    project_env="docker",
    parameters={"alpha": "0.5", "note": "two words"},
    request_id="nightly.7",
    trigger="iris-nightly",
    triggered_by={"kind": "git", "key": "push 1", "facts": {"branch": "main"}},
)


@pytest.fixture
def tracking(mlflow_url: str) -> Tracking:
    return Tracking(mlflow_url, public_url="https://mlflow.example/")


@pytest.fixture
def client(mlflow_url: str) -> MlflowClient:
    return MlflowClient(mlflow_url)


@pytest.fixture
def request_of_test(request: pytest.FixtureRequest) -> RunRequest:
    """A request whose experiment no other test has."""
    return replace(REQUEST, experiment_name=request.node.name)


@pytest.fixture
def run(tracking: Tracking, request_of_test: RunRequest) -> Run:
    return tracking.ensure_run(request_of_test)


def closed(tracking: Tracking, run: Run, status: str = "FINISHED") -> RunResult:
    """Return what the run produced, once it is closed with a log."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "attempt-1.log"
        log.write_text("line\n")
        return tracking.close_run(run.run_id, status, log)
