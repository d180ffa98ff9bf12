"""What a dataset was, on a real MLflow run."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from mypackage.dataset.contents import digest_of
from mypackage.dataset.records import DatasetRecord, record
from mypackage.prep_utils import data_and_model_prep

USED = DatasetRecord("dvc_repo", repo="https://host/data.git", rev="a" * 40, path="set", digest=f"md5:{'b' * 32}.dir")


@pytest.fixture
def client(mlflow_url: str) -> Iterator[MlflowClient]:
    mlflow.set_tracking_uri(mlflow_url)
    yield MlflowClient(mlflow_url)
    mlflow.set_tracking_uri("")


def is_recorded(client: MlflowClient, run_id: str, used: DatasetRecord, name: str) -> None:
    run = client.get_run(run_id)
    assert {name: value for name, value in run.data.tags.items() if name.startswith("dataset.")} == used.tags
    assert run.inputs is not None
    (given,) = run.inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.source_type) == (name, used.origin)
    assert given.dataset.digest == used.digest.partition(":")[2][:36]
    assert json.loads(given.dataset.source) == {"repo": used.repo, "rev": used.rev, "path": used.path}
    assert [(tag.key, tag.value) for tag in given.tags] == [("mlflow.data.context", "training")]


def test_the_active_run_has_the_dataset_as_an_input_and_as_tags(client: MlflowClient) -> None:
    with mlflow.start_run() as run:
        record(USED)
    is_recorded(client, run.info.run_id, USED, "set")


def test_the_services_run_has_it_although_the_training_has_not_started_it_yet(
    client: MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = client.create_run("0").info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a").write_text("x")
    data_and_model_prep(str(tmp_path / "out"), repo_url=str(tmp_path / "set"), ds_origin="local", json_dir="none.json")
    assert mlflow.active_run() is None
    with mlflow.start_run() as run:
        assert run.info.run_id == run_id
    is_recorded(client, run_id, DatasetRecord("local", str(tmp_path / "set"), digest_of(tmp_path / "out")), "set")


def test_the_services_run_has_it_when_the_training_has_ended_it_already(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = client.create_run("0").info.run_id
    monkeypatch.setenv("RETRAIN_RUN_ID", run_id)  # MLflow has used up MLFLOW_RUN_ID
    record(USED)
    is_recorded(client, run_id, USED, "set")


def test_a_dataset_that_is_prepared_twice_is_recorded_once(client: MlflowClient) -> None:
    with mlflow.start_run() as run:
        record(USED)
        record(USED)
    is_recorded(client, run.info.run_id, USED, "set")


def test_without_a_run_or_without_mlflow_nothing_is_recorded(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    before = len(client.search_runs(["0"]))
    record(USED)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    record(USED)
    assert len(client.search_runs(["0"])) == before
