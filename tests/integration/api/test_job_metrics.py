"""GET /jobs/<id>/metrics, on a real MLflow server."""

from pathlib import Path
from uuid import uuid4

import pytest
from cryptography.fernet import Fernet
from mlflow.entities import Metric
from mlflow.tracking import MlflowClient

from api.app import create_app
from api.job_metrics import MOST_POINTS
from shared.jobs.records import Resolution
from shared.secrets.vault import Vault
from shared.settings import Settings
from tests.fakes.queue import RecordingQueue
from tests.fakes.store import MemoryStore
from tests.unit.conftest import BODY, HOST

STEPS = 1000


@pytest.fixture
def client(mlflow_url: str) -> MlflowClient:
    return MlflowClient(mlflow_url)


def a_run(client: MlflowClient, base: float) -> str:
    run_id: str = client.create_run("0").info.run_id
    client.log_batch(run_id, metrics=[Metric("loss", base / (n + 1), 1_700_000_000_000 + n, n) for n in range(STEPS)])
    client.log_metric(run_id, "accuracy", base / 10)
    client.log_metric(run_id, "broken", float("nan"))
    return run_id


def test_a_jobs_metrics_are_read_beside_those_of_the_champions_run(
    client: MlflowClient, mlflow_url: str, tmp_path: Path
) -> None:
    store, model = MemoryStore(), f"measured-{uuid4()}"
    champion, run_id = a_run(client, 8.0), a_run(client, 9.0)
    client.create_registered_model(model)
    client.create_model_version(model, source=f"runs:/{champion}/model", run_id=champion)
    client.set_registered_model_alias(model, "champion", "1")
    settings = Settings.load(_env_file=None, data_dir=tmp_path, api_tokens=(), mlflow_tracking_uri=mlflow_url)
    api = create_app(settings, store=store, queue=RecordingQueue(), vault=Vault(Fernet.generate_key())).test_client()
    job_id = (api.post("/retrain", json={**BODY, "model_name": model}).json or {})["id"]
    claim = store.claim(job_id, host=HOST, lease_seconds=60)
    assert claim
    store.resolve(claim, Resolution("f" * 40, "python:3.11", "sha256:1", "0", run_id))

    answer = api.get(f"/jobs/{job_id}/metrics").json or {}

    assert answer["champion"] == {"model": model, "version": "1", "run_id": champion}
    accuracy, broken, loss = answer["metrics"]
    assert (accuracy["value"], accuracy["champion"]) == (0.9, 0.8)
    assert broken["value"] is None
    assert MOST_POINTS <= len(loss["points"]) <= MOST_POINTS + 2
    assert (loss["points"][0]["value"], loss["points"][-1]["step"]) == (9.0, STEPS - 1)
    assert loss["champion_points"][0]["value"] == 8.0
    assert api.get(f"/ui/jobs/{job_id}/metrics").text.count("<svg") == 4  # a chart, and three lines of its legend
