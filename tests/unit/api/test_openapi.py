"""The OpenAPI document tells the truth: it is the committed one, and real answers are as it says."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from werkzeug.test import TestResponse

from api.openapi import examples
from api.openapi.document import as_text, document
from shared.errors import Code, FailureType
from shared.jobs.model import JobState, Reason
from shared.jobs.records import Ending, Resolution
from tests.fakes.queue import RecordingQueue
from tests.fakes.store import MemoryStore
from tests.support.servers.odd_mlflow import odd_mlflow
from tests.unit.conftest import BODY, HOST, ClaimJob, MakeApp, Submit

COMMITTED = Path(__file__).parents[3] / "docs" / "openapi.json"
DOCUMENT = document()
BARE = '"$ref": "#/components/schemas/'


def validate(body: Any, schema: dict[str, Any]) -> None:
    """Raise where the body is not as the schema says."""
    Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(body)


def validate_answer(answer: TestResponse, operation: dict[str, Any]) -> None:
    """Raise where the answer is not as the document says: status, type, body, headers."""
    documented = operation["responses"][str(answer.status_code)]
    if content := documented.get("content"):
        assert answer.mimetype in content
        validate(answer.json if answer.is_json else answer.text, content[answer.mimetype]["schema"])
    sent = {name for name in answer.headers.keys() if name.startswith("X-") or name in SPECIAL}  # noqa: SIM118
    assert sent - {"X-Content-Type-Options"} <= set(documented["headers"])


SPECIAL = {"Location", "ETag", "Retry-After", "Link", "Idempotency-Replayed", "WWW-Authenticate"}


def test_the_committed_document_is_the_one_that_the_app_serves(client: FlaskClient) -> None:
    assert COMMITTED.read_text(encoding="utf-8") == as_text(), "run: make openapi"
    assert client.get("/openapi.json").json == json.loads(as_text())


def test_the_document_is_openapi_3_1_with_unique_operations_and_no_dangling_reference() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    text = json.dumps(DOCUMENT)
    used = {part.split('"')[0] for part in text.split(BARE)[1:]}
    assert used <= set(DOCUMENT["components"]["schemas"])
    operations = [op for item in DOCUMENT["paths"].values() for op in item.values()]
    assert len({op["operationId"] for op in operations}) == len(operations)
    assert all(op["summary"] and op["description"] for op in operations)


def test_every_schema_is_a_valid_json_schema() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_the_examples_are_valid() -> None:
    for job in (examples.JOB, examples.NEW_JOB):
        validate(job, {"$ref": "#/components/schemas/Job"})
    for example in examples.REQUESTS.values():
        validate(example["value"], {"$ref": "#/components/schemas/RetrainRequest"})


@pytest.mark.parametrize("name", list(examples.REQUESTS))
def test_the_example_requests_are_accepted(client: FlaskClient, name: str) -> None:
    assert client.post("/retrain", json=examples.REQUESTS[name]["value"]).status_code == 202


def test_protected_operations_ask_for_a_token_and_health_does_not() -> None:
    assert DOCUMENT["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    for path, item in DOCUMENT["paths"].items():
        for operation in item.values():
            assert ("security" in operation) == (path not in ("/healthz", "/readyz"))


Ask = Callable[[], TestResponse]
Asks = dict[tuple[str, str, str], Ask]
NOWHERE = "http://127.0.0.1:1"
TOO_LARGE = {"a": "x" * 1_000_000}


@dataclass
class Caller:
    """Asks an API that has one ended job and one that waits."""

    client: FlaskClient
    guarded: FlaskClient
    channelless: FlaskClient
    store: MemoryStore
    queue: RecordingQueue
    monkeypatch: pytest.MonkeyPatch
    ended: str
    waiting: str

    def paths(self) -> dict[str, str]:
        """A real path for each operation that asks for a token."""
        return {
            "/retrain": "/retrain",
            "/jobs": "/jobs?limit=1",
            "/jobs/{job_id}": f"/jobs/{self.ended}",
            "/jobs/{job_id}/logs": f"/jobs/{self.ended}/logs",
            "/jobs/{job_id}/cancel": f"/jobs/{self.waiting}/cancel",
            "/jobs/{job_id}/retry": f"/jobs/{self.ended}/retry",
            "/workers": "/workers",
            "/alerts/test": "/alerts/test",
        }

    def send(self, path: str, by: FlaskClient | None = None, **given: Any) -> TestResponse:
        """Ask rightly, unless something else is given."""
        if is_post(path):
            return (by or self.client).post(path, **{"json": BODY if path == "/retrain" else {}, **given})
        return (by or self.client).get(path, **given)

    def send_without_store(self, path: str) -> TestResponse:
        """Ask while the store is away."""
        self.store.down = True
        return self.send(path)

    def send_to_broken_store(self, path: str) -> TestResponse:
        """Ask while the store has a fault of ours."""
        self.break_store()
        return self.send(path)

    def break_store(self) -> None:
        """Give the store a fault of ours."""
        for name in ("submit", "list", "get", "cancel", "list_workers", "live_workers", "drain", "undrain"):
            self.monkeypatch.setattr(self.store, name, lambda *_args, **_kwargs: 1 / 0)

    def send_wrong(self, path: str) -> TestResponse:
        """Ask with something that is unknown."""
        return self.send(path, json={"what": 1}) if is_post(path) else self.send(f"{path.partition('?')[0]}?what=1")

    def without_channel(self) -> TestResponse:
        """Ask for a test message where it can go nowhere."""
        return self.channelless.post("/alerts/test")

    def not_ready(self) -> TestResponse:
        """Ask while Redis is away."""
        self.queue.down = True
        return self.client.get("/readyz")


def is_post(path: str) -> bool:
    return path == "/retrain" or path.endswith(("/cancel", "/retry", "/test"))


@pytest.fixture
def asked(
    make_app: MakeApp,
    client: FlaskClient,
    submit: Submit,
    claim_job: ClaimJob,
    store: MemoryStore,
    queue: RecordingQueue,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Asks]:
    """For each operation and each status that it documents, how to get that answer."""
    ended, waiting = _finished_job(submit, claim_job, store), submit()["id"]
    client = make_app(discord_webhook_url="https://hooks.example").test_client()
    guarded, channelless = make_app(api_tokens="t").test_client(), make_app().test_client()
    caller = Caller(client, guarded, channelless, store, queue, monkeypatch, ended, waiting)
    with odd_mlflow() as mlflow:
        clients = {url: make_app(mlflow_tracking_uri=url).test_client() for url in (mlflow.served.url, NOWHERE)}
        of_models = _asks_of_models(clients[mlflow.served.url], clients[NOWHERE], guarded, monkeypatch)
        of_hosts = _asks_of_hosts(caller)
        yield {**_asks_of_all(caller), **_asks_with_bodies(caller), **_asks_of_each(caller), **of_models, **of_hosts}


def _asks_of_all(caller: Caller) -> Asks:
    """What every operation that asks for a token may answer."""
    ways: dict[str, Callable[[str], TestResponse]] = {
        "401": lambda path: caller.send(path, caller.guarded),
        "403": lambda path: caller.send(path, headers={"Host": "elsewhere.example.org"}),
        "422": caller.send_wrong,
        "500": caller.send_to_broken_store,
        "503": caller.send_without_store,
    }
    return {
        (path, "post" if is_post(path) else "get", status): partial(way, real)
        for path, real in caller.paths().items()
        for status, way in ways.items()
    }


def _asks_with_bodies(caller: Caller) -> Asks:
    """What every operation with a body may answer."""
    posts = {path: real for path, real in caller.paths().items() if is_post(path)}
    accepting = {path for path in posts if path != "/alerts/test"}
    ways: dict[str, dict[str, Any]] = {
        "202": {},
        "400": {"json": []},
        "413": {"json": TOO_LARGE},
        "415": {"json": None, "data": "{}"},
    }
    return {
        (path, "post", status): partial(caller.send, real, **given)
        for path, real in posts.items()
        for status, given in ways.items()
        if status != "202" or path in accepting
    }


def _asks_of_each(caller: Caller) -> Asks:
    client, ended, waiting = caller.client, caller.ended, caller.waiting
    etag = client.get(f"/jobs/{ended}").headers["ETag"]
    return {
        ("/jobs", "get", "200"): lambda: client.get("/jobs?limit=1"),
        ("/jobs/{job_id}", "get", "200"): lambda: client.get(f"/jobs/{ended}"),
        ("/jobs/{job_id}", "get", "304"): lambda: client.get(f"/jobs/{ended}", headers={"If-None-Match": etag}),
        ("/jobs/{job_id}", "get", "404"): lambda: client.get("/jobs/nope"),
        ("/jobs/{job_id}/logs", "get", "200"): lambda: client.get(f"/jobs/{ended}/logs"),
        ("/jobs/{job_id}/logs", "get", "404"): lambda: client.get(f"/jobs/{ended}/logs?attempt=9"),
        ("/jobs/{job_id}/cancel", "post", "404"): lambda: client.post("/jobs/nope/cancel"),
        ("/jobs/{job_id}/cancel", "post", "409"): lambda: client.post(f"/jobs/{ended}/cancel"),
        ("/jobs/{job_id}/retry", "post", "404"): lambda: client.post("/jobs/nope/retry"),
        ("/jobs/{job_id}/retry", "post", "409"): lambda: client.post(f"/jobs/{waiting}/retry"),
        ("/workers", "get", "200"): lambda: client.get("/workers"),
        ("/alerts/test", "post", "200"): lambda: client.post("/alerts/test"),
        ("/alerts/test", "post", "409"): caller.without_channel,
        ("/healthz", "get", "200"): lambda: client.get("/healthz"),
        ("/readyz", "get", "200"): lambda: client.get("/readyz"),
        ("/readyz", "get", "503"): caller.not_ready,
    }


def _asks_of_hosts(caller: Caller) -> Asks:
    """Draining: POST takes a body, DELETE none."""
    caller.store.beat(HOST, gap_seconds=60)
    path = f"/workers/{HOST.name}/drain"

    def ways(method: str) -> dict[str, Ask]:
        def send(by: FlaskClient = caller.client, to: str = path, **given: Any) -> TestResponse:
            return by.open(to, method=method, **given)

        def send_without_store() -> TestResponse:
            caller.store.down = True
            return send()

        def send_to_broken_store() -> TestResponse:
            caller.break_store()
            return send()

        return {
            "200": send,
            "401": partial(send, caller.guarded),
            "403": partial(send, headers={"Host": "elsewhere.example.org"}),
            "404": partial(send, to="/workers/gpu-9/drain"),
            "422": partial(send, json={"what": 1}) if method == "POST" else partial(send, to=f"{path}?what=1"),
            "500": send_to_broken_store,
            "503": send_without_store,
        }

    with_body: dict[str, dict[str, Any]] = {"400": {"json": []}, "413": {"json": TOO_LARGE}, "415": {"data": "{}"}}
    of_body = {status: partial(caller.client.post, path, **given) for status, given in with_body.items()}
    both: dict[str, dict[str, Ask]] = {"post": {**ways("POST"), **of_body}, "delete": ways("DELETE")}
    return {
        ("/workers/{host}/drain", method, status): ask
        for method, found in both.items()
        for status, ask in found.items()
    }


def _asks_of_models(
    client: FlaskClient, without_mlflow: FlaskClient, guarded: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> Asks:
    def send(by: FlaskClient = client, model: str = "iris", **given: Any) -> TestResponse:
        return by.post(f"/models/{model}/champion", **{"json": {"version": "1", "reason": "wrong labels"}, **given})

    def send_to_broken() -> TestResponse:
        monkeypatch.setattr("api.views.models.roll_back", lambda *_args, **_kwargs: 1 / 0)
        return send()

    ways: dict[str, Ask] = {
        "200": send,
        "400": partial(send, json=[]),
        "401": partial(send, guarded),
        "403": partial(send, headers={"Host": "elsewhere.example.org"}),
        "404": partial(send, model="a:b"),
        "413": partial(send, json=TOO_LARGE),
        "415": partial(send, json=None, data="{}"),
        "422": partial(send, json={"what": 1}),
        "500": send_to_broken,
        "503": partial(send, without_mlflow),
    }
    return {("/models/{model}/champion", "post", status): ask for status, ask in ways.items()}


def _finished_job(submit: Submit, claim_job: ClaimJob, store: MemoryStore) -> str:
    job_id: str = submit(model_name="m", retry={"on": ["timeout"]}, parameters={"a": 0.5, "b": True})["id"]
    claim = claim_job(job_id)
    store.resolve(claim, Resolution("f" * 40, "python:3.11", "sha256:1", "3", "run1"))
    store.started(claim, runner="docker", container="abc")
    result = {"metrics": {"a": 0.5}, "model_versions": [{"name": "m", "version": 1}], "decision": {"promoted": True}}
    reason = Reason(Code.NONZERO_EXIT, FailureType.USER_ERROR, "ended with 1")
    store.finish(claim, Ending(JobState.FAILED, reason=reason, exit_code=1, result=result))
    return job_id


def test_every_documented_answer_is_reachable_and_as_documented(asked: Asks) -> None:
    documented = {
        (path, method, status)
        for path, item in DOCUMENT["paths"].items()
        for method, operation in item.items()
        for status in operation["responses"]
    }
    assert documented == set(asked)


STATUSES = [
    (path, method, status)
    for status in ("200", "202", "304", "400", "401", "403", "404", "409", "413", "415", "422", "500", "503")
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    if status in operation["responses"]
]


@pytest.mark.parametrize("documented", STATUSES, ids=" ".join)
def test_a_real_answer_is_as_documented(asked: Asks, documented: tuple[str, str, str]) -> None:
    path, method, status = documented
    answer = asked[documented]()
    assert str(answer.status_code) == status, answer.text
    validate_answer(answer, DOCUMENT["paths"][path][method])
