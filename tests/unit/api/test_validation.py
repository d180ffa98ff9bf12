"""What is wrong with a request, and where: 400, 413, 415 and 422."""

import gzip
import json
import time
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.requests.retrain_request import RetrainRequest
from tests.unit.conftest import BODY


def post(client: FlaskClient, **fields: Any) -> dict[str, Any]:
    answer = client.post("/retrain", json={**BODY, **fields})
    assert answer.status_code == 422, answer.text
    assert answer.content_type == "application/problem+json"
    assert answer.json
    assert answer.json["code"] == "VALIDATION_FAILED"
    problem: dict[str, Any] = answer.json
    return problem


@pytest.mark.parametrize(
    ("fields", "pointer", "code"),
    [
        ({"experiment_name": ""}, "/experiment_name", "TOO_SHORT"),
        ({"experiment_name": 7}, "/experiment_name", "STRING_TYPE"),
        ({"git_uri": "ftp://host/x"}, "/git_uri", "VALUE_ERROR"),
        ({"priority": 12}, "/priority", "LESS_THAN_EQUAL"),
        ({"resources": {"gpus": -1}}, "/resources/gpus", "GREATER_THAN_EQUAL"),
        ({"parameters": {"a": [1]}}, "/parameters/a", "VALUE_ERROR"),
        ({"parameters": {"a": {"b": 1}}}, "/parameters/a", "VALUE_ERROR"),
        ({"parameters": {"a": "x\x00"}}, "/parameters/a", "VALUE_ERROR"),
        ({"parameters": {"a~/b": 1}}, "/parameters/a~0~1b", "VALUE_ERROR"),
        ({"parameters": 3}, "/parameters", "DICT_TYPE"),
        ({"retry": {"on": ["timeout", "x"]}}, "/retry/on/1", "ENUM"),
        ({"labels": {"a": {"a": "b"}}}, "/labels/a", "STRING_TYPE"),
        ({"alerts": {"to": ["team-a"]}}, "/alerts/to", "UNKNOWN_CHANNEL"),
        ({"alerts": {"to": ["discord"]}}, "/alerts/to", "UNKNOWN_CHANNEL"),
        ({"alerts": {"to": "team-a"}}, "/alerts/to", "FROZEN_SET_TYPE"),
        ({"alerts": {"to": ["https://hunter2"]}}, "/alerts/to/0", "STRING_PATTERN_MISMATCH"),
        ({"alerts": {"events": ["weather"]}}, "/alerts/events/0", "ENUM"),
        ({"promotion": {"min_delta": -1}}, "/promotion/min_delta", "GREATER_THAN_EQUAL"),
        ({"promotion": {"direction": "up"}}, "/promotion/direction", "LITERAL_ERROR"),
        ({"promotion": {"guardrails": {"recall": "0.1"}}}, "/promotion/guardrails/recall", "FLOAT_TYPE"),
        ({"promotion": {"guardrail_directions": {"recall": "lower_is_better"}}}, "/promotion", "VALUE_ERROR"),
        ({"dataset_uri": "a", "dataset_repo": "b"}, "", "VALUE_ERROR"),
        ({"dataset_uri": "C:/data"}, "/dataset_uri", "VALUE_ERROR"),
        ({"dataset_uri": 1}, "/dataset_uri", "STRING_TYPE"),
        ({"dataset_repo": 1}, "/dataset_repo", "STRING_TYPE"),
        ({"labels": {"dataset_repo": 1}}, "/labels/dataset_repo", "STRING_TYPE"),
    ],
)
def test_an_error_points_at_the_field(client: FlaskClient, fields: dict[str, Any], pointer: str, code: str) -> None:
    [error] = post(client, **fields)["errors"]
    assert (error["in"], error["pointer"], error["code"]) == ("body", pointer, code)


def test_a_text_of_the_wrong_length_is_told_in_characters(client: FlaskClient) -> None:
    problem = post(client, experiment_name="", labels={"a": "x" * 251})
    messages = [error["message"] for error in problem["errors"]]
    assert messages == ["experiment_name must have at least 1 characters", "labels.a must have at most 250 characters"]


