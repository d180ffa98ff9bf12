"""The runs of an evaluation on a real tracking server, with what a project's code logs in them."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from mypackage.protocol import EVALUATE_TAG
from worker.tracking import evaluation_runs
from worker.tracking.client import Run, Tracking
from worker.tracking.evaluation_runs import EvaluationRuns, TooBig
from worker.tracking.run_tags import RunRequest

ROOT = Path(__file__).parents[3]
SCORING = """
from mypackage.evaluation import log_scores

def score(model_uri):
    log_scores(["a", "b"], [1, 0], label=["é,1", 2])
    return {"accuracy": 0.5, "loss": float("nan")}
"""


@pytest.fixture
def runs(tracking: Tracking) -> EvaluationRuns:
    return tracking.evaluations


def evaluate(url: str, run_id: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "scoring.py").write_text(SCORING)
    variables = {"MLFLOW_TRACKING_URI": url, "RETRAIN_RUN_ID": run_id, "MLFLOW_RUN_ID": run_id, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "mypackage.evaluation",
            *(arguments or ("scoring:score", "models:/m-1")),
        ],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_run_is_made_once_for_each_model_and_shown_under_the_jobs(
    runs: EvaluationRuns, client: MlflowClient, run: Run
) -> None:
    made = [
        runs.ensure("job", run.run_id, run.experiment_id, key=f"0-1 {which}", name=f"evaluation of {which}")
        for which in ("challenger", "champion", "challenger")
    ]
    assert made[0] == made[2] != made[1]
    tags = client.get_run(made[0].run_id).data.tags
    assert (tags["mlflow.parentRunId"], tags["retrain.job_id"]) == (run.run_id, "job")
    assert tags["mlflow.runName"] == "evaluation of challenger"
    assert not made[0].has_ended


def test_what_the_projects_code_logs_is_read(runs: EvaluationRuns, mlflow_url: str, run: Run, tmp_path: Path) -> None:
    made = runs.ensure("job", run.run_id, run.experiment_id, key="0-1 champion", name="evaluation")
    done = evaluate(mlflow_url, made.run_id, tmp_path)
    assert done.returncode == 0, done.stderr
    ended = runs.end(made.run_id)
    assert (ended.has_ended, ended.why, ended.metrics) == (True, "", {"accuracy": 0.5})
    assert runs.ensure("job", run.run_id, run.experiment_id, key="0-1 champion", name="evaluation") == ended
    found = runs.fetch_scores(made.run_id, tmp_path)
    assert found is not None
    assert found.read_text(encoding="utf-8") == 'id,score,label\na,1.0,"é,1"\nb,0.0,2\n'


def test_a_failure_is_told_in_the_run(runs: EvaluationRuns, client: MlflowClient, run: Run) -> None:
    made = runs.ensure("job", run.run_id, run.experiment_id, key="0-1 champion", name="evaluation")
    ended = runs.end(made.run_id, why="no module named xgboost")
    assert (ended.has_ended, ended.why) == (True, "no module named xgboost")
    assert client.get_run(made.run_id).info.status == "FAILED"


def test_evaluations_that_nobody_ended_end_with_the_attempts_run(
    tracking: Tracking, client: MlflowClient, request_of_test: RunRequest
) -> None:
    run = tracking.ensure_run(replace(request_of_test, evaluates=True))
    runs = tracking.evaluations
    ended, left = (
        runs.ensure("job", run.run_id, run.experiment_id, key=key, name="evaluation") for key in ("0-1 a", "0-1 b")
    )
    runs.end(ended.run_id)
    own = client.create_run(run.experiment_id, tags={"mlflow.parentRunId": run.run_id}).info.run_id
    for _ in range(2):
        tracking.finish_run(run.run_id, "FAILED")
    made = [client.get_run(run_id) for run_id in (ended.run_id, left.run_id, own)]
    assert [each.info.status for each in made] == ["FINISHED", "FAILED", "RUNNING"]
    assert made[1].data.tags["mlflow.note.content"] == "its attempt ended before it"


def test_no_scores_are_none_and_too_many_are_told(
    runs: EvaluationRuns, client: MlflowClient, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = runs.ensure("job", run.run_id, run.experiment_id, key="0-1 champion", name="evaluation")
    assert runs.fetch_scores(made.run_id, tmp_path) is None
    client.log_text(made.run_id, "id,score\n", "scores.csv")
    assert runs.fetch_scores(made.run_id, tmp_path) is not None
    monkeypatch.setattr(evaluation_runs, "MOST_BYTES", 3)
    with pytest.raises(TooBig, match="has 9 bytes, and 3 are the most"):
        runs.fetch_scores(made.run_id, tmp_path)


def test_the_run_says_whether_its_project_can_evaluate(runs: EvaluationRuns, client: MlflowClient, run: Run) -> None:
    assert not runs.is_possible(run.run_id)
    client.set_tag(run.run_id, EVALUATE_TAG, "true")
    assert runs.is_possible(run.run_id)
    assert not runs.is_possible("0" * 32)


def test_a_wrong_call_says_how_it_is_meant(mlflow_url: str, run: Run, tmp_path: Path) -> None:
    done = evaluate(mlflow_url, run.run_id, tmp_path, "scoring")
    assert (done.returncode, done.stderr) == (
        1,
        "Usage: python -m mypackage.evaluation MODULE:FUNCTION MODEL_URI\n",
    )
