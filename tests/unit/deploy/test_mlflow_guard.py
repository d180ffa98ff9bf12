"""The layer before MLflow: what trainings may ask and say, in which spelling, and how much of it is held in memory."""

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from deploy.mlflow_guard.bodies import Unfit, read_body
from deploy.mlflow_guard.layer import Guard, Message, Receive, Scope, Send
from deploy.mlflow_guard.routes import Body, Verdict, decide_for_people, decide_for_training

API = "/api/2.0/mlflow"
FILES = "/api/2.0/mlflow-artifacts/artifacts"
CREATE_RUN, CREATE_EXPERIMENT = f"{API}/runs/create", f"{API}/experiments/create"
CREATE_VERSION = f"{API}/model-versions/create"
ASSISTANT = "/ajax-api/3.0/mlflow/assistant"


def refusal_of(path: str, body: bytes) -> str:
    """Why the body may not pass; empty if it may."""
    try:
        read_body(path, body)
    except Unfit as unfit:
        return str(unfit)
    return ""


def passes(method: str, path: str, query: str = "") -> bool:
    return decide_for_training(method, path.encode(), query.encode()).passes


@pytest.mark.parametrize(
    "path",
    [
        f"{ASSISTANT}/config",
        "/ajax-api/2.0/mlflow/runs/create",
        f"/api/2.0/mlflow/../..{ASSISTANT}/config",
        f"/api/..{ASSISTANT}/config",
        "//api/2.0/mlflow/runs/create",
        "/api//2.0/mlflow/runs/create",
        "/api/2.0/mlflow/runs/create/",
        "/api/2.0/mlflow/runs/./create",
        "/api/2.0/mlflow/runs%2fcreate",
        "/api/2.0/mlflow/runs/creat%65",
        "/API/2.0/mlflow/runs/create",
        "/api/2.0/mlflow/runs/create;x",
        "/mlflow/api/2.0/mlflow/runs/create",
        "http://mlflow:5007/api/2.0/mlflow/runs/create",
        "/api/2.0/mlflow/runs/create\n",
        "/graphql",
        "/",
        "",
        "*",
    ],
)
def test_a_route_has_one_spelling_and_others_are_refused(path: str) -> None:
    assert passes("POST", CREATE_RUN)
    assert not passes("POST", path)
    assert not passes("GET", path)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE", "PUT", "TRACE", "post", "CONNECT", ""])
def test_a_route_has_its_own_methods_and_others_are_refused(method: str) -> None:
    assert not passes(method, CREATE_RUN)


@pytest.mark.parametrize("name", ["model/MLmodel", "a%20b/%C3%BC%20100%25.txt", ".hidden", "a..b", "x%3Fy", "%23"])
def test_files_may_be_called_as_files_are(name: str) -> None:
    for method in ("GET", "PUT"):
        assert passes(method, f"{FILES}/1/2f/artifacts/{name}")
    assert passes("POST", f"/api/2.0/mlflow-artifacts/mpu/create/1/2f/artifacts/{name}")
    assert passes("GET", f"{API}/artifacts/list", f"run_id=2f&path={name}")


@pytest.mark.parametrize(
    "name",
    [
        *(
            "../x",
            "a/../../x",
            "%2e%2e/x",
            "..%2fx",
            "a%2fb",
            "%252e%252e/x",
            "%25252e%25252e%25252fx",
            "..\\x",
            "..%5cx",
        ),
        *("/etc/passwd", "a//b", "a/", "./a", "a/.", "", "a%00b", "a%0ab", "a%252fb"),
    ],
)
def test_no_file_s_name_leads_elsewhere_however_it_is_written(name: str) -> None:
    for method in ("GET", "PUT"):
        assert not passes(method, f"{FILES}/{name}")
    if name not in ("", "a%252fb"):
        assert not passes("GET", f"{API}/artifacts/list", f"run_id=2f&path={name.replace('%2f', '%252f')}&path=a")


def test_no_file_is_deleted() -> None:
    assert not passes("DELETE", f"{FILES}/1/2f/artifacts/model/MLmodel")


