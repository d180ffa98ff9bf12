"""The OpenAPI document tells the truth: real answers are as it says."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from werkzeug.test import TestResponse

from api import examples
from api.openapi.document import as_text, document
from api.operations.operation import Operation
from api.views import operations
from tests.fakes.queue import RecordingQueue
from tests.fakes.store import MemoryStore
from tests.unit.api.documented import Api, asks
from tests.unit.conftest import ClaimJob, MakeApp, Submit

DOCUMENT = document(operations())
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


SPECIAL = {"Location", "ETag", "Retry-After", "Link", "Idempotency-Replayed", "WWW-Authenticate", "Accept-Post"}


def test_the_app_serves_the_document_that_is_written_to_a_file(client: FlaskClient) -> None:
    assert client.get("/openapi.json").json == json.loads(as_text(operations()))


def test_swagger_opens_on_the_predecessors_six_fields(client: FlaskClient) -> None:
    served = json.loads(client.get("/openapi.json").text)
    taken = served["paths"]["/retrain"]["post"]["requestBody"]["content"]["application/json"]
    name, first = next(iter(taken["examples"].items()))
    assert (name, len(first["value"])) == ("predecessor", 6)


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


@pytest.mark.parametrize("operation", operations(), ids=lambda each: each.id)
def test_an_operation_is_open_where_the_document_says_so(make_app: MakeApp, operation: Operation) -> None:
    assert DOCUMENT["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    answer = make_app(api_tokens="t").test_client().open(operation.path, method=operation.method)
    assert (answer.status_code == 401) == ("security" in described(operation))


@pytest.fixture
def api(
    make_app: MakeApp,
    submit: Submit,
    claim_job: ClaimJob,
    store: MemoryStore,
    queue: RecordingQueue,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Api]:
    with ExitStack() as stack:
        yield Api(make_app, store, queue, submit, claim_job, monkeypatch, stack)


def described(operation: Operation) -> dict[str, Any]:
    path: dict[str, Any] = DOCUMENT["paths"][operation.path.replace("<", "{").replace(">", "}")]
    found: dict[str, Any] = path[operation.method.lower()]
    return found


ANSWERS = [(operation, status) for operation in operations() for status in described(operation)["responses"]]


@pytest.mark.parametrize(("operation", "status"), ANSWERS, ids=lambda each: getattr(each, "id", each))
def test_every_documented_answer_is_given_and_is_as_documented(api: Api, operation: Operation, status: str) -> None:
    ways = asks(operation, api)
    assert status in ways, f"say in the test of {operation.id} how it answers {status}: DOCUMENTED"
    answer = ways[status]()
    assert str(answer.status_code) == status, answer.text
    validate_answer(answer, described(operation))


@pytest.mark.parametrize("operation", operations(), ids=lambda each: each.id)
def test_every_answer_that_a_test_knows_is_documented(api: Api, operation: Operation) -> None:
    assert set(asks(operation, api)) <= set(described(operation)["responses"])
