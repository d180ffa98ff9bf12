"""The queue through a fake Redis that listens on a socket: in seconds, what test_queue.py shows on a real server."""

import base64
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakeredis import TcpFakeServer
from pydantic import SecretStr
from redis import Redis

from shared.errors import QueueUnavailable
from shared.queue import CeleryQueue
from shared.secrets.redactor import Redactor
from shared.settings import Settings
from tests.fakes.store import MemoryStore
from tests.support.jobs import new_job


@pytest.fixture
def url() -> Iterator[str]:
    """The address of a fake server."""
    server = TcpFakeServer(("127.0.0.1", 0))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"redis://127.0.0.1:{server.server_address[1]}/0"
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture
def queue(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CeleryQueue:
    """The queue under test, whatever this machine's environment says."""
    monkeypatch.chdir(tmp_path)
    return CeleryQueue(Settings.load(redis_url=SecretStr(url)))


def test_a_sent_job_waits_in_its_queue(queue: CeleryQueue, url: str) -> None:
    queue.send(MemoryStore().submit(new_job(queue="gpu", priority=9)).job)
    with Redis.from_url(url) as client:
        assert client.llen("gpu") == 1


def test_a_message_holds_no_secret(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    queue = CeleryQueue(Settings.load(redis_url=SecretStr(url)), Redactor(["hunter2-secret"]))
    queue.send(MemoryStore().submit(new_job(queue="gpu", priority=9, experiment_name="hunter2-secret")).job)
    with Redis.from_url(url) as client:
        [message] = client.lrange("gpu", 0, -1)
    assert b"hunter2" not in message + base64.b64decode(json.loads(message)["body"])


def test_a_ping_writes_and_reads_back(queue: CeleryQueue, url: str) -> None:
    queue.ping()
    with Redis.from_url(url) as client:
        assert client.get("retrain:ping") == b"1"


def test_a_server_that_is_not_there_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(QueueUnavailable):
        CeleryQueue(Settings.load(redis_url=SecretStr("redis://127.0.0.1:1/0"))).ping()
