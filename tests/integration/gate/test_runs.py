"""The runs that the gate works in: the service's, a nested one, one that train.py goes on with."""

import mlflow
import pytest
from mlflow.tracking import MlflowClient
from sklearn.linear_model import LinearRegression  # type: ignore[import-untyped]

from mypackage import registry, utility
from mypackage.gate import Champion
from tests.support.gate import METRIC, MLFLOWS_OWN_WARNINGS, MODEL

pytestmark = MLFLOWS_OWN_WARNINGS


def test_it_works_in_the_run_that_the_service_made(
    client: MlflowClient, model: LinearRegression, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = client.get_experiment_by_name("gate")
    assert experiment
    run_id = client.create_run(experiment.experiment_id).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    utility.auto_compare_and_register(model, 0.94, MODEL, False, METRIC, client, mlflow.sklearn)
    mlflow.log_param("alpha", 1)  # as the predecessor's train.py goes on: same run, no start_run anywhere
    assert client.get_run(run_id).data.params == {"alpha": "1"}
    assert client.get_run(run_id).data.tags["retrain.promoted"] == "true"


def test_a_value_that_train_py_logs_afterwards_changes_nothing(client: MlflowClient, model: LinearRegression) -> None:
    utility.auto_compare_and_register(model, 0.94, MODEL, False, METRIC, client, mlflow.sklearn)
    mlflow.log_metric(METRIC, 0.94)
    mlflow.end_run()
    assert registry.find_champion(client, MODEL, METRIC) == Champion("1", 0.94, metrics={METRIC: 0.94})


def test_the_gate_in_a_nested_run_is_known_to_the_jobs_run(client: MlflowClient, model: LinearRegression) -> None:
    with mlflow.start_run(tags={"retrain.job_id": "j1"}) as parent, mlflow.start_run(nested=True):
        utility.auto_compare_and_register(model, 0.95, MODEL, False, METRIC, client, mlflow.sklearn)
    assert client.get_run(parent.info.run_id).data.tags["retrain.promoted"] == "true"
    assert client.get_model_version(MODEL, "1").tags["retrain.job_id"] == "j1"


def test_a_nested_run_of_an_attempt_that_was_given_up_promotes_nothing(
    client: MlflowClient, model: LinearRegression
) -> None:
    with (
        mlflow.start_run(tags={"retrain.fenced": "true"}),
        mlflow.start_run(nested=True),
        pytest.raises(utility.RunEnded),
    ):
        utility.auto_compare_and_register(model, 0.95, MODEL, False, METRIC, client, mlflow.sklearn)
    assert client.search_registered_models() == []
