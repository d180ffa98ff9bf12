"""mypackage's gate against a real registry: MLflow on SQLite, in the test's own folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from sklearn.linear_model import LinearRegression  # type: ignore[import-untyped]

from mypackage import utility
from mypackage.gate.decision import DecisionRecord

MODEL = "iris"
METRIC = "accuracy"

# MLflow's own code does these, on SQLAlchemy 2.1 and when it first imports its type hints.
MLFLOWS_OWN_WARNINGS = [
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