@pytest.mark.parametrize(
    "path", [f"{ASSISTANT}/config", f"/{ASSISTANT}/config", "/ajax-api/3.0/mlflow/assistan%74/config", ASSISTANT]
)
def test_our_own_server_serves_its_assistant_to_nobody(path: str) -> None:
    assert not decide_for_people("GET", path.encode(), b"").passes
    assert decide_for_people("GET", b"/ajax-api/2.0/mlflow/experiments/search", b"").passes
    assert decide_for_people("GET", b"/static-files/main.css", b"").passes


@pytest.mark.parametrize(
    "place",
    ["/etc", "file:///etc", "file:/etc", "C:\\x", "s3://b/x", "mlflow-artifacts://evil:80/x", "mlflow-artifacts:/../x"],
)
@pytest.mark.parametrize("field", ["artifact_location", "artifactLocation", "artifact_uri"])
def test_a_training_names_no_place_of_its_own_for_artifacts(place: str, field: str) -> None:
    assert "not a place for artifacts" in refusal_of(
        CREATE_EXPERIMENT, json.dumps({"name": "x", field: place}).encode()
    )


@pytest.mark.parametrize("place", ["", None, "mlflow-artifacts:/x", "mlflow-artifacts:/x/y"])
def test_an_experiment_may_leave_its_place_to_mlflow_or_to_its_proxy(place: str | None) -> None:
    assert refusal_of(CREATE_EXPERIMENT, json.dumps({"name": "x", "artifact_location": place}).encode()) == ""


def test_a_trace_s_place_is_looked_at_wherever_it_stands() -> None:
    as_key = {"trace": {"trace_info": {"tags": {"mlflow.artifactLocation": "/etc"}}}}
    beside = {"tags": [{"key": "a", "value": "b"}, {"key": "mlflow.artifactLocation", "value": "/etc"}]}
    for said in (as_key, beside):
        assert "/etc" in refusal_of("/api/3.0/mlflow/traces", json.dumps(said).encode())


def test_a_parameter_may_be_called_as_a_place_is() -> None:
    said = {"run_id": "2f", "params": [{"key": "artifact_location", "value": "/data"}]}
    assert refusal_of(f"{API}/runs/log-batch", json.dumps(said).encode()) == ""


@pytest.mark.parametrize(
    "source", ["/etc", "file:///etc", "", None, "etc", "mlflow-artifacts:/a/../../x", "http://169.254.169.254/"]
)
def test_a_model_version_s_files_lie_in_no_place_of_the_server(source: str | None) -> None:
    assert refusal_of(CREATE_VERSION, json.dumps({"name": "x", "source": source}).encode())


@pytest.mark.parametrize("source", ["runs:/2f/model", "models:/m-1f", "mlflow-artifacts:/1/models/m-1f", "s3://b/x"])
def test_a_model_version_s_files_lie_where_trainings_put_them(source: str) -> None:
    assert refusal_of(CREATE_VERSION, json.dumps({"name": "x", "source": source}).encode()) == ""


@pytest.mark.parametrize(
    "body",
    [
        b'{"artifact_location": "mlflow-artifacts:/x", "artifact_location": "/etc"}',
        json.dumps(json.dumps({"artifact_location": "/etc"})).encode(),
        json.dumps({"artifact_location": "/etc"}).encode("utf-16"),
        b"[" * 100_000,
        b"artifact_location=/etc",
    ],
    ids=["twice", "in a string", "utf-16", "deep", "form"],
)
def test_what_two_parsers_may_read_in_two_ways_is_refused(body: bytes) -> None:
    assert refusal_of(CREATE_EXPERIMENT, body)


@dataclass
class Recorder:
    """The app behind the layer: keeps the bodies that reach it."""

    bodies: list[bytes] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.bodies.append(body)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"fine"})


