"""Who the champion is that a model is compared with, and what becomes of it."""

from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sklearn.linear_model import LinearRegression  # type: ignore[import-untyped]

from mypackage import utility
from mypackage.gate import registry
from mypackage.gate.decision import DecisionRecord
from tests.support.projects.gate import (
    METRIC,
    MLFLOWS_OWN_WARNINGS,
    MODEL,
    aliases,
    champion_version,
    last_run,
    versions,
)

pytestmark = MLFLOWS_OWN_WARNINGS


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


def test_an_alias_of_a_version_that_is_gone_is_no_champion(client: MlflowClient, retrain: Any) -> None:
    retrain(0.95)
    retrain(0.99)
    client.delete_model_version(MODEL, "2")
    assert retrain(0.5).promoted


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


def test_a_champion_that_came_meanwhile_and_is_better_stays(
    client: MlflowClient, retrain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    retrain(0.5)

    def register_while_another_wins(*arguments: Any) -> str:
        monkeypatch.setattr("mypackage.gate.promotion.register", registry.register)
        mlflow.end_run()
        assert retrain(0.95).promoted
        return registry.register(*arguments)

    monkeypatch.setattr("mypackage.gate.promotion.register", register_while_another_wins)
    record = retrain(0.93)
    assert record.reason.startswith("not promoted: 0.93 < 0.95: another champion came meanwhile; version 3")
    assert champion_version(client) == "2"


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
