"""GET /models/<name>/versions/<version>, and what is told of a model's versions, on a real MLflow server."""

import math
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from cryptography.fernet import Fernet
from flask.testing import FlaskClient
from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient

from api.app import create_app
from api.views.models.version import LONGEST_PARAMETER, MOST_SHOWN
from shared.secrets.vault import Vault
from shared.settings import Settings
from tests.fakes.queue import RecordingQueue
from tests.fakes.store import MemoryStore
from tests.support.jobs import new_job


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def api(mlflow_url: str, store: MemoryStore, tmp_path: Path) -> FlaskClient:
    settings = Settings.load(_env_file=None, data_dir=tmp_path, api_tokens=(), mlflow_tracking_uri=mlflow_url)
    app = create_app(settings, store=store, queue=RecordingQueue(), vault=Vault(Fernet.generate_key()))
    return app.test_client()


@pytest.fixture
def client(mlflow_url: str) -> MlflowClient:
    return MlflowClient(mlflow_url)


def register(client: MlflowClient, name: str, run_id: str | None, **tags: str) -> None:
    source = f"runs:/{run_id}/model" if run_id else "s3://bucket/model"
    client.create_model_version(name, source=source, run_id=run_id, tags={f"retrain.{k}": v for k, v in tags.items()})


def get(api: FlaskClient, name: str, path: str = "") -> Any:
    answer = api.get(f"/models/{quote(name, safe='')}{path}")
    assert answer.status_code == 200, answer.text
    return answer.json


def test_a_version_has_what_its_run_logged_and_the_job_that_made_it(
    api: FlaskClient, client: MlflowClient, store: MemoryStore
) -> None:
    name = f"iris 'a' & <b> % é {uuid4()}"
    client.create_registered_model(name)
    run_id = client.create_run("0").info.run_id
    client.log_param(run_id, "lr", 0.5)
    for step, value in enumerate((0.7, 0.9)):
        client.log_metric(run_id, "accuracy", value, step=step)
    client.log_metric(run_id, "loss", math.nan)
    client.set_terminated(run_id)
    job_id = store.submit(new_job()).job.id
    register(client, name, run_id, job_id=job_id, metric="accuracy", metric_value="0.9")
    client.set_registered_model_alias(name, "champion", "1")

    found = get(api, name, "/versions/1")
    assert (found["model"], found["version"], found["aliases"]) == (name, "1", ["champion"])
    assert (found["metric"], found["value"]) == ("accuracy", 0.9)
    assert found["params"] == {"lr": "0.5"}
    assert found["metrics"] == {"accuracy": 0.9, "loss": None}
    assert (found["left_out"], found["job"]["id"]) == (0, job_id)
    assert found["run_seconds"] >= 0
    assert run_id in found["mlflow"]
    [listed] = get(api, name)["versions"]
    assert listed == {key: found[key] for key in listed}


def test_of_a_run_with_very_much_only_some_is_shown(api: FlaskClient, client: MlflowClient) -> None:
    name = f"much-{uuid4()}"
    client.create_registered_model(name)
    run_id = client.create_run("0").info.run_id
    names = [f"n{number:03}" for number in range(MOST_SHOWN + 5)]
    params = [Param(each, "x" * (LONGEST_PARAMETER + 50)) for each in names]
    for some in (params[:100], params[100:200], params[200:]):
        client.log_batch(run_id, params=some)
    client.log_batch(run_id, metrics=[Metric(each, 1.0, 0, 0) for each in names])
    register(client, name, run_id)
    found = get(api, name, "/versions/1")
    assert list(found["params"]) == list(found["metrics"]) == names[:MOST_SHOWN]
    assert {len(each) for each in found["params"].values()} == {LONGEST_PARAMETER}
    assert found["left_out"] == 10


def test_a_version_without_a_run_or_a_known_job_says_what_is_known(api: FlaskClient, client: MlflowClient) -> None:
    name = f"foreign-{uuid4()}"
    client.create_registered_model(name)
    register(client, name, None, job_id="../../what")
    run_id = client.create_run("0").info.run_id
    register(client, name, run_id)
    client.delete_run(run_id)
    for version in ("1", "2"):
        found = get(api, name, f"/versions/{version}")
        assert (found["job"], found["params"], found["metric"], found["commit_sha"]) == (None, {}, None, None)


def test_what_there_is_not_is_named(api: FlaskClient, client: MlflowClient) -> None:
    name = f"one-{uuid4()}"
    client.create_registered_model(name)
    register(client, name, None)
    answer = api.get(f"/models/{name}/versions/7")
    assert (answer.status_code, "it has: 1" in answer.text) == (404, True)
    for path in (f"/models/{uuid4()}/versions/1", f"/models/{name}/versions/one", f"/models/{name}/versions/0"):
        assert api.get(path).status_code == 404
