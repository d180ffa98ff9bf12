"""POST /hooks/mlflow, to which a real MLflow server sends its webhooks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest
from cryptography.fernet import Fernet
from mlflow.tracking import MlflowClient

from api.app import create_app
from shared.secrets.vault import Vault
from shared.settings import Settings
from tests.fakes.queue import RecordingQueue
from tests.fakes.store import MemoryStore
from tests.integration.api.test_rollback import make_model
from tests.support.servers.served_app import ServedApp
from tests.support.waiting import wait_until
from tests.unit.api.hooks.senders import Desk

VERSION: Final = "model_version.created"
ALIAS: Final = "model_version_alias.created"


@pytest.fixture
def desk(mlflow_url: str, tmp_path: Path) -> Iterator[tuple[Desk, str]]:
    """An API on a port, and its address."""
    store, vault = MemoryStore(), Vault(Fernet.generate_key())
    settings = Settings.load(_env_file=None, data_dir=tmp_path, api_tokens="t", mlflow_tracking_uri=mlflow_url)
    app = create_app(settings, store=store, queue=RecordingQueue(), vault=vault)
    served = ServedApp(app).start()
    yield Desk(app.test_client(), store, vault), f"{served.url}/hooks/mlflow"
    served.stop()


def test_a_version_and_an_alias_reach_the_triggers_that_wait_for_them(desk: tuple[Desk, str], mlflow_url: str) -> None:
    here, url = desk
    client, model = MlflowClient(mlflow_url), f"embeddings {uuid4()}"
    here.trigger("on-version", "wort", registry={"model": "embeddings *"})
    here.trigger("on-alias", "wort", registry={"model": model, "event": "alias_moved", "alias": "champion"})
    here.trigger("another-secret", "elsewhere", registry={"model": "*"})
    right = client.create_webhook("right", url, [VERSION, ALIAS], secret="wort")
    try:
        make_model(client, model, versions=1, champion="1")
        wait_until(lambda: here.events("on-alias"), timeout_seconds=30, every_seconds=0.05, what="the alias's webhook")
        wait_until(lambda: here.events("on-version"), timeout_seconds=30, every_seconds=0.05, what="the version's")
        assert client.test_webhook(right.webhook_id).success
    finally:
        client.delete_webhook(right.webhook_id)
    facts = [here.store.trigger_events(name, limit=9)[0].facts for name in ("on-version", "on-alias")]
    assert facts == [{"model": model, "version": "1"}, {"model": model, "version": "1", "alias": "champion"}]
    assert here.events("another-secret") == []


def test_a_webhook_with_a_wrong_secret_is_told_so_by_mlflows_own_test(desk: tuple[Desk, str], mlflow_url: str) -> None:
    here, url = desk
    client = MlflowClient(mlflow_url)
    here.trigger("on-version", "wort", registry={"model": "example_model"})
    wrong = client.create_webhook("wrong", url, [VERSION], secret="wrong")
    try:
        result = client.test_webhook(wrong.webhook_id)
    finally:
        client.delete_webhook(wrong.webhook_id)
    assert (result.success, result.response_status) == (False, 401)
    assert here.events("on-version") == [("refused", "signature wrong")]
