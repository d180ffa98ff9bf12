"""The model to start from, out of a real registry: MLflow on SQLite, its artifacts in a folder."""

import shutil
import traceback
from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow.tracking import MlflowClient
from sklearn.linear_model import LinearRegression  # type: ignore[import-untyped]

from mypackage import flavors, utility
from mypackage.base_models import BaseModelError
from mypackage.prep_utils import base_model_path
from tests.support.projects.gate import MLFLOWS_OWN_WARNINGS

pytestmark = MLFLOWS_OWN_WARNINGS


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[str]]]:
    """A folder with a registry: versions 1 and 2 of 'iris', which predict 1 and 2, and their runs' ids."""
    folder = tmp_path_factory.mktemp("registry")
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    client = MlflowClient()
    experiment = client.create_experiment("base", artifact_location=(folder / "artifacts").as_uri())
    yield folder, [log_version(client, experiment, slope) for slope in (1.0, 2.0)]
    mlflow.set_tracking_uri("")


def log_version(client: MlflowClient, experiment_id: str, slope: float) -> str:
    with mlflow.start_run(experiment_id=experiment_id) as run:
        utility.auto_compare_and_register(
            model=LinearRegression().fit(np.array([[0.0], [1.0]]), np.array([0.0, slope])),
            eval_metric=slope,
            model_name="iris",
            lower=False,
            p_metric="slope",
            client=client,
            mlflow_model=mlflow.sklearn,
        )
    return str(run.info.run_id)


@pytest.fixture
def run_ids(registry: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RETRAIN_CACHE", raising=False)
    return registry[1]


def slope_of(path: str | None) -> float:
    assert path
    return float(mlflow.sklearn.load_model(path).coef_[0])


@pytest.mark.parametrize("nothing", [None, "", "None"])
def test_none_is_no_model_and_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nothing: str | None) -> None:
    monkeypatch.chdir(tmp_path)
    assert base_model_path(nothing) is None
    assert list(tmp_path.iterdir()) == []


def test_a_version_an_alias_and_a_run_id_bring_their_model(run_ids: list[str]) -> None:
    assert slope_of(base_model_path("models:/iris/1")) == pytest.approx(1.0)
    assert slope_of(base_model_path("models:/iris@champion")) == pytest.approx(2.0)
    assert slope_of(base_model_path("models:/iris@previous")) == pytest.approx(1.0)
    assert slope_of(base_model_path(run_ids[0], "elsewhere")) == pytest.approx(1.0)
    assert sorted(path.name for path in Path("base_model").iterdir()) == ["iris-1", "iris-2"]
    assert [path.name for path in Path("elsewhere").iterdir()] == [run_ids[0]]


def test_the_run_keeps_which_version_an_alias_was(run_ids: list[str]) -> None:
    with mlflow.start_run(experiment_id="1") as run:
        base_model_path("models:/iris@champion")
    client = MlflowClient()
    tags = client.get_run(run.info.run_id).data.tags
    assert {name: text for name, text in tags.items() if name.startswith("base_model.")} == {
        "base_model.name": "iris",
        "base_model.version": "2",
        "base_model.run_id": run_ids[1],
        "base_model.source": client.get_model_version("iris", "2").source,
    }


def test_the_services_run_keeps_a_run_id_although_the_training_has_not_started_it_yet(
    run_ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = MlflowClient()
    run_id = client.create_run("1").info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    base_model_path(run_ids[0])
    assert mlflow.active_run() is None
    assert client.get_run(run_id).data.tags["base_model.run_id"] == run_ids[0]


def test_a_model_is_downloaded_once_for_all_jobs_of_a_host_and_an_alias_is_asked_anew(
    registry: tuple[Path, list[str]], run_ids: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETRAIN_CACHE", str(tmp_path / "cache"))
    base_model_path("models:/iris@champion", "first")
    base_model_path(run_ids[0], "first")
    shutil.move(registry[0] / "artifacts", registry[0] / "gone")
    client = MlflowClient()
    try:
        assert slope_of(base_model_path("models:/iris/2", "second")) == pytest.approx(2.0)
        assert slope_of(base_model_path(run_ids[0], "second")) == pytest.approx(1.0)
        client.set_registered_model_alias("iris", "champion", "1")
        for _ in range(2):  # version 1 was not fetched in time, and nothing is kept in its place
            with pytest.raises(BaseModelError, match="the files of models:/iris/1 are gone"):
                base_model_path("models:/iris@champion", "third")
    finally:
        client.set_registered_model_alias("iris", "champion", "2")
        shutil.move(registry[0] / "gone", registry[0] / "artifacts")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("models:/iriss@champion", "there is no model 'iriss' (there is: iris)."),
        ("models:/iris/7", "model 'iris' has no version 7 (it has: 2, 1)."),
        ("models:/iris@champ", "model 'iris' has no alias 'champ' (it has: champion, previous)."),
        ("models:/iris", "base_model is 'models:/iris'; it must be an MLflow run id, models:/name/version"),
        ("base_model", "there is no run 'base_model'. Give an MLflow run id, models:/name/version"),
        ("0" * 32, "(models: iris)."),
    ],
)
def test_what_is_not_there_is_told_with_what_there_is(run_ids: list[str], asked: str, told: str) -> None:
    with pytest.raises(BaseModelError) as raised:
        base_model_path(asked)
    assert told in str(raised.value)
    assert "MlflowException" not in "".join(traceback.format_exception(raised.value))  # it says less, in three screens
    assert len(str(raised.value)) < 260  # the service shows 300 characters, with the error's name


def test_a_run_without_a_model_is_told_with_what_it_has(run_ids: list[str]) -> None:
    with mlflow.start_run(experiment_id="1") as run:
        mlflow.log_text("x", "notes.txt")
    with pytest.raises(BaseModelError, match=r"has logged no model \(its artifacts: notes.txt\)"):
        base_model_path(run.info.run_id)


def test_a_model_that_mlflow_2_put_among_the_runs_artifacts_is_found(run_ids: list[str]) -> None:
    saved = Path(str(base_model_path("models:/iris/2")))
    with mlflow.start_run(experiment_id="1") as run:
        mlflow.log_text("x", "plots/a.txt")
        mlflow.log_artifacts(str(saved), "trained")
    assert slope_of(base_model_path(run.info.run_id)) == pytest.approx(2.0)


def test_of_a_run_that_logged_several_models_the_last_is_taken(run_ids: list[str]) -> None:
    with mlflow.start_run(experiment_id="1") as run:
        for slope in (1.0, 3.0, 2.0):
            model = LinearRegression().fit(np.array([[0.0], [1.0]]), np.array([0.0, slope]))
            flavors.log_model(model, mlflow.sklearn)
    assert slope_of(base_model_path(run.info.run_id)) == pytest.approx(2.0)


def test_a_name_that_was_deleted_and_given_anew_is_not_taken_for_the_model_that_had_it(
    run_ids: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETRAIN_CACHE", str(tmp_path / "cache"))
    client = MlflowClient()
    found = []
    for version, folder in (("1", "first"), ("2", "second")):
        mlflow.register_model(str(client.get_model_version("iris", version).source), "reused")
        found.append(slope_of(base_model_path("models:/reused/1", folder)))
        client.delete_registered_model("reused")
    assert found == [pytest.approx(1.0), pytest.approx(2.0)]
