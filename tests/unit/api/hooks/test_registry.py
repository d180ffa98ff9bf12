"""POST /hooks/mlflow."""

import json
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.unit.api.documented import Documented
from tests.unit.api.hooks.asking import documented_hook, told
from tests.unit.api.hooks.senders import WORD, Desk, as_bytes, from_mlflow, registry_change, standard_hmac

PATH = "/hooks/mlflow"


def send(desk: Desk, payload: Any, secret: str = WORD, **given: Any) -> TestResponse:
    sent = as_bytes(payload)
    return desk.send(PATH, sent, from_mlflow(secret, sent, **given))


def test_a_new_version_waits_for_a_worker(desk: Desk) -> None:
    desk.trigger("on-version", "wort", registry={"model": "embed*"})
    desk.trigger("on-alias", "wort", registry={"model": "embed*", "event": "alias_moved"})
    assert told(send(desk, registry_change())) == [("on-alias", "skipped"), ("on-version", "waiting")]
    [event] = desk.store.trigger_events("on-version", limit=9)
    assert (event.facts, event.changes) == ({"model": "embeddings", "version": "3"}, {})
    assert desk.events("on-alias") == []


@pytest.mark.parametrize(("alias", "outcome"), [("champion", "waiting"), (None, "waiting"), ("staging", "skipped")])
def test_an_alias_that_was_set_is_one_that_the_trigger_waits_for(desk: Desk, alias: str | None, outcome: str) -> None:
    desk.trigger("on-alias", "wort", registry={"model": "embeddings", "event": "alias_moved", "alias": alias})
    answer = send(desk, registry_change("model_version_alias", alias="champion"))
    assert told(answer) == [("on-alias", outcome)]


def test_a_delivery_counts_once_and_the_next_counts_again(desk: Desk) -> None:
    desk.trigger("on-version", "wort", registry={"model": "*"})
    for delivery in ("one", "one", "two"):
        assert send(desk, registry_change(), delivery=delivery).status_code == 200
    assert len(desk.events("on-version")) == 2


@pytest.mark.parametrize("age", [301, -301, 10**9])
def test_what_was_signed_long_ago_is_refused(desk: Desk, age: float) -> None:
    desk.trigger("on-version", "wort", registry={"model": "*"})
    assert send(desk, registry_change(), age=age).status_code == 401
    assert desk.events("on-version") == [("refused", "signature too old")]


@pytest.mark.parametrize("timestamp", ["", "soon", "1e9", "-1", "9" * 12])
def test_a_signed_time_that_is_none_is_refused_as_old(desk: Desk, timestamp: str) -> None:
    desk.trigger("on-version", "wort", registry={"model": "*"})
    sent = as_bytes(registry_change())
    signature = standard_hmac(b"wort", "cfbb85ab", timestamp, sent)
    headers = {**from_mlflow("wort", sent), "X-MLflow-Timestamp": timestamp, "X-MLflow-Signature": signature}
    assert desk.send(PATH, sent, headers).status_code == 401
    assert desk.events("on-version") == [("refused", "signature too old")]


@pytest.mark.parametrize("name", ["X-MLflow-Delivery-Id", "X-MLflow-Timestamp", "X-MLflow-Signature"])
@pytest.mark.parametrize("value", ["", "1", "v1,AAAA", "v1,", "v0,AAAA", "é", "1e999", "9" * 400])
def test_no_signed_header_can_be_another(desk: Desk, name: str, value: str) -> None:
    desk.trigger("on-version", "wort", registry={"model": "*"})
    sent = as_bytes(registry_change())
    assert desk.send(PATH, sent, {**from_mlflow("wort", sent), name: value}).status_code == 401
    assert ("waiting", "for a worker") not in desk.events("on-version")


def test_a_wrong_secret_is_refused_and_noted(desk: Desk) -> None:
    desk.trigger("on-version", "wort", registry={"model": "*"})
    assert send(desk, registry_change(), secret="wrong").status_code == 401
    assert desk.events("on-version") == [("refused", "signature wrong")]


def test_mlflows_own_test_of_a_webhook_succeeds(desk: Desk) -> None:
    desk.trigger("on-version", "wort", registry={"model": "embeddings"})
    answer = send(desk, registry_change(name="example_model"))
    assert (answer.status_code, answer.json) == (200, {"triggers": [], "nothing": "no trigger waits for this model"})
    assert send(desk, registry_change(name="example_model"), secret="wrong").status_code == 401


def test_other_events_fire_nothing(desk: Desk) -> None:
    desk.trigger("on-version", "wort", registry={"model": "*"})
    for body in ({**registry_change(), "action": "updated"}, registry_change("prompt"), {}, {"data": [], "entity": 1}):
        answer = send(desk, body)
        assert answer.status_code == 200, json.dumps(body)
        assert (answer.json or {})["nothing"].startswith("it is the event")
    assert desk.events("on-version") == []


BODY = as_bytes(registry_change())
DOCUMENTED: Documented = {
    f"POST {PATH}": documented_hook(PATH, BODY, lambda: from_mlflow("wort", BODY), registry={"model": "*"})
}
