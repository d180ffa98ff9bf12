"""POST /models/<name>/champion, on a real MLflow server."""

from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from cryptography.fernet import Fernet
from flask.testing import FlaskClient
from mlflow.tracking import MlflowClient

from api.app import create_app
from shared.secrets.vault import Vault
from shared.settings import Settings
from tests.fakes.queue import RecordingQueue
from tests.fakes.store import MemoryStore


@pytest.fixture
def api(mlflow_url: str, tmp_path: Path) -> FlaskClient:
    settings = Settings.load(_env_file=None, data_dir=tmp_path, api_tokens=(), mlflow_tracking_uri=mlflow_url)
    app = create_app(settings, store=MemoryStore(), queue=RecordingQueue(), vault=Vault(Fernet.generate_key()))
    return app.test_client()


@pytest.fixture
def client(mlflow_url: str) -> MlflowClient:
    return MlflowClient(mlflow_url)


def make_model(client: MlflowClient, name: str, *, versions: int = 2, champion: str | None = "2") -> str:
    client.create_registered_model(name)
    for _ in range(versions):
        run_id = client.create_run("0").info.run_id
        client.create_model_version(name, source=f"runs:/{run_id}/model", run_id=run_id)
    if champion:
        client.set_registered_model_alias(name, "champion", champion)
    return name


def roll_back(api: FlaskClient, model: str, version: Any, reason: str = "wrong labels") -> Any:
    return api.post(f"/models/{quote(model, safe='')}/champion", json={"version": version, "reason": reason})


def aliases(client: MlflowClient, model: str) -> dict[str, str]:
    return {alias: str(version) for alias, version in client.get_registered_model(model).aliases.items()}


def test_the_champion_moves_and_the_old_one_keeps_the_alias_previous(api: FlaskClient, client: MlflowClient) -> None:
    model = make_model(client, f"rolled-{uuid4()}")
    answer = roll_back(api, model, "1")
    assert (answer.status_code, answer.json) == (
        200,
        {"model": model, "version": "1", "previous_version": "2", "reason": "wrong labels", "changed": True},
    )
    assert aliases(client, model) == {"champion": "1", "previous": "2"}
    tags = client.get_model_version(model, "1").tags
    assert (tags["retrain.rollback_reason"], tags["retrain.rollback_from_version"]) == ("wrong labels", "2")
    assert tags["retrain.rollback_request_id"] == answer.headers["X-Request-Id"]
    assert tags["retrain.rollback_at"].endswith("+00:00")


def test_asked_twice_it_is_the_same(api: FlaskClient, client: MlflowClient) -> None:
    model = make_model(client, f"twice-{uuid4()}")
    roll_back(api, model, 1)
    answer = roll_back(api, model, 1, "once more")
    assert answer.json["changed"] is False
    assert answer.json["previous_version"] == "2"
    assert aliases(client, model) == {"champion": "1", "previous": "2"}
    assert client.get_model_version(model, "1").tags["retrain.rollback_reason"] == "wrong labels"


def test_a_model_without_a_champion_gets_one(api: FlaskClient, client: MlflowClient) -> None:
    model = make_model(client, f"first-{uuid4()}", champion=None)
    assert roll_back(api, model, 1).json["previous_version"] is None
    assert aliases(client, model) == {"champion": "1"}


@pytest.mark.parametrize("name", ["a b", "ümläut", "50%25", "a?b=c&d", "#1", "a+b", "it's", 'say "x"', "a\\b"])
def test_a_name_is_only_a_name(api: FlaskClient, client: MlflowClient, name: str) -> None:
    model = make_model(client, f"{name} {uuid4()}")
    answer = roll_back(api, model, 1)
    assert (answer.status_code, answer.json["model"]) == (200, model)
    assert aliases(client, model)["champion"] == "1"


@pytest.mark.parametrize("version", ["3", 999_999_999])
def test_a_version_that_is_not_there_is_not_found(api: FlaskClient, client: MlflowClient, version: Any) -> None:
    model = make_model(client, f"absent-{uuid4()}")
    answer = roll_back(api, model, version)
    assert (answer.status_code, answer.json["code"]) == (404, "MODEL_VERSION_NOT_FOUND")
    assert f"no version {version} of '{model}' in MLflow (it has: 2, 1)" in answer.json["detail"]
    assert aliases(client, model) == {"champion": "2"}


@pytest.mark.parametrize("model", ["no such model", "a:b", "x\x00", "m" * 300])
def test_a_model_that_is_not_there_is_not_found(api: FlaskClient, model: str) -> None:
    answer = roll_back(api, model, 1)
    assert (answer.status_code, answer.json["code"]) == (404, "MODEL_VERSION_NOT_FOUND")
