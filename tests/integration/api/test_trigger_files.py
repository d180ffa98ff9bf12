"""Triggers over real databases and processes: files that two APIs apply at once, and firings that race."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography.fernet import Fernet
from flask.testing import FlaskClient

from api.app import Api, create_app
from api.services import EXTENSION
from api.triggers.folder import TriggerFolder
from shared.secrets.vault import Vault
from shared.settings import Settings
from shared.sql import SqlStore
from tests.fakes.queue import RecordingQueue
from tests.support.network.ports import free_port
from tests.support.servers.api_server import running_api
from tests.support.waiting import wait_until

BODY = {"experiment_name": "iris", "git_uri": "https://ghp_0123456789abcdef@github.com/user/iris.git"}
NIGHTLY: dict[str, Any] = {"name": "nightly", "template": BODY, "when": {"cron": "30 2 * * *"}}
NAMES = [f"t{number}" for number in range(10)]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "triggers"
    folder.mkdir()
    return folder


@pytest.fixture
def app(sql_store: SqlStore, tmp_path: Path, files: Path) -> Api:
    settings = Settings.load(_env_file=None, data_dir=tmp_path, api_tokens=(), triggers_dir=files)
    return create_app(settings, store=sql_store, queue=RecordingQueue(), vault=Vault(Fernet.generate_key()))


def write(files: Path, name: str, **changes: Any) -> None:
    (files / f"{name}.yaml").write_text(json.dumps({**NIGHTLY, "name": name, **changes}))


def test_folders_that_are_applied_at_once_write_each_change_once(app: Api, files: Path, sql_store: SqlStore) -> None:
    def look() -> None:
        folder = TriggerFolder(files, app.extensions[EXTENSION])
        for _ in range(3):
            folder.look()

    for policy, version in (({}, 1), ({"cooldown": 60}, 2)):
        for name in NAMES:
            write(files, name, policy=policy)
        with ThreadPoolExecutor(4) as threads:
            for done in [threads.submit(look) for _ in range(4)]:
                done.result()
        assert {each.name: each.version for each in sql_store.list_triggers()} == dict.fromkeys(NAMES, version)


def test_the_same_firing_sent_at_once_is_one_job(app: Api, sql_store: SqlStore) -> None:
    assert app.test_client().post("/triggers", json=NIGHTLY).status_code == 201

    def fire(client: FlaskClient) -> str:
        answer = client.post("/triggers/nightly/fire", headers={"Idempotency-Key": "k"})
        assert answer.status_code == 202, answer.text
        return str((answer.json or {})["id"])

    with ThreadPoolExecutor(8) as threads:
        jobs = set(threads.map(fire, [app.test_client() for _ in range(8)]))
    [event] = sql_store.trigger_events("nightly", limit=10)
    assert jobs == {event.job_id}
    assert sql_store.get(str(event.job_id)).had_secret


def test_of_changes_for_one_version_sent_at_once_one_counts(app: Api, sql_store: SqlStore) -> None:
    app.test_client().post("/triggers", json=NIGHTLY)

    def change(seconds: int) -> int:
        body = {"template": BODY, "when": {"every": seconds}}
        return app.test_client().put("/triggers/nightly", json=body, headers={"If-Match": '"1"'}).status_code

    with ThreadPoolExecutor(4) as threads:
        answers = sorted(threads.map(change, (60, 70, 80, 90)))
    assert answers == [200, 412, 412, 412]
    assert sql_store.get_trigger("nightly").version == 2


@pytest.fixture
def apis(files: Path, tmp_path: Path) -> Iterator[list[str]]:
    """Two processes of the API with one store and one folder."""
    write(files, "nightly")
    given = {"REDIS_URL": f"redis://127.0.0.1:{free_port()}/0", "TRIGGERS_DIR": str(files)}
    with ExitStack() as stack:
        yield [stack.enter_context(running_api(tmp_path, **given)).url for _ in range(2)]


def test_two_processes_follow_one_folder(apis: list[str], files: Path) -> None:
    def versions() -> list[dict[str, int]]:
        found = [requests.get(f"{url}/triggers", timeout=10).json()["triggers"] for url in apis]
        return [{each["name"]: each["version"] for each in one} for one in found]

    wait_until(lambda: versions() == [{"nightly": 1}] * 2)
    write(files, "nightly", when={"every": 60})
    write(files, "weekly")
    wait_until(lambda: versions() == [{"nightly": 2, "weekly": 1}] * 2, timeout_seconds=20)
