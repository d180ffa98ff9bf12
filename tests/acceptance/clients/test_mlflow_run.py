"""`mlflow run -b retrain` as a user calls it, against a real stack."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.acceptance.support.checkout import ROOT
from tests.support.servers.git_repository import RepositoryOnServer, bare_repository
from tests.support.servers.stack import Stack
from tests.support.waiting import wait_until

SECONDS = 120
MLPROJECT = """name: iris
entry_points:
  main:
    parameters:
      alpha: {type: float, default: 0.1}
    command: "python train.py {alpha}"
  fails:
    command: "python -c 'raise SystemExit(3)'"
  lasts:
    command: "python -u -c 'import time; print(\\"it trains\\"); time.sleep(600)'"
"""
TRAIN = """import sys
import mlflow
with mlflow.start_run():
    mlflow.log_metric("alpha", float(sys.argv[1]))
print("trained with", sys.argv[1])
"""


@pytest.fixture
def repository(tmp_path: Path) -> RepositoryOnServer:
    return bare_repository(tmp_path / "iris.git", {"ml/MLproject": MLPROJECT, "ml/train.py": TRAIN})


@pytest.fixture
def stack(process_stack: Stack) -> Stack:
    return process_stack


def mlflow_run(stack: Stack, folder: Path, repository: RepositoryOnServer, *arguments: str) -> subprocess.Popen[str]:
    config = json.dumps({"url": stack.urls["api"], "request": {"labels": {"by": "mlflow"}}})
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    environment = {**kept, "HOME": str(folder), "MLFLOW_TRACKING_URI": stack.urls["mlflow"], "PYTHONUNBUFFERED": "1"}
    command = [str(ROOT / ".venv/bin/mlflow"), "run", f"{repository.uri}#ml", "-b", "retrain"]
    return subprocess.Popen(
        [*command, "--backend-config", config, "--experiment-name", "of-mlflow-run", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def job_id(output: str) -> dict[str, str]:
    found = re.search(r"Job ([0-9a-f-]{36})", output)
    assert found, output
    return {"id": found[1]}


def test_it_trains_at_the_service_prints_the_log_and_ends_with_0(
    stack: Stack, tmp_path: Path, repository: RepositoryOnServer
) -> None:
    commit = repository.git("rev-parse", "main")
    process = mlflow_run(stack, tmp_path, repository, "-P", "alpha=0.25", "--version", commit, "--run-name", "by hand")
    output, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, output
    assert "trained with 0.25" in output
    job = stack.job(job_id(output))
    asked = {name: job["request"][name] for name in ("commit_hash", "MLproject_location", "experiment_name", "labels")}
    assert asked == {
        "commit_hash": commit,
        "MLproject_location": "ml",
        "experiment_name": "of-mlflow-run",
        "labels": {"by": "mlflow"},
    }
    run = MlflowClient(stack.urls["mlflow"]).get_run(job["mlflow"]["run_id"])
    assert (run.data.metrics["alpha"], run.info.status, run.info.run_name) == (0.25, "FINISHED", "by hand")
    assert run.data.tags["mlflow.project.backend"] == "retrain"


def test_a_training_that_fails_ends_it_with_1_and_says_why(
    stack: Stack, tmp_path: Path, repository: RepositoryOnServer
) -> None:
    process = mlflow_run(stack, tmp_path, repository, "-e", "fails")
    output, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 1, output
    assert re.search(r"=== Job \S+ failed: .*3", output), output
    assert "Traceback" not in output


def test_what_cannot_begin_ends_it_with_1_and_says_why(
    stack: Stack, tmp_path: Path, repository: RepositoryOnServer
) -> None:
    process = mlflow_run(stack, tmp_path, repository, "--version", "no-such-branch")
    output, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 1, output
    assert "no-such-branch" in output
    assert "Traceback" not in output


def test_ctrl_c_cancels_the_job(stack: Stack, tmp_path: Path, repository: RepositoryOnServer) -> None:
    process = mlflow_run(stack, tmp_path, repository, "-e", "lasts")
    assert process.stdout is not None
    output = ""
    while "it trains" not in output:
        line = process.stdout.readline()
        assert line, output
        output += line
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 1, output + rest
    job = job_id(output)
    wait_until(lambda: stack.job(job)["state"] == "cancelled", what="the cancelled job")
