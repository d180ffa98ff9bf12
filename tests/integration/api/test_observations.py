"""POST /models/<name>/observations, on a real MLflow server."""

from pathlib import Path
from uuid import uuid4

import pytest
from cryptography.fernet import Fernet
from flask.testing import FlaskClient
from mlflow.tracking import MlflowClient

from api.app import create_app
from api.model_registry import ModelRegistry
from shared.jobs.promotions import CHAMPION, Kind, NewPromotion, PromotionState
from shared.promoting import settle
from shared.secrets.vault import Vault
from shared.settings import Settings
from tests.fakes.queue import RecordingQueue
from tests.fakes.store import MemoryStore
from tests.integration.api.test_rollback import aliases, make_model

PROBATION = {"seconds": 60.0, "metric": "accuracy", "lower_is_better": False, "max_worsening": 0.05, "reference": 0.9}


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def api(store: MemoryStore, mlflow_url: str, tmp_path: Path) -> FlaskClient:
    settings = Settings.load(_env_file=None, data_dir=tmp_path, api_tokens=(), mlflow_tracking_uri=mlflow_url)
    app = create_app(settings, store=store, queue=RecordingQueue(), vault=Vault(Fernet.generate_key()))
    return app.test_client()


def test_a_champion_that_breaks_its_probation_gives_way_to_the_one_before(
    api: FlaskClient, store: MemoryStore, mlflow_url: str
) -> None:
    client = MlflowClient(mlflow_url)
    model = make_model(client, f"watched {uuid4()}", versions=2, champion="1")
    new = NewPromotion(
        *(model, CHAMPION, Kind.TRAINING, "2", "1", PromotionState.MOVING, "job j", "promoted: 0.9 > 0.8"),
        facts={"probation": PROBATION},
    )
    settle(store, ModelRegistry(mlflow_url), model, CHAMPION, lambda seen, _: store.propose(new, seen=seen))
    assert aliases(client, model) == {"champion": "2", "previous": "1"}

    def report(value: float) -> tuple[str, str]:
        said = api.post(f"/models/{model}/observations", json={"metric": "accuracy", "value": value}).json
        assert said is not None
        return said["verdict"], said["champion"]

    assert report(0.87) == ("holds", "2")
    assert (api.get(f"/models/{model}").json or {})["probation"]["bound"] == 0.85
    assert report(0.7) == ("broken", "1")
    assert aliases(client, model) == {"champion": "1", "previous": "2"}
    events = (api.get(f"/models/{model}/history?limit=2").json or {})["events"]
    assert [(each["event"], each["kind"], each["version"]) for each in events] == [
        ("moved", "probation", "1"),
        ("decided", "probation", "1"),
    ]
    assert report(0.1) == ("not_judged", "1")


def test_a_model_that_is_not_there_has_no_champion_to_observe(api: FlaskClient) -> None:
    answer = api.post("/models/no such model/observations", json={"metric": "accuracy", "value": 0.5})
    assert (answer.status_code, (answer.json or {})["code"]) == (409, "NOT_CHAMPION")
