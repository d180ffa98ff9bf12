"""What a training's request writes to: every route has a rule, and no spelling of a body hides what it is about."""

import json
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from deploy.mlflow_guard.bodies import Unfit
from deploy.mlflow_guard.refusals import object_of
from deploy.mlflow_guard.routes import ALLOWED, API, API_3, QUESTIONS, UPLOAD
from deploy.mlflow_guard.tags import ours
from deploy.mlflow_guard.writes import RULES, Asked, Kind, Thing, Write, without_models, write_of
from mypackage.protocol import (
    ATTEMPT_TAG,
    ENDED_TAG,
    EVALUATE_TAG,
    EVALUATED_TAG,
    FENCED_TAG,
    JOB_TAG,
    REFUSED_TAG,
    REQUEST_TAG,
    ROLLBACK_TAGS,
    TRIGGER_TAG,
    TRIGGERED_BY_TAG,
)
from shared.secrets.attempt_tokens import Grant

GRANT = Grant("job", 1, "2f", "1", "iris", 1000)
METRIC = f"{API}/runs/log-metric"


def write(method: str, route: str, said: dict[str, Any] | None = None, **named: str) -> Write:
    return write_of(GRANT, Asked(method, route, named, said or {}))


def runs(*names: str) -> set[Thing]:
    return {Thing(Kind.RUN, each) for each in names}


def test_every_route_that_is_no_question_has_a_rule_and_no_other() -> None:
    writes = {f"{method} {route}" for route, methods in ALLOWED.items() for method in methods.split()}
    questions = {each for each in writes if each.startswith("GET ")} | {f"POST {route}" for route in QUESTIONS}
    assert set(RULES) == writes - questions


@pytest.mark.parametrize(
    ("route", "said"),
    [
        (f"{API}/runs/create", {"tags": [{"key": "mlflow.parentRunId", "value": "theirs"}]}),
        (f"{API}/runs/set-tag", {"run_id": "2f", "key": "mlflow.parentRunId", "value": "theirs"}),
        (f"{API}/runs/log-batch", {"run_id": "2f", "tags": [{"key": " mlflow.parentRunId", "value": "theirs"}]}),
        (
            f"{API_3}/traces",
            {"trace": {"trace_info": {"trace_id": "tr-1", "trace_metadata": {"mlflow.sourceRun": "theirs"}}}},
        ),
    ],
)
def test_what_is_put_under_a_run_is_put_under_an_own_one(route: str, said: dict[str, Any]) -> None:
    assert Thing(Kind.RUN, "theirs") in write("POST", route, said).needs


@pytest.mark.parametrize("source", ["runs:/2f/model?x", "runs:/2f/model#x", "models:/m-1?"])
def test_a_source_whose_path_ends_before_its_end_is_refused(source: str) -> None:
    with pytest.raises(Unfit, match="source"):
        write("POST", f"{API}/model-versions/create", {"name": "iris", "source": source, "run_id": "2f"})


def test_a_run_of_a_training_has_the_jobs_tag_and_not_the_attempts_by_which_the_worker_finds_its_own() -> None:
    body = write("POST", f"{API}/runs/create", {"experiment_id": "1"}).body
    assert body is not None
    assert body["tags"] == [{"key": JOB_TAG, "value": "job"}]
    with pytest.raises(Unfit, match="service"):
        write("POST", f"{API}/runs/create", {"tags": [{"key": ATTEMPT_TAG, "value": "1"}]})


def test_a_route_without_a_rule_is_refused() -> None:
    with pytest.raises(Unfit, match="nobody has decided"):
        write("POST", f"{API}/runs/new-in-a-later-version", {"run_id": "2f"})


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({"run_id": "a"}, runs("a")),
        ({"runId": "a"}, runs("a")),
        ({"run_uuid": "a"}, runs("a")),
        ({"runUuid": "a"}, runs("a")),
        ({"run_id": "a", "runId": "b"}, runs("a", "b")),
        ({"run_id": "a", "run_uuid": "b"}, runs("a", "b")),
        ({"run_id": "", "run_uuid": "b"}, runs("b")),
        ({"run_id": None, "run_uuid": "b"}, runs("b")),
    ],
)
def test_all_runs_that_a_body_names_in_any_spelling_must_be_own(said: dict[str, Any], found: set[Thing]) -> None:
    assert set(write("POST", METRIC, said).needs) == found


@pytest.mark.parametrize("said", [{}, {"run_id": ""}, {"run_id": None}, {"run_id": 7}, {"run_id": ["a"]}])
def test_a_body_that_names_no_run_or_not_by_a_text_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(Unfit):
        write("POST", METRIC, said)


OURS = (
    *(JOB_TAG, ATTEMPT_TAG, REQUEST_TAG, TRIGGER_TAG, TRIGGERED_BY_TAG, FENCED_TAG, REFUSED_TAG),
    *(EVALUATE_TAG, EVALUATED_TAG, ENDED_TAG),
)


@pytest.mark.parametrize("key", [*OURS, f"{ROLLBACK_TAGS}at"])
def test_the_service_s_own_tags_are_neither_set_nor_deleted(key: str) -> None:
    pair, run = {"key": key, "value": "x"}, {"run_id": "2f"}
    for call, said in (
        ("POST runs/set-tag", {**run, **pair}),
        ("POST runs/delete-tag", {**run, "key": key}),
        ("POST runs/log-batch", {**run, "tags": [pair]}),
        ("POST runs/create", {"tags": [pair]}),
        ("POST logged-models", {"tags": [pair]}),
        ("POST model-versions/create", {"name": "iris", "source": "runs:/2f/m", "tags": [pair]}),
        ("POST model-versions/set-tag", {"name": "iris", "version": "1", **pair}),
        ("DELETE model-versions/delete-tag", {"name": "iris", "version": "1", "key": key}),
    ):
        method, _, path = call.partition(" ")
        with pytest.raises(Unfit, match="for the service"):
            write(method, f"{API}/{path}", said)
    with pytest.raises(Unfit, match="for the service"):
        write("POST", f"{API_3}/datasets/create", {"name": "x", "tags": json.dumps({key: "x"})})


