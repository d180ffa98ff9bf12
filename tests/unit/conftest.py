"""The API and a worker, each on fakes."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask.testing import FlaskClient

from api.app import Api, create_app
from shared.jobs.records import Claim
from shared.logs import JsonFormatter
from shared.scheduling.hosts import Host
from shared.scheduling.limits import Limits
from shared.secrets.vault import Vault
from shared.settings import Settings
from tests.fakes.queue import RecordingQueue
from tests.fakes.store import MemoryStore
from tests.fakes.worker import FakeWorker
from tests.support.log_lines import Log

HOST = Host("gpu-1", slots=100, queues={"default"}, runner="docker", gpus=("0", "1"), labels=("a100", "gpu"))
BODY = {"experiment_name": "iris", "git_uri": "https://github.com/user/iris.git"}

MakeApp = Callable[..., Api]
Submit = Callable[..., dict[str, Any]]
ClaimJob = Callable[[str], Claim]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(limits=Limits(per_key=100))


@pytest.fixture
def queue() -> RecordingQueue:
    return RecordingQueue()


@pytest.fixture
def vault() -> Vault:
    return Vault(Fernet.generate_key())


@pytest.fixture
def make_app(store: MemoryStore, queue: RecordingQueue, vault: Vault, tmp_path: Path) -> MakeApp:
    def make(**settings: Any) -> Api:
        loaded = Settings.load(_env_file=None, **{"data_dir": tmp_path, "api_tokens": (), **settings})
        return create_app(loaded, store=store, queue=queue, vault=vault)

    return make


@pytest.fixture
def client(make_app: MakeApp) -> FlaskClient:
    return make_app().test_client()


@pytest.fixture
def submit(client: FlaskClient) -> Submit:
    def post(**fields: Any) -> dict[str, Any]:
        answer = client.post("/retrain", json={**BODY, **fields})
        assert answer.status_code == 202, answer.text
        job: dict[str, Any] = answer.json or {}
        return job

    return post


@pytest.fixture
def claim_job(store: MemoryStore) -> ClaimJob:
    def claim(job_id: str) -> Claim:
        claimed = store.claim(job_id, host=HOST, lease_seconds=60)
        assert claimed is not None
        return claimed

    return claim


@pytest.fixture
def log() -> Iterator[Log]:
    """What all loggers write from INFO on, as JSON."""
    root = logging.getLogger()
    level, written = root.level, Log(JsonFormatter(), root)
    root.setLevel(logging.INFO)
    yield written
    root.setLevel(level)
    root.removeHandler(written.handler)


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeWorker:
    """A worker whose pauses are short."""
    monkeypatch.setattr("worker.attempt.supervision.FIRST_POLL_SECONDS", 0.001)
    monkeypatch.setattr("worker.attempt.supervision.POLL_SECONDS", 0.002)
    monkeypatch.setattr("worker.attempt.patience.FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr("worker.attempt.patience.LAST_PAUSE_SECONDS", 0.002)
    return FakeWorker.new(tmp_path)