def test_all_errors_are_told_at_once(client: FlaskClient) -> None:
    answer = client.post("/retrain", json={"priority": "high", "labels": {"a b": "x"}})
    assert answer.json
    pointers = {error["pointer"] for error in answer.json["errors"]}
    assert pointers == {"/experiment_name", "/git_uri", "/priority", "/labels/a b"}
    assert "git_uri is required" in answer.json["detail"]


@pytest.mark.parametrize(
    ("fields", "pointer", "meant"),
    [
        ({"comit_hash": "main"}, "/comit_hash", "commit_hash"),
        ({"dataset_url": ""}, "/dataset_url", "dataset_uri"),
        ({"resources": {"gpu": 1}}, "/resources/gpu", "gpus"),
        ({"promotion": {"min_dleta": 1}}, "/promotion/min_dleta", "min_delta"),
    ],
)
def test_an_unknown_field_names_the_one_that_was_meant(
    client: FlaskClient, fields: dict[str, Any], pointer: str, meant: str
) -> None:
    [error] = post(client, **fields)["errors"]
    assert error["pointer"] == pointer
    assert error["message"].endswith(f"did you mean {meant}?")


def test_an_unknown_field_that_resembles_none_names_those_that_exist(client: FlaskClient) -> None:
    [error] = post(client, xyzzy=1)["errors"]
    assert "experiment_name" in error["message"]


def test_an_address_in_the_place_of_a_name_is_not_repeated(client: FlaskClient) -> None:
    problem = post(client, **{"https://s3cret@host": 1})
    assert "s3cret" not in str(problem)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"a": 1,\n "b" 2}', "line 2, column 6"),
        (b'{"commit_hash": "a", "commit_hash": "b"}', "the name 'commit_hash' twice"),
        (b'{"a": {"https://t0ken@h": 1, "https://t0ken@h": 1}}', "contains a name twice"),
        (b"", "line 1, column 1"),
        (b"[]", "must be a JSON object"),
        (b'"{}"', "must be a JSON object"),
        (b'{"a": NaN}', "NaN, which is not JSON. Leave the value out or, in parameters, send it as a text."),
        (b'{"a": -Infinity}', "-Infinity"),
        (b'{"a": "\\ud800"}', "not Unicode"),
        (b'{"a": "\xff"}', "not Unicode"),
        (b'{"a": ' + b"1" * 5000 + b"}", "too many digits"),
        (b'{"a": ' + b"[" * 100_000, "nested too deep"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused_with_the_place(client: FlaskClient, body: bytes, said: str) -> None:
    answer = client.post("/retrain", data=body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json
    assert answer.json["code"] == "MALFORMED_JSON"
    assert said in answer.json["detail"]


def test_a_compressed_body_is_refused_with_what_to_do(client: FlaskClient) -> None:
    body = gzip.compress(json.dumps(BODY).encode())
    answer = client.post("/retrain", data=body, content_type="application/json", headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 415
    assert "without the header Content-Encoding" in answer.text


@pytest.mark.parametrize("path", ["/jobs/", "/healthz/", "/workers/"])
def test_a_slash_at_the_end_of_a_path_changes_nothing(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 200
    assert client.post("/retrain/", json=BODY).status_code == 202


def test_the_start_page_leads_a_browser_to_the_pages_and_tells_a_program_what_there_is(
    client: FlaskClient,
) -> None:
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    shown = client.get("/", headers=browser, follow_redirects=True)
    assert shown.request.path == "/ui/"
    told = client.get("/", headers={"Accept": "*/*"}).json or {}
    assert {client.get(path, follow_redirects=True).status_code for path in told.values()} == {200}
    assert {"/ui/", "/docs", "/openapi.json", "/jobs"} <= set(told.values())


def test_a_number_that_only_a_float_calls_infinite_is_refused(client: FlaskClient) -> None:
    body = b'{"experiment_name": "e", "git_uri": "https://h/p", "parameters": {"a": 1e999}}'
    answer = client.post("/retrain", data=body, content_type="application/json")
    assert answer.status_code == 422


def test_a_name_that_comes_twice_among_many_is_found_at_once(client: FlaskClient) -> None:
    names = [*map(str, range(70_000)), "the last", "the last"]
    body = ("{" + ",".join(f'"{name}":0' for name in names) + "}").encode()
    began = time.monotonic()
    answer = client.post("/retrain", data=body, content_type="application/json")
    assert answer.status_code == 400
    assert time.monotonic() - began < 5  # counting each name by itself took a minute


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", None])
def test_a_body_that_is_not_sent_as_json_is_refused(client: FlaskClient, content_type: str | None) -> None:
    answer = client.post("/retrain", data=b'{"experiment_name": "e"}', content_type=content_type)
    assert answer.status_code == 415
    assert answer.json
    assert answer.json["code"] == "UNSUPPORTED_MEDIA_TYPE"


def test_a_body_of_more_than_a_megabyte_is_refused(client: FlaskClient) -> None:
    answer = client.post("/retrain", json={**BODY, "parameters": {"a": "x" * 1_000_000}})
    assert answer.status_code == 413
    assert answer.json
    assert answer.json["code"] == "BODY_TOO_LARGE"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"parameters": {f"p{number}": "x" * 3000 for number in range(100)}}, "300"),
        ({"labels": {"x" * 300_000: "a"}}, "300"),
        ({"parameters": [["a"] * 100] * 100}, "10104 values; at most 2000 are accepted"),
        ({f"a{number}": 0 for number in range(3000)}, "3003 values"),
    ],
    ids=["texts", "names", "lists", "fields"],
)
def test_a_body_of_more_text_or_values_than_any_job_needs_is_refused(
    client: FlaskClient, fields: dict[str, Any], told: str
) -> None:
    answer = client.post("/retrain", json={**BODY, **fields})
    assert answer.status_code == 413
    assert answer.json
    assert answer.json["code"] == "BODY_TOO_LARGE"
    assert told in answer.json["detail"]


