"""What a run's result is: metrics, decision, versions, dataset and base model, on a real tracking server."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from mlflow.entities import Metric
from mlflow.tracking import MlflowClient

from mypackage.gate.decision import DecisionRecord, GuardrailCheck
from tests.integration.tracking.conftest import closed
from worker.tracking.client import Run, RunResult, Tracking


def test_a_run_that_proposes_nothing_is_read_once_at_the_end(
    tracking: Tracking, client: MlflowClient, run: Run
) -> None:
    client.log_metric(run.run_id, "accuracy", 0.5)
    assert tracking.gate.proposals(run.run_id) == []
    client.log_metric(run.run_id, "accuracy", 0.7)  # shows who reads it again; a training has ended by then
    assert closed(tracking, run).metrics == {"accuracy": 0.5}
    assert closed(tracking, run).metrics == {"accuracy": 0.7}
    assert client.get_run(run.run_id).info.status == "FINISHED"


def test_a_result_is_the_last_metrics_the_decision_and_the_versions(
    tracking: Tracking, client: MlflowClient, run: Run, tmp_path: Path
) -> None:
    for step, value in enumerate([0.5, 0.9, 0.7]):
        client.log_metric(run.run_id, "accuracy", value, step=step)
    client.log_metric(run.run_id, "loss", float("nan"))
    client.log_metric(run.run_id, "worst", float("inf"))
    client.log_metric(run.run_id, "best", -float("inf"))
    decision = DecisionRecord(
        promoted=False,
        reason="not promoted: 0.7 < 0.9",
        metric="accuracy",
        direction="higher_is_better",
        challenger=0.7,
        champion=0.9,
        champion_version="1",
        model_name="tracking-a",
        model_version=None,
        min_delta=0.01,
        datasets={"challenger": "iris@abc1", "champion": None},
        guardrails={"recall": GuardrailCheck(0.02, "higher_is_better", 0.85, 0.9, holds=False)},
    )
    client.set_tag(run.run_id, "retrain.decision", decision.to_json())
    client.create_registered_model("tracking-b")
    client.create_registered_model("tracking-a")
    for name in ("tracking-b", "tracking-a", "tracking-a"):
        client.create_model_version(name, f"runs:/{run.run_id}/model", run_id=run.run_id)
    assert closed(tracking, run) == RunResult(
        {"accuracy": 0.7, "best": None, "loss": None, "worst": None},
        asdict(decision),
        (("tracking-a", "1"), ("tracking-a", "2"), ("tracking-b", "1")),
    )


@pytest.mark.parametrize(("job_run", "shown"), [("its own", (("tracking-c", "1"),)), ("another job's", ())])
def test_a_result_has_the_version_of_a_run_beside_the_jobs_own_where_the_gate_says_that_it_is_this_jobs(
    tracking: Tracking, client: MlflowClient, run: Run, job_run: str, shown: tuple[tuple[str, str], ...]
) -> None:
    name = f"tracking-{'c' if shown else 'd'}"
    beside = client.create_run(run.experiment_id).info.run_id
    client.create_registered_model(name)
    tags = {"retrain.job_run_id": run.run_id if shown else job_run}
    client.create_model_version(name, f"runs:/{beside}/model", run_id=beside, tags=tags)
    decision = {"promoted": True, "model_name": name, "model_version": "1"}
    client.set_tag(run.run_id, "retrain.decision", json.dumps(decision))
    assert closed(tracking, run).model_versions == shown


def test_a_decision_about_a_version_that_is_not_there_shows_none(
    tracking: Tracking, client: MlflowClient, run: Run
) -> None:
    decision = {"promoted": True, "model_name": "never-made", "model_version": "one"}
    client.set_tag(run.run_id, "retrain.decision", json.dumps(decision))
    assert closed(tracking, run).model_versions == ()


def test_a_result_holds_the_dataset_that_the_training_names(tracking: Tracking, client: MlflowClient, run: Run) -> None:
    client.set_tag(run.run_id, "dataset.repo", "https://host/data.git")
    client.set_tag(run.run_id, "dataset.digest", "md5:\x00" + "a" * 3000)
    client.set_tag(run.run_id, "dataset.other", "x")
    digest = f"md5:\N{REPLACEMENT CHARACTER}{'a' * 2043}"
    assert closed(tracking, run).dataset == {"repo": "https://host/data.git", "digest": digest}


def test_a_result_holds_the_model_that_the_training_started_from(
    tracking: Tracking, client: MlflowClient, run: Run
) -> None:
    assert closed(tracking, run).base_model is None
    client.set_tag(run.run_id, "base_model.name", "")
    client.set_tag(run.run_id, "base_model.run_id", "r1")
    assert closed(tracking, run).base_model == {"run_id": "r1"}


def test_a_decision_holds_only_what_the_record_can_keep(tracking: Tracking, client: MlflowClient, run: Run) -> None:
    text = '{"promoted": true, "reason": "a\\u0000\\ud800", "challenger": NaN, "champion": 1e999, "metric": [], "x": 1}'
    client.set_tag(run.run_id, "retrain.decision", text)
    decision = closed(tracking, run).decision
    assert decision is not None
    known = {name: value for name, value in decision.items() if value is not None}
    assert known == {"promoted": True, "reason": "a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"}


def test_guardrails_of_a_decision_are_kept_neither_deeper_nor_longer_than_the_gate_writes_them(
    tracking: Tracking, client: MlflowClient, run: Run
) -> None:
    deep = {"a\x00": {"b": {"c": 1}, "holds": True, "list": [1]}}
    many = {f"d{number}": "x" for number in range(100)}
    decision = {"promoted": True, "guardrails": deep, "datasets": many}
    client.set_tag(run.run_id, "retrain.decision", json.dumps(decision))
    kept = closed(tracking, run).decision
    assert kept is not None
    assert kept["guardrails"] == {"a\N{REPLACEMENT CHARACTER}": {"b": None, "holds": True, "list": None}}
    assert len(kept["datasets"]) == 20


@pytest.mark.parametrize("text", ["not json", "[" * 7000, "[]", "{}", '{"promoted": "yes"}', '{"promoted": true'])
def test_a_decision_that_cannot_be_read_is_none(tracking: Tracking, client: MlflowClient, run: Run, text: str) -> None:
    client.set_tag(run.run_id, "retrain.decision", text)
    assert closed(tracking, run) == RunResult({}, None, ())


@pytest.mark.parametrize("value", ["9" * 400, "1e999"])
def test_a_number_that_no_float_holds_is_none_in_a_decision(
    tracking: Tracking, client: MlflowClient, run: Run, value: str
) -> None:
    client.set_tag(run.run_id, "retrain.decision", f'{{"promoted": true, "reason": "r", "champion": {value}}}')
    decision = closed(tracking, run).decision
    assert decision is not None
    assert decision["champion"] is None


def test_a_job_shows_a_bounded_number_of_metrics(tracking: Tracking, client: MlflowClient, run: Run) -> None:
    client.log_batch(run.run_id, metrics=[Metric(f"m{n:04}", n, 0, 0) for n in range(300)])
    assert len(closed(tracking, run).metrics) == 200
