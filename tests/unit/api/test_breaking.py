"""A change of the API that breaks its callers is named; one that does not is let through."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from api.openapi.breaking import breaking_changes, main
from api.openapi.document import document
from api.views import operations

RELEASED = Path(__file__).parents[3] / "docs" / "openapi.json"
NEW = document(operations())
Document = dict[str, Any]
Change = Callable[[Document], object]


def schema(whole: Document, name: str) -> Document:
    found: Document = whole["components"]["schemas"][name]
    return found


def field(whole: Document, name: str, of: str = "RetrainRequest") -> Document:
    found: Document = schema(whole, of)["properties"][name]
    return found


def parameters(whole: Document) -> list[Document]:
    found: list[Document] = whole["paths"]["/jobs"]["get"]["parameters"]
    return found


def responses(whole: Document) -> Document:
    found: Document = whole["paths"]["/jobs/{job_id}"]["get"]["responses"]
    return found


BREAKING: dict[str, Change] = {
    "DELETE /workers/{host}/drain: is gone": lambda d: d["paths"]["/workers/{host}/drain"].pop("delete"),
    "POST /alerts/test: is gone": lambda d: d["paths"].pop("/alerts/test"),
    "GET /healthz: asks for a token": lambda d: d["paths"]["/healthz"]["get"].update(security=[{"bearer": []}]),
    "POST /retrain: body.labels is not taken any more": lambda d: schema(d, "RetrainRequest")["properties"].pop(
        "labels"
    ),
    "POST /retrain: body.queue is required": lambda d: schema(d, "RetrainRequest")["required"].append("queue"),
    "POST /retrain: body.queue is not taken as string any more": lambda d: field(d, "queue").update(type="integer"),
    "POST /retrain: body.queue has another pattern, which may take less": lambda d: field(d, "queue").update(
        pattern="a"
    ),
    "POST /retrain: body.priority takes a smaller range of numbers": lambda d: field(d, "priority").update(maximum=8),
    "POST /retrain: body.resources.gpus takes a smaller range of numbers": (
        lambda d: field(d, "gpus", "Resources").update(exclusiveMinimum=0)
    ),
    "POST /retrain: body.base_model is not taken as null any more": (
        lambda d: field(d, "base_model").update(anyOf=[{"type": "string", "maxLength": 500}])
    ),
    "POST /retrain: body.labels takes fewer lengths: minProperties or maxProperties has changed": (
        lambda d: field(d, "labels").update(maxProperties=49)
    ),
    "POST /retrain: body.labels takes other names": (
        lambda d: field(d, "labels").update(patternProperties={"^a$": {"type": "string"}})
    ),
    "POST /retrain: body.retry.on.* does not take timeout any more": (
        lambda d: schema(d, "FailureType")["enum"].remove("timeout")
    ),
    "POST /jobs/{job_id}/cancel: a body is required": (
        lambda d: d["paths"]["/jobs/{job_id}/cancel"]["post"]["requestBody"].update(required=True)
    ),
    "POST /retrain: a body of application/json is not taken any more": (
        lambda d: d["paths"]["/retrain"]["post"]["requestBody"].update(content={})
    ),
    "GET /jobs: query parameter state is not taken any more": lambda d: parameters(d).pop(0),
    "GET /jobs: query parameter limit is required": (
        lambda d: next(each for each in parameters(d) if each["name"] == "limit").update(required=True)
    ),
    "GET /jobs/{job_id}: answer 304 is gone": lambda d: responses(d).pop("304"),
    "GET /jobs/{job_id}: answer 200 has no header ETag any more": lambda d: responses(d)["200"]["headers"].pop("ETag"),
    "GET /jobs/{job_id}: answer 200 is not given as application/json any more": (
        lambda d: responses(d)["200"].update(content={})
    ),
    "GET /jobs/{job_id}: answer 200.labels is gone": lambda d: schema(d, "Job")["properties"].pop("labels"),
    "GET /jobs/{job_id}: answer 200.priority may be absent": lambda d: schema(d, "Job")["required"].remove("priority"),
    "GET /jobs/{job_id}: answer 200.priority may be string now": (
        lambda d: field(d, "priority", "Job").update(type="string")
    ),
    "GET /jobs/{job_id}: answer 200.attempts.*.host may be null now": (
        lambda d: field(d, "host", "Attempt").update(anyOf=[{"type": "string"}, {"type": "null"}])
    ),
}
HARMLESS: dict[str, Change] = {
    "any number where a whole one was taken": lambda d: field(d, "priority").update(type="number"),
    "an operation": lambda d: d["paths"].update({"/new": d["paths"]["/jobs"]}),
    "a field that may be sent": lambda d: schema(d, "RetrainRequest")["properties"].update(new={"type": "string"}),
    "a wider range": lambda d: field(d, "priority").update(maximum=99),
    "more types": lambda d: field(d, "queue").update(anyOf=[{"type": "null"}, {**field(d, "queue")}]),
    "a field that is answered": lambda d: schema(d, "Job")["properties"].update(new={"type": "string"}),
    "a new word in an answer": lambda d: schema(d, "QueueCode")["enum"].append("MOON"),
    "a description": lambda d: schema(d, "Job").update(description="Else."),
    "an operation that needs no token any more": lambda d: d["paths"]["/jobs"]["get"].pop("security"),
    "a problem": lambda d: responses(d).pop("503"),
}


def changed(change: Change) -> Document:
    new = deepcopy(NEW)
    change(new)
    return new


@pytest.mark.parametrize("named", BREAKING)
def test_a_breaking_change_is_named(named: str) -> None:
    assert named in breaking_changes(NEW, changed(BREAKING[named]))


@pytest.mark.parametrize("name", HARMLESS)
def test_a_change_that_breaks_nothing_is_let_through(name: str) -> None:
    assert breaking_changes(NEW, changed(HARMLESS[name])) == []


def test_another_major_version_may_break_what_it_wants() -> None:
    new = changed(lambda d: d["paths"].clear())
    new["info"] = {**new["info"], "version": "2.0.0"}
    assert breaking_changes(NEW, new) == []


def test_a_schema_inside_itself_is_looked_at_once() -> None:
    def put_into_itself(whole: Document) -> None:
        schema(whole, "Reason")["properties"]["cause"] = {"$ref": "#/components/schemas/Reason"}

    recursive = changed(put_into_itself)
    assert breaking_changes(recursive, recursive) == []


def test_nothing_breaks_the_callers_of_the_last_release() -> None:
    assert breaking_changes(json.loads(RELEASED.read_text(encoding="utf-8")), NEW) == []


def test_the_command_fails_and_says_what_breaks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    released, new = tmp_path / "released.json", tmp_path / "new.json"
    released.write_text(json.dumps(NEW))
    new.write_text(json.dumps(changed(lambda d: d["paths"].pop("/jobs"))))
    assert main(str(released), str(released)) == 0
    assert main(str(released), str(new)) == 1
    assert "GET /jobs: is gone" in capsys.readouterr().err
