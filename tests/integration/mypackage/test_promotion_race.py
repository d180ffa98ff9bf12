"""Two challengers that finish at once, before a real MLflow server."""

import logging
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import mlflow
import pytest
from mlflow.tracking import MlflowClient
from sklearn.linear_model import LinearRegression  # type: ignore[import-untyped]

from mypackage.gate.champions import find_champion
from mypackage.gate.decision import Challenger, DecisionRecord
from mypackage.gate.promotion import Promotion
from mypackage.gate.rules import Rules
from tests.support.length import rounds

ROUNDS = rounds(12, long=50)
METRIC = "accuracy"
MODEL = "raced"


# MLflow's own code does it when it first imports its type hints.
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning")


@pytest.fixture
def client(mlflow_url: str) -> Iterator[MlflowClient]:
    mlflow.set_tracking_uri(mlflow_url)
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    yield MlflowClient()
    mlflow.set_tracking_uri("")


@pytest.fixture
def model_folder(client: MlflowClient, tmp_path: Path) -> Path:
    client.create_experiment("race")
    mlflow.sklearn.save_model(
        LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]), tmp_path / "model", pip_requirements=["scikit-learn"]
    )
    return tmp_path / "model"


def race(client: MlflowClient, model_folder: Path, values: tuple[float, float]) -> list[DecisionRecord]:
    """Let a model of each value pass the gate at the same moment."""
    experiment = client.get_experiment_by_name("race")
    assert experiment
    start = Barrier(len(values), timeout=60)

    def finish(value: float) -> DecisionRecord:
        run_id = client.create_run(experiment.experiment_id).info.run_id
        client.log_artifacts(run_id, str(model_folder), "model")
        client.log_metric(run_id, METRIC, value)
        challenger = Challenger(MODEL, METRIC, value, metrics={METRIC: value})
        start.wait()
        promotion = Promotion(client, run_id, challenger, Rules(lower_is_better=False), "champion")
        return promotion.decide(f"runs:/{run_id}/model", {})

    with ThreadPoolExecutor(len(values)) as pool:
        return list(pool.map(finish, values))


def test_of_two_that_finish_at_once_the_better_one_is_champion_every_time(
    client: MlflowClient, model_folder: Path
) -> None:
    chance = random.Random(7)  # noqa: S311 - no secret
    lost_late = 0
    for number in range(ROUNDS):
        better, worse = number + 0.7, number + 0.5
        values = (better, worse) if chance.random() < 0.5 else (worse, better)
        records = {record.challenger: record for record in race(client, model_folder, values)}
        champion = find_champion(client, MODEL, METRIC)
        assert champion is not None
        assert (champion.value, champion.version) == (better, records[better].model_version), (number, records)
        assert records[better].promoted
        lost_late += "another champion came meanwhile" in records[worse].reason
    assert lost_late > 0  # else nothing was raced for
    model = client.get_registered_model(MODEL)
    assert {name for name in model.tags if name.startswith("retrain.gate")} == set()
    assert set(model.aliases) == {"champion", "previous"}
