"""Errors as problem documents, request ids, and the headers of every answer."""

import pytest
from flask import abort
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.app import create_app
from shared.secrets.redactor import Redactor
from shared.secrets.vault import Vault
from shared.settings import Settings
from tests.fakes.queue import RecordingQueue
from tests.fakes.store import MemoryStore
from tests.support.log_lines import Log
from tests.support.servers.odd_mlflow import odd_mlflow
from tests.unit.api.documented import Api, Asking, Documented
from tests.unit.conftest import BODY, HOST, MakeApp

SECRET = "s3cret-inside"


def break_store(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError(SECRET)

    monkeypatch.setattr(store, "list", fail)


def test_a_path_that_is_none_is_a_problem_document(client: FlaskClient) -> None:
    answer = client.get("/nothing")
    assert answer.status_code == 404
    assert answer.content_type == "application/problem+json"
    assert (answer.json or {})["code"] == "NOT_FOUND"


def test_a_method_that_is_not_taken_names_those_that_are(client: FlaskClient) -> None:
    answer = client.delete("/retrain")
    assert answer.status_code == 405
    assert (answer.json or {})["code"] == "METHOD_NOT_ALLOWED"
    assert "POST" in answer.headers["Allow"]
    assert "POST" in (answer.json or {})["detail"]


def test_a_fault_of_ours_tells_the_caller_nothing_and_the_log_everything(
    client: FlaskClient, store: MemoryStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    break_store(store, monkeypatch)
    answer = client.get("/jobs", headers={"X-Request-Id": "abc-1"})
    assert answer.status_code == 500
    assert answer.content_type == "application/problem+json"
    assert SECRET not in answer.text
    assert (answer.json or {})["request_id"] == "abc-1"
    [record] = caplog.records
    assert vars(record)["request_id"] == "abc-1"
    assert record.exc_info
    assert SECRET in caplog.text


@pytest.mark.parametrize("path", ["/jobs", "/jobs/5c2f7c1e", "/jobs/5c2f7c1e/logs", "/jobs/5c2f7c1e?wait=5"])
def test_without_the_store_reading_is_unavailable_for_now(client: FlaskClient, store: MemoryStore, path: str) -> None:
    store.down = True
    answer = client.get(path)
    assert answer.status_code == 503
    assert (answer.json or {})["code"] == "STORE_UNAVAILABLE"
    assert answer.headers["Retry-After"] == "5"


def test_without_the_store_nothing_is_accepted(client: FlaskClient, store: MemoryStore, queue: RecordingQueue) -> None:
    store.down = True
    answer = client.post("/retrain", json=BODY)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert not queue.sent


def test_the_callers_request_id_comes_back(client: FlaskClient) -> None:
    assert client.get("/jobs", headers={"X-Request-Id": "a.b-c_1"}).headers["X-Request-Id"] == "a.b-c_1"


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "a;b", "-a", "ä"])
def test_a_request_id_that_is_not_sane_is_replaced(client: FlaskClient, given: str) -> None:
    answer = client.get("/jobs", headers={"X-Request-Id": given})
    assert len(answer.headers["X-Request-Id"]) == 32


def test_requests_have_different_ids(client: FlaskClient) -> None:
    assert client.get("/jobs").headers["X-Request-Id"] != client.get("/jobs").headers["X-Request-Id"]


@pytest.mark.parametrize("path", ["/jobs", "/nothing", "/docs", "/healthz"])
def test_every_answer_has_an_id_and_forbids_guessing_its_type(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.headers["X-Request-Id"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_alive_asks_nobody(client: FlaskClient, store: MemoryStore, queue: RecordingQueue) -> None:
    store.down = queue.down = True
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_ready_says_whether_mlflow_answers_and_does_not_need_it(make_app: MakeApp) -> None:
    def state(uri: str) -> str:
        answer = make_app(mlflow_tracking_uri=uri).test_client().get("/readyz")
        assert answer.status_code == 200
        return str((answer.json or {})["mlflow"])

    with odd_mlflow() as mlflow:
        assert state(mlflow.served.url) == "ok"
        mlflow.odd["registered-models/search"] = ("<html>Bad gateway", 502)
        assert state(mlflow.served.url) == "unavailable"
    assert state(mlflow.served.url) == "unavailable"
    assert state("sqlite:///mlflow.db") == "ok"  # it is no server


def test_ready_reports_live_workers_but_needs_none(make_app: MakeApp, store: MemoryStore) -> None:
    client = make_app(mlflow_tracking_uri="http://127.0.0.1:1").test_client()
    ready = {"status": "ready", "store": "ok", "redis": "ok", "mlflow": "unavailable"}
    assert client.get("/readyz").json == {**ready, "live_workers": 0}
    store.beat(HOST, gap_seconds=30)
    assert client.get("/readyz").json == {**ready, "live_workers": 1}


@pytest.mark.parametrize(
    ("store_down", "redis_down", "said"),
    [(True, False, "the job store"), (False, True, "Redis"), (True, True, "the job store and Redis")],
)
def test_not_ready_names_what_is_down(
    client: FlaskClient, store: MemoryStore, queue: RecordingQueue, store_down: bool, redis_down: bool, said: str
) -> None:
    store.down, queue.down = store_down, redis_down
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json
    assert answer.json["code"] == "NOT_READY"
    assert answer.json["detail"] == f"Not ready: no answer from {said}."
    assert answer.json["store"] == ("unavailable" if store_down else "ok")
    assert answer.json["redis"] == ("unavailable" if redis_down else "ok")
    assert answer.headers["Retry-After"] == "5"


def test_a_request_that_the_store_did_not_answer_is_told_of_under_its_id(
    client: FlaskClient, store: MemoryStore, log: Log
) -> None:
    store.down = True
    client.get("/jobs", headers={"X-Request-Id": "abc-1"})
    store.down = False
    client.get("/jobs", headers={"X-Request-Id": "abc-2"})
    assert [(line["message"], line["request_id"]) for line in log.objects] == [("job store unavailable", "abc-1")]


def test_no_problem_repeats_a_secret(store: MemoryStore, queue: RecordingQueue, vault: Vault) -> None:
    settings = Settings.load(_env_file=None)
    app = create_app(settings, store=store, queue=queue, vault=vault, redactor=Redactor(["hunter2-secret"]))
    app.add_url_rule("/broken", view_func=lambda: abort(409, "postgres said hunter2-secret"))
    answer = app.test_client().get("/broken")
    assert (answer.status_code, answer.get_json()["detail"]) == (409, "postgres said ***")


def _readiness(api: Api) -> Asking:
    def without_redis() -> TestResponse:
        api.queue.down = True
        return api.client().get("/readyz")

    return Asking("/readyz", others={"503": without_redis})


DOCUMENTED: Documented = {"GET /readyz": _readiness}
