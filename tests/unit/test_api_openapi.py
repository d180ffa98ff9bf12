"""The OpenAPI document tells the truth: it is the committed one, and real answers are as it says."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from werkzeug.test import TestResponse

from api import examples
from api.openapi import as_text, document
from shared.errors import Code, FailureType
from shared.jobs import JobState, Reason
from shared.store import Ending, Resolved
from tests.fakes.queue import RecordingQueue
from tests.fakes.store import MemoryStore
from tests.unit.conftest import BODY, ClaimJob, MakeApp, Submit

COMMITTED = Path(__file__).parents[2] / "docs" / "openapi.json"
DOCUMENT = document()
BARE = '"$ref": "#/components/schemas/'


def validate(body: Any, schema: dict[str, Any]) -> None:
    """Raise where the body is not as the schema says."""
    Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(body)


def validate_answer(answer: TestResponse, operation: dict[str, Any]) -> None:
    """Raise where the answer is not as the document says: status, type, body, headers."""
    documented = operation["responses"][str(answer.status_code)]
    if content := documented.get("content"):
        [(mimetype, media)] = content.items()
        assert answer.mimetype == mimetype
        validate(answer.json if "json" in mimetype else answer.text, media["schema"])
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


@pytest.fixture
def asked(
    make_app: MakeApp,
    client: FlaskClient,
    submit: Submit,
    claim_job: ClaimJob,
    store: MemoryStore,
    queue: RecordingQueue,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[tuple[str, str, str], Ask]:
    """For each operation and each status that it documents, how to get that answer."""
    job_id = _finished_job(submit, claim_job, store)
    waiting = submit()["id"]
    guarded = make_app(api_tokens="t").test_client()
    paths = {
        "/retrain": "/retrain",
        "/jobs": "/jobs?limit=1",
        "/jobs/{job_id}": f"/jobs/{job_id}",
        "/jobs/{job_id}/logs": f"/jobs/{job_id}/logs",
        "/jobs/{job_id}/cancel": f"/jobs/{waiting}/cancel",
    }
    bodies: dict[str, dict[str, Any]] = {"/retrain": BODY, f"/jobs/{waiting}/cancel": {}}

    def send(path: str, by: FlaskClient = client, **given: Any) -> TestResponse:
        if path in bodies:
            return by.post(path, **{"json": bodies[path], **given})
        return by.get(path, **given)

    def without_store(path: str) -> TestResponse:
        store.down = True
        return send(path)

    def with_broken_store(path: str) -> TestResponse:
        for name in ("submit", "list", "get", "cancel"):
            monkeypatch.setattr(store, name, lambda *_args, **_kwargs: 1 / 0)
        return send(path)

    def wrong(path: str) -> TestResponse:
        return send(path, json={"what": 1}) if path in bodies else send(f"{path.partition('?')[0]}?what=1")

    ways: dict[str, Callable[[str], TestResponse]] = {
        "401": lambda path: send(path, guarded),
        "403": lambda path: send(path, headers={"Host": "elsewhere.example.org"}),
        "422": wrong,
        "500": with_broken_store,
        "503": without_store,
    }
    asks: dict[tuple[str, str, str], Ask] = {
        (path, "post" if real in bodies else "get", status): lambda way=way, real=real: way(real)  # type: ignore[misc]
        for path, real in paths.items()
        for status, way in ways.items()
    }
    etag = client.get(f"/jobs/{job_id}").headers["ETag"]

    def not_ready() -> TestResponse:
        queue.down = True
        return client.get("/readyz")

    return {
        **asks,
        ("/retrain", "post", "202"): lambda: send("/retrain"),
        ("/retrain", "post", "400"): lambda: client.post("/retrain", data="{", content_type="application/json"),
        ("/retrain", "post", "413"): lambda: send("/retrain", json={"a": "x" * 1_000_000}),
        ("/retrain", "post", "415"): lambda: client.post("/retrain", data="{}"),
        ("/jobs", "get", "200"): lambda: client.get("/jobs?limit=1"),
        ("/jobs/{job_id}", "get", "200"): lambda: client.get(f"/jobs/{job_id}"),
        ("/jobs/{job_id}", "get", "304"): lambda: client.get(f"/jobs/{job_id}", headers={"If-None-Match": etag}),
        ("/jobs/{job_id}", "get", "404"): lambda: client.get("/jobs/nope"),
        ("/jobs/{job_id}/logs", "get", "200"): lambda: client.get(f"/jobs/{job_id}/logs"),
        ("/jobs/{job_id}/logs", "get", "404"): lambda: client.get(f"/jobs/{job_id}/logs?attempt=9"),
        ("/jobs/{job_id}/cancel", "post", "202"): lambda: client.post(f"/jobs/{waiting}/cancel"),
        ("/jobs/{job_id}/cancel", "post", "400"): lambda: client.post(f"/jobs/{waiting}/cancel", json=[]),
        ("/jobs/{job_id}/cancel", "post", "404"): lambda: client.post("/jobs/nope/cancel"),
        ("/jobs/{job_id}/cancel", "post", "409"): lambda: client.post(f"/jobs/{job_id}/cancel"),
        ("/jobs/{job_id}/cancel", "post", "413"): lambda: client.post(
            f"/jobs/{waiting}/cancel", json={"a": "x" * 1_000_000}
        ),
        ("/jobs/{job_id}/cancel", "post", "415"): lambda: client.post(f"/jobs/{waiting}/cancel", data="{}"),
        ("/healthz", "get", "200"): lambda: client.get("/healthz"),
        ("/readyz", "get", "200"): lambda: client.get("/readyz"),
        ("/readyz", "get", "503"): not_ready,
    }


def _finished_job(submit: Submit, claim_job: ClaimJob, store: MemoryStore) -> str:
    job_id: str = submit(model_name="m", retry={"on": ["timeout"]}, parameters={"a": 0.5, "b": True})["id"]
    claim = claim_job(job_id)
    store.resolve(claim, Resolved("f" * 40, "python:3.11", "sha256:1", "3", "run1"))
    store.started(claim, runner="docker", container="abc")
    result = {"metrics": {"a": 0.5}, "model_versions": [{"name": "m", "version": 1}], "decision": {"promoted": True}}
    reason = Reason(Code.NONZERO_EXIT, FailureType.USER_ERROR, "ended with 1")
    store.finish(claim, Ending(JobState.FAILED, reason=reason, exit_code=1, result=result))
    return job_id


def test_every_documented_answer_is_reachable_and_as_documented(asked: dict[tuple[str, str, str], Ask]) -> None:
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
def test_a_real_answer_is_as_documented(
    asked: dict[tuple[str, str, str], Ask], documented: tuple[str, str, str]
) -> None:
    path, method, status = documented
    answer = asked[documented]()
    assert str(answer.status_code) == status, answer.text
    validate_answer(answer, DOCUMENT["paths"][path][method])
