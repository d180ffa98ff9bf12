"""POST /triggers/<name>/signal."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.unit.api.documented import Api, Asking, Documented
from tests.unit.api.hooks.senders import (
    WORD,
    Desk,
    alert,
    as_bytes,
    hex_hmac,
    notification,
    of_grafana,
)

PATH = "/triggers/on-drift/signal"
TOKEN, SECRET = {"Authorization": "Bearer the-token"}, {"Authorization": "Bearer wort"}
DRIFT = {"metric": "drift_share", "value": 0.31}


def send(desk: Desk, payload: Any, headers: dict[str, str] = SECRET, path: str = PATH) -> TestResponse:
    return desk.send(path, as_bytes(payload), headers)


def outcome(answer: TestResponse) -> str:
    assert answer.status_code == 200, answer.text
    return str((answer.json or {})["outcome"])


def github_like(payload: Any, secret: str = WORD) -> dict[str, str]:
    return {"X-Hub-Signature-256": f"sha256={hex_hmac(secret, as_bytes(payload))}"}


def grafana_like(payload: Any, secret: str = WORD, age: float | None = None) -> dict[str, str]:
    if age is None:
        return {"X-Grafana-Alerting-Signature": hex_hmac(secret, as_bytes(payload))}
    timestamp = str(int(time.time() - age))
    signature = hex_hmac(secret, f"{timestamp}:".encode() + as_bytes(payload))
    return {"X-Grafana-Alerting-Signature": signature, "X-Grafana-Alerting-Timestamp": timestamp}


@pytest.mark.parametrize(
    "headers",
    [TOKEN, SECRET, {"Authorization": "bearer  wort"}, github_like(DRIFT), grafana_like(DRIFT)],
    ids=["token of the API", "secret", "secret written otherwise", "signature", "Grafana's"],
)
@pytest.mark.parametrize("payload", [DRIFT], ids=["number"])
def test_a_signal_is_taken_from_who_has_a_token_or_knows_the_secret(
    desk: Desk, payload: Any, headers: dict[str, str]
) -> None:
    desk.trigger("on-drift", "wort", signal={})
    assert outcome(send(desk, payload, headers)) == "waiting"
    [event] = desk.store.trigger_events("on-drift", limit=9)
    assert event.facts == DRIFT


def test_grafana_may_sign_the_time_too(desk: Desk) -> None:
    desk.trigger("on-drift", "wort", signal={})
    assert outcome(send(desk, of_grafana(), grafana_like(of_grafana(), age=0))) == "waiting"
    assert send(desk, of_grafana(), grafana_like(of_grafana(), age=301)).status_code == 401
    without = grafana_like(of_grafana(), age=0)
    del without["X-Grafana-Alerting-Timestamp"]
    assert send(desk, of_grafana(), without).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer é"},
        github_like(DRIFT, "wrong"),
        grafana_like(DRIFT, "wrong"),
        github_like({**DRIFT, "value": 9}),
    ],
    ids=str,
)
def test_a_wrong_proof_is_refused_and_noted_and_does_not_tell_whether_there_is_a_trigger(
    desk: Desk, headers: dict[str, str]
) -> None:
    before = send(desk, DRIFT, headers)
    desk.trigger("on-drift", "wort", signal={})
    desk.trigger("on-push", "wort", git={"repository": "*"})
    after, of_another_kind = send(desk, DRIFT, headers), send(desk, DRIFT, headers, "/triggers/on-push/signal")
    found = {(each.status_code, (each.json or {})["code"]) for each in (before, after, of_another_kind)}
    assert found in ({(401, "NOT_SIGNED")}, {(401, "UNAUTHORIZED")})
    assert desk.events("on-drift") in ([("refused", "signature wrong")], [])
    assert desk.events("on-push") == []


def test_without_any_proof_it_is_as_with_every_operation(desk: Desk, make_app: Any) -> None:
    desk.trigger("on-drift", "wort", signal={})
    assert (send(desk, DRIFT, {}).json or {})["code"] == "UNAUTHORIZED"
    without_tokens = make_app().test_client()
    assert without_tokens.post(PATH, json=DRIFT).status_code == 200
    elsewhere = {"Host": "retrain.example.org"}
    assert (without_tokens.post(PATH, json=DRIFT, headers=elsewhere).json or {})["code"] == "LOOPBACK_ONLY"
    assert without_tokens.post(PATH, json=DRIFT, headers={**elsewhere, **SECRET}).status_code == 200
    assert without_tokens.get("/jobs", headers={**elsewhere, **SECRET}).status_code == 403


def test_the_secret_of_a_trigger_opens_nothing_else(desk: Desk) -> None:
    desk.trigger("on-drift", "wort", signal={})
    desk.trigger("other", "another", signal={})
    assert send(desk, DRIFT, SECRET, "/triggers/other/signal").status_code == 401
    assert desk.client.get("/jobs", headers=SECRET).status_code == 401


def test_who_has_a_token_is_told_what_is_wrong_with_the_trigger(desk: Desk) -> None:
    desk.trigger("on-push", "wort", git={"repository": "*"})
    assert (send(desk, DRIFT, TOKEN, "/triggers/on-push/signal").json or {})["code"] == "NOT_A_SIGNAL"
    assert (send(desk, DRIFT, TOKEN, "/triggers/nobody/signal").json or {})["code"] == "TRIGGER_NOT_FOUND"


@pytest.mark.parametrize(
    ("when", "value", "fires"),
    [
        ({"above": 0.2}, 0.21, True),
        ({"above": 0.2}, 0.2, False),
        ({"below": 0.9}, 0.89, True),
        ({"below": 0.9}, 1, False),
        ({}, 0, True),
        ({"metric": "drift_share"}, -5, True),
        ({"metric": "accuracy"}, -5, False),
    ],
    ids=str,
)
def test_a_number_fires_beyond_the_bound(desk: Desk, when: dict[str, Any], value: float, fires: bool) -> None:
    desk.trigger("on-drift", "wort", signal=when)
    assert outcome(send(desk, {**DRIFT, "value": value})) == ("waiting" if fires else "skipped")


def test_numbers_within_the_bound_are_one_event_that_is_counted_up(desk: Desk) -> None:
    desk.trigger("on-drift", "wort", signal={"above": 0.5})
    for value in (0.1, 0.2, 0.2):
        send(desk, {**DRIFT, "value": value})
    [event] = desk.store.trigger_events("on-drift", limit=9)
    assert (event.reason, event.times) == ("drift_share is not above 0.5", 3)


def at_minute(monkeypatch: pytest.MonkeyPatch, minute: int) -> None:
    monkeypatch.setattr("api.views.triggers.hooks.now", lambda: datetime(2030, 1, 1, 0, minute, tzinfo=UTC))


def test_a_number_counts_once_a_minute_or_for_each_idempotency_key(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.trigger("on-drift", "wort", signal={})
    for minute in (1, 1, 2):
        at_minute(monkeypatch, minute)
        send(desk, DRIFT)
    assert len(desk.events("on-drift")) == 2
    for minute in (3, 4):
        at_minute(monkeypatch, minute)
        send(desk, DRIFT, {**SECRET, "Idempotency-Key": "of the nightly check"})
    assert len(desk.events("on-drift")) == 3


def test_what_is_signed_counts_once_whenever_and_under_whichever_key_it_comes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.trigger("on-drift", "wort", signal={})
    for minute in (1, 2):
        at_minute(monkeypatch, minute)
        send(desk, DRIFT, {**github_like(DRIFT), "Idempotency-Key": str(minute)})
    assert len(desk.events("on-drift")) == 1


def test_a_replayed_signature_beside_a_wrong_token_is_still_a_signature(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.trigger("on-drift", "wort", signal={})
    for minute in (1, 2):
        at_minute(monkeypatch, minute)
        send(desk, DRIFT, {**github_like(DRIFT), "Authorization": "Bearer wrong", "Idempotency-Key": str(minute)})
    assert len(desk.events("on-drift")) == 1


@pytest.mark.parametrize("notify", [notification, of_grafana], ids=["Alertmanager", "Grafana"])
def test_an_alert_fires_when_it_begins_and_not_when_its_group_changes(desk: Desk, notify: Any) -> None:
    desk.trigger("on-drift", "wort", signal={"above": 0.5})
    a, b = alert(fingerprint="a"), alert(fingerprint="b", startsAt="2026-05-05T11:00:00Z")
    resolved = {**b, "status": "resolved", "endsAt": "2026-05-05T12:00:00Z"}
    for alerts in ([a, b], [a, b], [b], [a, resolved], [a]):
        send(desk, notify(*alerts))
    assert [outcome for outcome, _ in desk.events("on-drift")] == ["skipped", "waiting"]
    facts = desk.store.trigger_events("on-drift", limit=9)[-1].facts
    assert facts == {"alert": "DriftTooHigh", "since": "2026-05-05T11:00:00Z", "alerts": 2}
    send(desk, notify(a, alert(fingerprint="c")))
    assert desk.events("on-drift")[0] == ("waiting", "for a worker")
    send(desk, notify({**a, "startsAt": "2026-05-06T10:00:00Z"}))
    assert len(desk.events("on-drift")) == 4


def test_resolved_alerts_fire_nothing(desk: Desk) -> None:
    desk.trigger("on-drift", "wort", signal={})
    sent = notification(alert(status="resolved"), status="resolved")
    assert outcome(send(desk, sent)) == "skipped"
    assert desk.events("on-drift") == [("skipped", "resolved")]


def test_a_triggers_metric_is_an_alerts_name(desk: Desk) -> None:
    desk.trigger("on-drift", "wort", signal={"metric": "DriftTooHigh"})
    assert outcome(send(desk, notification(alert("DiskFull")))) == "skipped"
    assert outcome(send(desk, notification(alert("DiskFull"), alert()))) == "waiting"


@pytest.mark.parametrize(
    ("alerts", "events"),
    [
        ([{"status": "firing"}], 1),
        ([alert(fingerprint=None), alert(fingerprint=None, labels={"alertname": "Other", "n": [1]})], 2),
        ([{"status": "firing", "labels": [], "startsAt": 7, "fingerprint": {}}], 1),
        ([alert(fingerprint=str(each)) for each in range(300)], 100),
    ],
    ids=["nothing but a state", "no fingerprints", "odd types", "very many"],
)
def test_odd_alerts_are_told_apart_as_well_as_they_can_be(
    desk: Desk, alerts: list[dict[str, Any]], events: int
) -> None:
    desk.trigger("on-drift", "wort", signal={})
    assert outcome(send(desk, notification(*alerts))) == "waiting"
    assert len(desk.store.trigger_events("on-drift", limit=200)) == events


def _signalled(api: Api) -> Asking:
    desk = Desk(api.client(), api.store, api.client().application.extensions["retrain"].vault)
    desk.trigger("on-drift", "wort", signal={})
    desk.trigger("on-push", "wort", git={"repository": "*"})

    def post(body: bytes = as_bytes(DRIFT), name: str = "on-drift", kind: str = "application/json") -> TestResponse:
        return desk.client.post(f"/triggers/{name}/signal", data=body, content_type=kind)

    return Asking(
        PATH,
        sent={"json": DRIFT},
        others={
            "400": lambda: post(b"[]"),
            "422": lambda: post(b"{}"),
            "404": lambda: post(name="nobody"),
            "409": lambda: post(name="on-push"),
            "413": lambda: post(b" " * 1_000_001),
            "415": lambda: post(kind="text/plain"),
        },
    )


DOCUMENTED: Documented = {"POST /triggers/<name>/signal": _signalled}