def ask(
    guard: Guard,
    method: str,
    path: str,
    chunks: Sequence[bytes] = (b"",),
    headers: Iterable[tuple[bytes, bytes]] = (),
    *,
    kind: str = "http",
) -> list[Message]:
    """What the guard sends as an answer."""
    sent: list[Message] = []
    rest = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    rest.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> Message:
        return rest.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": kind, "method": method, "path": path, "raw_path": path.encode()}
    asyncio.run(
        guard({**scope, "query_string": b"", "headers": list(headers), "client": ("10.0.0.2", 1)}, receive, send)
    )
    return sent


def test_a_refusal_says_in_mlflow_s_own_form_what_was_refused_and_what_to_do() -> None:
    behind = Recorder()
    start, end = ask(Guard(behind, decide=decide_for_training), "POST", f"{API}/runs/delete", [b"{}"])
    said = json.loads(end["body"])
    assert (start["status"], said["error_code"]) == (403, "PERMISSION_DENIED")
    assert f"POST {API}/runs/delete" in said["message"]
    assert "ask the operator" in said["message"]
    assert behind.bodies == []


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ("POST registered-models/alias", "auto_compare_and_register"),
        ("POST model-versions/transition-stage", "auto_compare_and_register"),
        ("POST registered-models/set-tag", "update the copy of mypackage"),  # the first thing that old copies do
        ("POST runs/delete", "deletes"),
        ("POST experiments/set-experiment-tag", "tag your own run"),
        ("POST webhooks", "do not use this route"),
    ],
)
def test_a_refusal_says_what_to_do_instead(call: str, says: str) -> None:
    method, _, path = call.partition(" ")
    assert says in decide_for_training(method, f"{API}/{path}".encode(), b"").refusal


def test_a_body_reaches_mlflow_as_it_was_looked_at() -> None:
    behind = Recorder()
    start, _ = ask(Guard(behind, decide=decide_for_training), "POST", CREATE_RUN, [b'{"experiment', b'_id": "1"}'])
    assert (start["status"], behind.bodies) == (200, [b'{"experiment_id": "1"}'])


@pytest.mark.parametrize("headers", [[], [(b"content-length", b"101")], [(b"Content-Length", b"101")]])
def test_a_body_of_more_than_the_limit_is_refused_and_a_file_is_not(headers: list[tuple[bytes, bytes]]) -> None:
    behind = Recorder()
    guard = Guard(behind, decide=decide_for_training, body_bytes=100)
    assert ask(guard, "POST", CREATE_RUN, [b" " * 60, b" " * 41], headers)[0]["status"] == 413
    assert behind.bodies == []
    assert ask(guard, "PUT", f"{FILES}/1/2f/artifacts/x", [b" " * 60, b" " * 41], headers)[0]["status"] == 200


def test_all_bodies_together_have_a_limit_and_what_ended_counts_no_more() -> None:
    guard = Guard(Recorder(), decide=decide_for_training, held_bytes=100)
    for _ in range(3):
        assert ask(guard, "POST", CREATE_RUN, [b" " * 60, b" " * 41])[0]["status"] == 503
        assert ask(guard, "POST", CREATE_RUN, [b" " * 37, b'{"experiment_id": "1"}'])[0]["status"] == 200


@pytest.mark.parametrize(
    ("method", "path", "header"),
    [
        ("GET", f"{API}/runs/get", (b"content-length", b"2")),
        ("GET", f"{API}/runs/get", (b"Transfer-Encoding", b"chunked")),
        ("POST", CREATE_RUN, (b"content-encoding", b"gzip")),
        ("POST", "/v1/traces", (b"Content-Encoding", b"gzip")),
        ("POST", CREATE_RUN, (b"content-length", b"x")),
    ],
)
def test_a_body_that_cannot_be_looked_into_is_refused(method: str, path: str, header: tuple[bytes, bytes]) -> None:
    behind = Recorder()
    assert ask(Guard(behind, decide=decide_for_training), method, path, [b"{}"], [header])[0]["status"] == 403
    assert behind.bodies == []


def test_a_websocket_is_refused() -> None:
    sent = ask(Guard(Recorder(), decide=lambda *_: Verdict(Body.STREAM)), "GET", "/", kind="websocket")
    assert [message["type"] for message in sent] == ["websocket.close"]
