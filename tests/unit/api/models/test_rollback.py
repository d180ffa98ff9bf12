"""POST /models/<name>/champion where MLflow is away, odd, or fails half-way; and requests that are wrong."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from shared.jobs.promotions import Event, Kind, NewPromotion, PromotionState
from tests.fakes.store import MemoryStore
from tests.support.network.ports import free_port
from tests.support.servers.odd_mlflow import OddMlflow, odd_mlflow
from tests.unit.api.documented import Api, Asking, Documented
from tests.unit.conftest import MakeApp

BODY = {"version": "1", "reason": "wrong labels"}


@pytest.fixture
def mlflow() -> Iterator[OddMlflow]:
    with odd_mlflow() as server:
        yield server


@pytest.fixture
def api(make_app: MakeApp, mlflow: OddMlflow) -> FlaskClient:
    return make_app(
        mlflow_tracking_uri=mlflow.served.url, mlflow_tracking_username="me", mlflow_tracking_password="hunter2"
    ).test_client()


def test_without_mlflow_it_says_when_to_ask_again(make_app: MakeApp) -> None:
    api = make_app(mlflow_tracking_uri=f"http://127.0.0.1:{free_port()}").test_client()
    answer = api.post("/models/iris/champion", json=BODY)
    assert answer.status_code == 503
    assert answer.json
    assert answer.json["code"] == "TRACKING_UNAVAILABLE"
    assert answer.headers["Retry-After"] == "5"


def test_the_tracking_servers_user_and_password_are_sent(api: FlaskClient, mlflow: OddMlflow) -> None:
    assert api.post("/models/iris/champion", json=BODY).status_code == 200
    assert mlflow.authorization == "Basic " + base64.b64encode(b"me:hunter2").decode()


@pytest.mark.parametrize(
    "odd",
    [
        ("<html>busy</html>", 502),
        ("[]", 200),
        ({}, 401),
        ({"error_code": "PERMISSION_DENIED", "message": "no"}, 403),
        ({"error_code": ["x"]}, 500),
        ("", 302, {"Location": "http://127.0.0.1:1/"}),
        ("nothing", 200),
    ],
)
@pytest.mark.parametrize("path", ["model-versions/get", "registered-models/alias", "model-versions/set-tag"])
def test_whatever_else_mlflow_says_nothing_moves(api: FlaskClient, mlflow: OddMlflow, path: str, odd: Any) -> None:
    mlflow.odd[path] = odd
    answer = api.post("/models/iris/champion", json=BODY)
    assert answer.status_code == 503
    assert mlflow.aliases == {"champion": "2"}


def test_an_alias_without_a_version_in_it_moves_nothing(api: FlaskClient, mlflow: OddMlflow) -> None:
    mlflow.odd["registered-models/alias"] = ({"model_version": {}}, 200)
    assert api.post("/models/iris/champion", json=BODY).status_code == 503
    assert mlflow.aliases == {"champion": "2"}


def test_what_stopped_half_way_is_completed_when_asked_again(api: FlaskClient, mlflow: OddMlflow) -> None:
    mlflow.stuck.add("champion")
    assert api.post("/models/iris/champion", json=BODY).status_code == 503
    assert mlflow.aliases["champion"] == "2"
    mlflow.stuck.clear()
    answer = api.post("/models/iris/champion", json=BODY)
    assert answer.json
    assert answer.json["changed"] is True
    assert mlflow.aliases == {"champion": "1", "previous": "2"}


def test_what_an_api_left_that_was_killed_is_in_the_history_once(
    api: FlaskClient, mlflow: OddMlflow, store: MemoryStore
) -> None:
    moving = NewPromotion("iris", "champion", Kind.ROLLBACK, "1", "2", PromotionState.MOVING, "api", "wrong labels")
    api.post("/models/iris/champion", json={"version": "2", "reason": "begin the history"})
    store.propose(moving, seen=store.last_event("iris", "champion"))
    answer = api.post("/models/iris/champion", json=BODY)
    assert answer.json
    assert (answer.status_code, answer.json["changed"]) == (200, True)
    lines = [each for each in store.history("iris", limit=9) if each.event is Event.MOVED]
    assert [(each.before, each.version) for each in reversed(lines)] == [(None, "2"), ("2", "1")]
    assert mlflow.aliases == {"champion": "1", "previous": "2"}


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"version": "one"}, "/version"),
        ({"version": 0}, "/version"),
        ({"version": True}, "/version"),
        ({"version": "1; drop"}, "/version"),
        ({"reason": ""}, "/reason"),
        ({"reason": "x" * 501}, "/reason"),
        ({"reason": "see https://me:hunter2@host/x"}, "/reason"),
        ({"why": "x"}, "/why"),
    ],
)
def test_a_wrong_field_is_pointed_at(api: FlaskClient, mlflow: OddMlflow, fields: dict[str, Any], pointer: str) -> None:
    answer = api.post("/models/iris/champion", json={**BODY, **fields})
    assert answer.status_code == 422
    assert answer.json
    assert [error["pointer"] for error in answer.json["errors"]] == [pointer]
    assert "hunter2" not in answer.text
    assert mlflow.aliases == {"champion": "2"}


def test_version_and_reason_are_required(api: FlaskClient) -> None:
    answer = api.post("/models/iris/champion", json={})
    assert answer.json
    assert {error["pointer"] for error in answer.json["errors"]} == {"/version", "/reason"}


def test_it_needs_a_token_where_there_are_any(make_app: MakeApp) -> None:
    answer = make_app(api_tokens=("hunter2",)).test_client().post("/models/iris/champion", json=BODY)
    assert answer.status_code == 401


def test_instead_of_another_than_the_champion_nothing_moves(api: FlaskClient, mlflow: OddMlflow) -> None:
    late = api.post("/models/iris/champion", json={**BODY, "instead_of": "3"})
    assert late.json
    assert (late.status_code, late.json["code"]) == (409, "NOT_CHAMPION")
    assert mlflow.aliases == {"champion": "2"}
    assert api.post("/models/iris/champion", json={**BODY, "instead_of": 2}).status_code == 200
    assert mlflow.aliases == {"champion": "1", "previous": "2"}


def _set_champion(api: Api) -> Asking:
    settings = {"mlflow_tracking_uri": api.stack.enter_context(odd_mlflow()).served.url}
    without_mlflow = api.client(mlflow_tracking_uri="http://127.0.0.1:1")
    path = "/models/iris/champion"

    def with_a_fault() -> TestResponse:
        api.monkeypatch.setattr("api.views.models.champion.roll_back", lambda *_args, **_kwargs: 1 / 0)
        return api.client(**settings).post(path, json=BODY)

    others = {
        "404": lambda: api.client().post("/models/a:b/champion", json=BODY),
        "409": lambda: api.client(**settings).post(path, json={**BODY, "instead_of": "3"}),
        "500": with_a_fault,
        "503": lambda: without_mlflow.post(path, json=BODY),
    }
    return Asking(path, BODY, settings, others)


DOCUMENTED: Documented = {"POST /models/<model>/champion": _set_champion}