@pytest.mark.parametrize(
    "key", ["retrain.decision", "retrain.promoted", "retrain.proposal.1", "retrain.eval_dataset", "dataset.repo", "a"]
)
def test_tags_that_trainings_set_pass(key: str) -> None:
    assert write("POST", f"{API}/runs/set-tag", {"run_id": "2f", "key": key, "value": "x"}).needs == tuple(runs("2f"))


def test_what_a_training_makes_gets_the_tags_of_its_job_once() -> None:
    theirs = [{"key": "a", "value": "b"}, {"key": JOB_TAG, "value": "job"}]  # as copies of mypackage set it
    for route in ("runs/create", "logged-models"):
        body = write("POST", f"{API}/{route}", {"tags": theirs}).body
        assert body is not None
        assert sorted((each["key"], each["value"]) for each in body["tags"]) == [
            ("a", "b"),
            *sorted(ours(GRANT).items()),
        ]
    dataset = write("POST", f"{API_3}/datasets/create", {"name": "x"}).body
    assert dataset is not None
    assert json.loads(dataset["tags"]) == ours(GRANT)


@pytest.mark.parametrize("tags", [7, {"a": "b"}, ["a"], [{"key": 7}], "x"])
def test_tags_that_cannot_be_read_are_refused(tags: Any) -> None:
    with pytest.raises(Unfit):
        write("POST", f"{API}/runs/create", {"tags": tags})


def test_a_version_is_of_the_job_s_own_model_and_of_its_own_source_run_and_logged_model() -> None:
    route = f"{API}/model-versions/create"
    with pytest.raises(Unfit, match="model_name"):
        write("POST", route, {"name": "other", "source": "runs:/2f/m", "run_id": "2f"})
    made = write("POST", route, {"name": "iris", "source": "models:/m-1", "modelId": "m-1"})
    assert set(made.needs) == {Thing(Kind.SOURCE, "models:/m-1"), Thing(Kind.MODEL, "m-1")}
    assert made.body is not None
    assert made.body["run_id"] == "2f"
    assert write("POST", f"{API}/registered-models/create", {"name": "iris"}) == Write()


def test_a_job_without_a_model_s_name_may_register_any() -> None:
    free = Grant("job", 1, "2f", "1", None, 1000)
    asked = Asked("POST", f"{API}/registered-models/create", {}, {"name": "any"})
    assert write_of(free, asked) == Write()


def test_the_logged_model_of_the_body_counts_beside_that_of_the_path() -> None:
    made = write("PATCH", f"{API}/logged-models/<model_id>", {"modelId": "m-2", "status": 2}, model_id="m-1")
    assert {each.name for each in made.needs} == {"m-1", "m-2"}


def test_a_metric_of_another_s_model_stays_a_metric_of_the_run() -> None:
    said = {"run_id": "2f", "metrics": [{"key": "a", "model_id": "m-1"}, {"key": "b", "modelId": "m-2"}]}
    assert set(write("POST", f"{API}/runs/log-batch", said).mentions) == {"m-1", "m-2"}
    assert without_models(said, {"m-2"})["metrics"] == [{"key": "a", "model_id": "m-1"}, {"key": "b"}]


def test_the_traces_of_spans_are_known_by_what_mlflow_makes_of_their_ids() -> None:
    sent = ExportTraceServiceRequest()
    sent.resource_spans.add().scope_spans.add().spans.add(trace_id=bytes.fromhex("0a" * 16), span_id=b"1")
    asked = Asked("POST", "/v1/traces", raw=sent.SerializeToString(), content_type="application/x-protobuf")
    assert write_of(GRANT, asked).needs == (Thing(Kind.NEW_TRACE, "tr-" + "0a" * 16),)
    for raw, kind in ((b"{}", "application/json"), (b"\xff\xff", "application/x-protobuf")):
        with pytest.raises(Unfit):
            write_of(GRANT, Asked("POST", "/v1/traces", raw=raw, content_type=kind))


@pytest.mark.parametrize("path", ["../x", "/x", "a//b", "a/../../x", "", "%2e%2e/x"])
def test_a_file_in_parts_stays_below_its_folder(path: str) -> None:
    route = next(each for each in ALLOWED if "mpu/create" in each)
    with pytest.raises(Unfit):
        write("POST", route, {"path": path}, artifact_path="1/2f/artifacts")
    fine = write("POST", route, {"path": "m/x"}, artifact_path="1/2f/artifacts")
    assert fine.needs[-1] == Thing(Kind.FILE, "1/2f/artifacts/m/x")
    assert write("PUT", UPLOAD, artifact_path="1/2f/artifacts/x").needs[0].kind is Kind.FILE


def test_a_refusal_tells_what_it_was_about() -> None:
    assert object_of({"name": "iris", "alias": "champion", "version": "1"}) == "iris@champion"
    assert object_of({"name": "iris", "version": "1", "key": "a"}) == "iris/1 a"
    assert object_of({"run_id": "2f", "key": JOB_TAG}) == f"2f {JOB_TAG}"
    assert object_of({}) == ""
