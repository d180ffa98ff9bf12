"""What the gate decides about numbers, data and rules, and where it says so."""

import json
import math
from dataclasses import asdict
from typing import Any

import mlflow
import pytest
from mlflow.tracking import MlflowClient
from sklearn.linear_model import LinearRegression  # type: ignore[import-untyped]

from mypackage import utility
from mypackage.gate.decision import DecisionRecord
from tests.support.projects.gate import METRIC, MLFLOWS_OWN_WARNINGS, MODEL, champion_version, last_run, versions

pytestmark = MLFLOWS_OWN_WARNINGS


def test_the_first_model_becomes_the_champion(client: MlflowClient, retrain: Any) -> None:
    record = retrain(0.95)
    assert record.promoted
    assert record.reason == "promoted: first version of 'iris' (accuracy 0.95)"
    assert champion_version(client) == record.model_version == "1"


def test_a_better_model_takes_over_and_the_record_names_both(client: MlflowClient, retrain: Any) -> None:
    retrain(0.91)
    assert retrain(0.95) == DecisionRecord(
        promoted=True,
        reason="promoted: 0.95 > 0.91",
        metric=METRIC,
        direction="higher_is_better",
        challenger=0.95,
        champion=0.91,
        champion_version="1",
        model_name=MODEL,
        model_version="2",
        datasets={"challenger": None, "champion": None},
        different_data="note",  # outside the service
    )
    assert champion_version(client) == "2"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (0.91, "not promoted: 0.91 < 0.94"),
        (0.94, "not promoted: 0.94 = 0.94 (tie)"),
        (math.nan, "not promoted: accuracy is nan, which cannot be compared"),
        (math.inf, "not promoted: accuracy is inf, which cannot be compared"),
    ],
)
def test_what_is_not_promoted_is_logged_but_not_registered_and_the_alias_stays(
    client: MlflowClient, retrain: Any, value: float, reason: str
) -> None:
    retrain(0.94)
    record = retrain(value)
    assert (record.promoted, record.reason) == (False, reason)
    assert versions(client) == [champion_version(client)] == ["1"]
    logged = client.search_logged_models([last_run(client).info.experiment_id])
    assert len(logged) == 2


def test_nan_makes_no_model_where_there_was_none(client: MlflowClient, retrain: Any) -> None:
    assert not retrain(math.nan).promoted
    assert client.search_registered_models() == []


def test_a_lower_value_wins_where_lower_is_better(client: MlflowClient, retrain: Any) -> None:
    retrain(0.5, lower="True")
    assert not retrain(0.6, lower="true").promoted
    record = retrain(0.4, lower=True)
    assert (record.promoted, record.direction) == (True, "lower_is_better")
    assert champion_version(client) == "2"


def test_a_wrong_lower_is_told_after_the_model_is_safe(client: MlflowClient, retrain: Any) -> None:
    with pytest.raises(ValueError, match="must be True or False"):
        retrain(0.95, lower="sometimes")
    assert len(client.search_logged_models([last_run(client).info.experiment_id])) == 1
    assert client.search_registered_models() == []


def test_the_decision_is_on_the_run_as_json_and_in_the_log(
    client: MlflowClient, retrain: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    retrain(0.94)
    retrain(math.nan)
    tags = last_run(client).data.tags
    assert tags["retrain.promoted"] == "false"
    decision = json.loads(tags["retrain.decision"], parse_constant=pytest.fail)
    assert (decision["challenger"], decision["champion"], decision["champion_version"]) == (None, 0.94, "1")
    assert capsys.readouterr().out.splitlines()[-1] == decision["reason"]


def test_a_version_says_which_run_metric_and_job_it_is_from(client: MlflowClient, model: LinearRegression) -> None:
    with mlflow.start_run(tags={"retrain.job_id": "j1"}) as run:
        utility.auto_compare_and_register(model, 0.95, MODEL, False, METRIC, client, mlflow.sklearn)
    version = client.get_model_version(MODEL, "1")
    assert version.run_id == run.info.run_id
    assert version.tags == {
        "retrain.run_id": run.info.run_id,
        "retrain.metric": METRIC,
        "retrain.metric_value": "0.95",
        "retrain.job_id": "j1",
    }


def test_a_worse_model_on_the_same_data_says_so_and_the_data_are_on_the_record(
    client: MlflowClient, retrain: Any
) -> None:
    retrain(0.94, eval_dataset=("iris", "abc1"))
    record = retrain(0.91, eval_dataset="iris@abc1")
    assert record.reason == "not promoted: 0.91 < 0.94 (same evaluation data)"
    assert record.datasets == {"challenger": "iris@abc1", "champion": "iris@abc1"}
    assert json.loads(last_run(client).data.tags["retrain.decision"])["datasets"] == record.datasets
    assert "different evaluation data: iris@9f2e / iris@abc1" in retrain(0.95, eval_dataset="iris@9f2e").reason


def test_a_guardrail_and_min_delta_hold_a_model_back(client: MlflowClient, model: LinearRegression) -> None:
    def train(value: float, recall: float, **rules: Any) -> DecisionRecord:
        with mlflow.start_run():
            mlflow.log_metric("recall", recall)
            return utility.auto_compare_and_register(
                model, value, MODEL, False, METRIC, client, mlflow.sklearn, **rules
            )

    train(0.91, 0.90)
    rules: dict[str, Any] = {"guardrails": {"recall": 0.02}, "min_delta": 0.01}
    record = train(0.95, 0.85, **rules)
    assert record.reason == "not promoted: 0.95 > 0.91, but recall fell by 0.05, 0.02 is allowed"
    assert asdict(record.guardrails["recall"]) == {
        "allowed": 0.02,
        "direction": "higher_is_better",
        "challenger": 0.85,
        "champion": 0.9,
        "holds": False,
    }
    assert "better by 0.005 only" in train(0.915, 0.95, **rules).reason
    assert train(0.95, 0.89, **rules).promoted


def test_what_the_request_says_goes_before_train_py(
    client: MlflowClient, retrain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    retrain(0.91)
    monkeypatch.setenv("RETRAIN_PROMOTION", '{"min_delta": 0.1}')
    assert "better by 0.04 only" in retrain(0.95, min_delta=0.0).reason
    monkeypatch.setenv("RETRAIN_PROMOTION", '{"metric": "f1"}')
    assert retrain(0.99).reason.startswith("not promoted: the run has no metric 'f1'. Log it before")
    monkeypatch.setenv("RETRAIN_PROMOTION", '{"direction": "lower_is_better"}')
    assert retrain(0.5).reason == "promoted: 0.5 < 0.91 (lower is better)"
