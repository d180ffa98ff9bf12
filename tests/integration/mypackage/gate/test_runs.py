"""The runs that the gate works in: the service's, a nested one, one that train.py goes on with, one beside it."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext

import mlflow
import pytest
from mlflow.tracking import MlflowClient
from sklearn.linear_model import LinearRegression  # type: ignore[import-untyped]

from mypackage import utility
from mypackage.gate import champions
from mypackage.gate.decision import Champion
from tests.support.projects.gate import METRIC, MLFLOWS_OWN_WARNINGS, MODEL

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
    assert champions.find_champion(client, MODEL, METRIC) == Champion("1", 0.94, metrics={METRIC: 0.94})


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


@pytest.fixture
def job_run(client: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The run that the service has made, as the training is told of it."""
    run_id = client.create_run(os.environ["MLFLOW_EXPERIMENT_ID"], tags={"retrain.job_id": "j1"}).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    monkeypatch.setenv("RETRAIN_RUN_ID", run_id)
    yield run_id
    mlflow.sklearn.autolog(disable=True)
    mlflow.end_run()


def after_the_with_block(_: LinearRegression) -> AbstractContextManager[object]:
    with mlflow.start_run():
        mlflow.log_metric("loss", 0.1)
    return nullcontext()


def after_autolog(model: LinearRegression) -> AbstractContextManager[object]:
    mlflow.sklearn.autolog(log_models=False, silent=True)
    model.fit([[0.0], [1.0]], [0.0, 1.0])
    return nullcontext()


def in_a_run_that_a_metric_after_autolog_has_started(model: LinearRegression) -> AbstractContextManager[object]:
    after_autolog(model)
    mlflow.log_metric("loss", 0.1)
    return nullcontext()


def in_a_second_run(model: LinearRegression) -> AbstractContextManager[object]:
    after_the_with_block(model)
    return mlflow.start_run()


def in_a_run_nested_in_a_second_run(model: LinearRegression) -> AbstractContextManager[object]:
    after_the_with_block(model)
    mlflow.start_run()
    return mlflow.start_run(nested=True)


def in_a_nested_run(_: LinearRegression) -> AbstractContextManager[object]:
    mlflow.start_run()
    return mlflow.start_run(nested=True)


SHAPES = [
    after_the_with_block,
    after_autolog,
    in_a_run_that_a_metric_after_autolog_has_started,
    in_a_second_run,
    in_a_run_nested_in_a_second_run,
    in_a_nested_run,
]
Shape = Callable[[LinearRegression], AbstractContextManager[object]]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_jobs_own_run_has_the_decision_wherever_the_gate_is_called(
    shape: Shape, client: MlflowClient, model: LinearRegression, job_run: str
) -> None:
    with shape(model):
        utility.auto_compare_and_register(model, 0.94, MODEL, False, METRIC, client, mlflow.sklearn)
    tags = client.get_run(job_run).data.tags
    assert json.loads(tags["retrain.decision"])["promoted"] is True
    version = client.get_model_version(MODEL, "1")
    assert (version.tags["retrain.job_id"], version.tags["retrain.job_run_id"]) == ("j1", job_run)
    assert client.get_run(str(version.run_id)).data.metrics[METRIC] == 0.94


@pytest.mark.parametrize("shape", SHAPES)
def test_an_attempt_that_was_given_up_promotes_nothing_wherever_the_gate_is_called(
    shape: Shape, client: MlflowClient, model: LinearRegression, job_run: str
) -> None:
    with shape(model):
        client.set_tag(job_run, "retrain.fenced", "true")
        with pytest.raises(utility.RunEnded):
            utility.auto_compare_and_register(model, 0.94, MODEL, False, METRIC, client, mlflow.sklearn)
    assert client.search_registered_models() == []


@pytest.mark.parametrize("shape", [after_the_with_block, after_autolog])
def test_the_gate_goes_on_with_the_jobs_run_when_that_has_ended(
    shape: Shape, client: MlflowClient, model: LinearRegression, job_run: str
) -> None:
    with shape(model):
        utility.auto_compare_and_register(model, 0.94, MODEL, False, METRIC, client, mlflow.sklearn)
    mlflow.log_param("alpha", 1)
    assert [run.info.run_id for run in client.search_runs([os.environ["MLFLOW_EXPERIMENT_ID"]])] == [job_run]
    assert client.get_model_version(MODEL, "1").run_id == job_run
    assert client.get_run(job_run).data.params["alpha"] == "1"


def test_a_run_that_was_given_up_is_not_called_running_again(
    client: MlflowClient, model: LinearRegression, job_run: str
) -> None:
    after_the_with_block(model)
    client.set_tag(job_run, "retrain.fenced", "true")
    client.set_terminated(job_run, "KILLED")
    with pytest.raises(utility.RunEnded):
        utility.auto_compare_and_register(model, 0.94, MODEL, False, METRIC, client, mlflow.sklearn)
    assert client.get_run(job_run).info.status == "KILLED"


def test_the_gate_finds_the_jobs_run_when_train_py_has_chosen_another_experiment(
    client: MlflowClient, model: LinearRegression, job_run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    after_the_with_block(model)
    monkeypatch.setattr(mlflow.tracking.fluent, "_active_experiment_id", "0")  # as set_experiment, for this test alone
    utility.auto_compare_and_register(model, 0.94, MODEL, False, METRIC, client, mlflow.sklearn)
    assert client.get_run(job_run).data.tags["retrain.promoted"] == "true"


def test_the_metric_of_a_run_beside_the_jobs_own_is_the_jobs_too(
    client: MlflowClient, model: LinearRegression, job_run: str
) -> None:
    with in_a_second_run(model):
        utility.auto_compare_and_register(model, 0.94, MODEL, False, METRIC, client, mlflow.sklearn)
    assert client.get_run(job_run).data.metrics == {"loss": 0.1, METRIC: 0.94}


def test_a_second_gate_after_the_end_of_the_jobs_run_leaves_the_first_models_metric_as_it_was(
    client: MlflowClient, model: LinearRegression, job_run: str
) -> None:
    reasons = []
    for value in (0.94, 0.91, 0.92):
        after_the_with_block(model)
        record = utility.auto_compare_and_register(model, value, MODEL, False, METRIC, client, mlflow.sklearn)
        reasons.append(record.reason)
        mlflow.end_run()
    assert reasons[1:] == ["not promoted: 0.91 < 0.94", "not promoted: 0.92 < 0.94"]
    assert json.loads(client.get_run(job_run).data.tags["retrain.decision"])["challenger"] == 0.92


def test_a_rival_of_a_run_beside_that_of_a_given_up_attempt_is_none(
    client: MlflowClient, model: LinearRegression, job_run: str
) -> None:
    with in_a_second_run(model):
        utility.auto_compare_and_register(model, 0.94, MODEL, False, METRIC, client, mlflow.sklearn)
    assert champions.find_rival(client, MODEL, "1", METRIC) is not None
    client.set_tag(job_run, "retrain.fenced", "true")
    assert champions.find_rival(client, MODEL, "1", METRIC) is None


def test_outside_the_service_a_run_that_has_ended_is_left_alone(client: MlflowClient, model: LinearRegression) -> None:
    with mlflow.start_run() as ended:
        pass
    utility.auto_compare_and_register(model, 0.94, MODEL, False, METRIC, client, mlflow.sklearn)
    assert "retrain.decision" not in client.get_run(ended.info.run_id).data.tags
