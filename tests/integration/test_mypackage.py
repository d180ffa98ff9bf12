"""The gate against a real registry: MLflow on SQLite, and once through a server."""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import mlflow
import numpy as np
import pytest
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sklearn.ensemble import RandomForestClassifier  # type: ignore[import-untyped]
from sklearn.linear_model import LinearRegression  # type: ignore[import-untyped]

from mypackage import flavors, registry, utility
from mypackage.gate import Champion, DecisionRecord

MODEL = "iris"
METRIC = "accuracy"

# MLflow's own code does these, on SQLAlchemy 2.1 and when it first imports its type hints.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
]


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database without content: a copy of it costs milliseconds, the migration a second."""
    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def client(empty_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MlflowClient]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlflow.db").write_bytes(empty_database.read_bytes())
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    client = MlflowClient()
    experiment_id = client.create_experiment("gate", artifact_location=(tmp_path / "artifacts").as_uri())
    # Not by set_experiment, which nothing takes back: the next test's runs would be started there.
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", experiment_id)
    yield client
    mlflow.end_run()
    mlflow.set_tracking_uri("")


@pytest.fixture
def model() -> LinearRegression:
    return LinearRegression().fit(np.array([[0.0], [1.0]]), np.array([0.0, 1.0]))


@pytest.fixture
def retrain(client: MlflowClient, model: LinearRegression) -> Any:
    def retrain(value: Any, *, lower: bool | str = False, **arguments: Any) -> DecisionRecord:
        with mlflow.start_run():
            return utility.auto_compare_and_register(
                **{
                    "model": model,
                    "eval_metric": value,
                    "model_name": MODEL,
                    "lower": lower,
                    "p_metric": METRIC,
                    "client": client,
                    "mlflow_model": mlflow.sklearn,
                    **arguments,
                }
            )

    return retrain


def champion_version(client: MlflowClient) -> str:
    return str(client.get_model_version_by_alias(MODEL, "champion").version)


def versions(client: MlflowClient) -> list[str]:
    return sorted(str(version.version) for version in client.search_model_versions(f"name='{MODEL}'"))


def aliases(client: MlflowClient) -> dict[str, str]:
    return {alias: str(version) for alias, version in client.get_registered_model(MODEL).aliases.items()}


def last_run(client: MlflowClient) -> Run:
    experiment = client.get_experiment_by_name("gate")
    assert experiment
    return client.search_runs([experiment.experiment_id], order_by=["attribute.start_time DESC"], max_results=1)[0]


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


def test_a_model_without_a_champion_gets_one(client: MlflowClient, retrain: Any) -> None:
    retrain(0.99)
    client.delete_registered_model_alias(MODEL, "champion")
    assert retrain(0.5).reason == "promoted: first champion of 'iris' (accuracy 0.5)"
    assert champion_version(client) == "2"


def test_a_champion_whose_run_is_in_the_trash_still_counts(client: MlflowClient, retrain: Any) -> None:
    retrain(0.94)
    client.delete_run(last_run(client).info.run_id)
    assert retrain(0.91).reason == "not promoted: 0.91 < 0.94"
    assert retrain(0.95).promoted


def test_a_champion_whose_run_is_deleted_for_good_is_not_replaced_silently(client: MlflowClient, retrain: Any) -> None:
    retrain(0.94)
    run_id = last_run(client).info.run_id
    client.delete_run(run_id)
    client._tracking_client.store._hard_delete_run(run_id)  # what `mlflow gc` calls
    record = retrain(0.95)
    assert not record.promoted
    assert f"its run {run_id} is deleted" in record.reason
    assert champion_version(client) == "1"


def test_a_champion_without_the_metric_is_not_replaced_silently(client: MlflowClient, retrain: Any) -> None:
    retrain(0.94)
    record = retrain(0.95, p_metric="f1")
    assert not record.promoted
    assert "has no metric 'f1'" in record.reason
    assert (record.champion, record.champion_version, record.model_version) == (None, "1", None)
    assert versions(client) == ["1"]


def test_a_champion_that_was_registered_without_a_run_is_not_replaced_silently(
    client: MlflowClient, retrain: Any, tmp_path: Path
) -> None:
    client.create_registered_model(MODEL)
    client.create_model_version(MODEL, source=tmp_path.as_uri())
    client.set_registered_model_alias(MODEL, "champion", "1")
    assert "it was registered without a run" in retrain(0.95).reason
    assert champion_version(client) == "1"


def test_the_last_value_of_the_champion_counts_not_the_first(client: MlflowClient, model: LinearRegression) -> None:
    def train(curve: list[float], final: float) -> DecisionRecord:
        with mlflow.start_run():
            for step, value in enumerate(curve):
                mlflow.log_metric(METRIC, value, step=step)
            return utility.auto_compare_and_register(model, final, MODEL, False, METRIC, client, mlflow.sklearn)

    train([0.5, 0.7, 0.9], 0.9)
    assert train([0.99], 0.8).reason == "not promoted: 0.8 < 0.9"
    # The value that was passed counts, where it is not the one that the curve ended with.
    assert train([0.5, 0.6], 0.92).champion == 0.9
    assert train([0.5], 0.91).champion == 0.92


def test_a_value_that_train_py_logs_afterwards_changes_nothing(client: MlflowClient, model: LinearRegression) -> None:
    utility.auto_compare_and_register(model, 0.94, MODEL, False, METRIC, client, mlflow.sklearn)
    mlflow.log_metric(METRIC, 0.94)
    mlflow.end_run()
    assert registry.find_champion(client, MODEL, METRIC) == Champion("1", 0.94, metrics={METRIC: 0.94})


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


def test_a_champion_that_came_meanwhile_and_is_better_stays(
    client: MlflowClient, retrain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    retrain(0.5)

    def register_while_another_wins(*arguments: Any) -> str:
        monkeypatch.setattr("mypackage.passage.register", registry.register)
        mlflow.end_run()
        assert retrain(0.95).promoted
        return registry.register(*arguments)

    monkeypatch.setattr("mypackage.passage.register", register_while_another_wins)
    record = retrain(0.93)
    assert record.reason.startswith("not promoted: 0.93 < 0.95: another champion came meanwhile; version 3")
    assert champion_version(client) == "2"


@pytest.mark.parametrize("mlflow_model", [mlflow.models, mlflow.sklearn, None])
def test_the_flavor_is_found_by_the_models_class(retrain: Any, mlflow_model: ModuleType | None) -> None:
    record = retrain(0.95, mlflow_model=mlflow_model)
    loaded = mlflow.sklearn.load_model(f"models:/{MODEL}/{record.model_version}")
    assert loaded.predict([[2.0]]) == pytest.approx([2.0])


def test_a_python_model_is_logged_as_pyfunc(retrain: Any) -> None:
    class Doubler(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined, unused-ignore]
        def predict(self, context: Any, model_input: list[float], params: Any = None) -> list[float]:
            return [2 * value for value in model_input]

    record = retrain(0.95, model=Doubler(), mlflow_model=mlflow.models)
    assert mlflow.pyfunc.load_model(f"models:/{MODEL}/{record.model_version}").predict([2.0]) == [4.0]


def test_a_model_whose_types_mlflow_does_not_trust_by_itself_can_be_loaded_again(retrain: Any) -> None:
    forest = RandomForestClassifier(n_estimators=2).fit(np.array([[0.0], [1.0]]), np.array([0, 1]))
    record = retrain(0.95, model=forest)
    assert list(mlflow.sklearn.load_model(f"models:/{MODEL}/{record.model_version}").predict([[1.0]])) in ([0], [1])


def test_without_skops_the_model_is_still_logged(retrain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flavors, "_skops_types", lambda model: None)
    assert retrain(0.95).promoted


def test_a_model_of_an_unknown_library_names_its_class_and_what_to_pass(retrain: Any) -> None:
    with pytest.raises(ValueError, match=r"builtins\.dict.*Pass the flavor itself"):
        retrain(0.95, model={}, mlflow_model=mlflow.models)


def test_an_mlflow_2_flavor_is_called_by_its_old_parameter(model: LinearRegression) -> None:
    calls: list[tuple[object, str]] = []

    class OldFlavor:
        @staticmethod
        def log_model(sk_model: object, artifact_path: str) -> Any:
            calls.append((sk_model, artifact_path))
            return type("ModelInfo", (), {"model_uri": "runs:/1/model"})

    assert flavors.log_model(model, OldFlavor) == "runs:/1/model"
    assert calls == [(model, "model")]


def test_a_wrong_lower_is_told_after_the_model_is_safe(client: MlflowClient, retrain: Any) -> None:
    with pytest.raises(ValueError, match="must be True or False"):
        retrain(0.95, lower="sometimes")
    assert len(client.search_logged_models([last_run(client).info.experiment_id])) == 1
    assert client.search_registered_models() == []


def test_an_error_of_the_registry_is_not_taken_for_a_missing_champion(
    client: MlflowClient, retrain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    retrain(0.95)

    def unavailable(*_: object) -> None:
        raise MlflowException("database is locked")

    monkeypatch.setattr(client, "get_model_version_by_alias", unavailable)
    with pytest.raises(MlflowException, match="locked"):
        retrain(0.99)
    assert versions(client) == ["1"]


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


def test_the_champion_that_makes_room_keeps_the_alias_previous(client: MlflowClient, retrain: Any) -> None:
    retrain(0.91)
    assert aliases(client) == {"champion": "1"}
    retrain(0.95)
    retrain(0.93)
    assert aliases(client) == {"champion": "2", "previous": "1"}
    assert {name for name in client.get_registered_model(MODEL).tags if "gate" in name} == set()


def test_another_alias_has_champions_of_its_own(client: MlflowClient, retrain: Any) -> None:
    retrain(0.95)
    assert retrain(0.5, alias="edge").reason == "promoted: first champion of 'iris' (accuracy 0.5)"
    record = retrain(0.6, alias="edge")
    assert (record.alias, record.champion) == ("edge", 0.5)
    assert aliases(client) == {"champion": "1", "edge": "3", "previous-edge": "2"}


def test_what_train_py_says_of_the_model_is_passed_on(client: MlflowClient, retrain: Any) -> None:
    example = np.array([[0.5]])
    retrain(0.95, tags={"team": "vision"}, input_example=example, pip_requirements=["scikit-learn"])
    assert client.get_model_version(MODEL, "1").tags["team"] == "vision"
    info = mlflow.models.get_model_info(f"models:/{MODEL}/1")
    assert info.signature is not None
    assert info.saved_input_example_info is not None


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


def test_an_alias_of_a_version_that_is_gone_is_no_champion(client: MlflowClient, retrain: Any) -> None:
    retrain(0.95)
    retrain(0.99)
    client.delete_model_version(MODEL, "2")
    assert retrain(0.5).promoted