def test_of_many_errors_so_many_are_told_as_anybody_reads(client: FlaskClient) -> None:
    assert len(post(client, **{f"a{number}": 0 for number in range(1000)})["errors"]) == 50


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/limit"),
        ("limit=201", "/limit"),
        ("limit=", "/limit"),
        ("state=asleep", "/state"),
        ("state=queued,", "/state"),
        ("stat=queued", "/stat"),
        ("created_after=yesterday", "/created_after"),
        ("created_after=1700000000", "/created_after"),
        ("created_after=2026-01-31T12:00:00", "/created_after"),
        ("created_after=9999-12-31T23:59:59-23:00", "/created_after"),
        ("cursor=abc", "/cursor"),
        ("cursor=OTk5OS0xMi0zMVQyMzo1OTo1OS0yMzowMHxh", "/cursor"),
        ("cursor=MjAyNi0wMS0zMVQxMjowMDowMHxh", "/cursor"),
        ("cursor=%00", "/cursor"),
        ("experiment=%00", "/experiment"),
        ("label=", "/label"),
    ],
)
def test_a_wrong_query_parameter_is_named(client: FlaskClient, query: str, pointer: str) -> None:
    answer = client.get(f"/jobs?{query}")
    assert answer.status_code == 422
    assert answer.json
    [error] = answer.json["errors"]
    assert (error["in"], error["pointer"]) == ("query", pointer)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from([*RetrainRequest.model_fields, "dataset_uri"]) | st.text(max_size=5)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fields=st.dictionaries(NAMES, VALUES, max_size=4))
def test_no_body_makes_the_api_fail(client: FlaskClient, fields: dict[str, Any]) -> None:
    assert client.post("/retrain", json={**BODY, **fields}).status_code in (202, 400, 422)
