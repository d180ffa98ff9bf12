"""Whatever is sent, rightly signed or not, is answered with no error of ours, and soon."""

import gzip
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from tests.support.growth import grows_faster_than_its_input
from tests.unit.api.hooks.senders import (
    COMMIT,
    GIT_HOSTS,
    WORD,
    Desk,
    as_bytes,
    evidently_report,
    evidently_report_before_0_7,
    from_mlflow,
    hex_hmac,
    notification,
    registry_change,
)

SIGNAL = "/triggers/on-drift/signal"
Sign = Callable[[bytes], dict[str, str]]
SIGNALS = {
    "alerts": notification(),
    "evidently": evidently_report(),
    "old evidently": evidently_report_before_0_7(),
    "number": {"metric": "drift_share", "value": 0.3},
}


def sign_signal(body: bytes) -> dict[str, str]:
    return {"X-Hub-Signature-256": f"sha256={hex_hmac(WORD, body)}"}


SENDERS: dict[str, tuple[str, Any, Sign]] = {
    **{name: (each.path, each.push(), partial(each.headers, each.secret)) for name, each in GIT_HOSTS.items()},
    "mlflow": ("/hooks/mlflow", registry_change(), partial(from_mlflow, WORD)),
    **{name: (SIGNAL, payload, sign_signal) for name, payload in SIGNALS.items()},
}
ODD = {
    "nothing": b"",
    "no object": b"[]",
    "half": b'{"ref": ',
    "deep": b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "deep objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "a name twice": b'{"ref": "refs/heads/main", "ref": "refs/heads/other"}',
    "NaN": b'{"value": NaN, "metric": "a"}',
    "infinite": b'{"value": -Infinity, "metric": "a"}',
    "huge number": b'{"value": ' + b"9" * 900_000 + b', "metric": "a"}',
    "half a character": b'{"ref": "\\ud800"}',
    "Latin-1": '{"ref": "refs/heads/é"}'.encode("latin-1"),
    "UTF-7": b"+AHs-",
    "zeros": b"\x00" * 1000,
    "compressed": gzip.compress(b"{}"),
    "too large": b'{"a": "' + b"x" * 1_000_000 + b'"}',
}


@pytest.fixture
def waiting(desk: Desk) -> Desk:
    """Triggers that wait for whatever is sent."""
    for number, secret in enumerate({each.secret for each in GIT_HOSTS.values()}):
        desk.trigger(f"on-push-{number}", secret, git={"repository": "*"})
    desk.trigger("on-version", WORD, registry={"model": "*"})
    desk.trigger("on-drift", WORD, signal={})
    return desk


def send(desk: Desk, path: str, body: bytes, sign: Sign) -> TestResponse:
    return desk.send(path, body, sign(body))


@pytest.mark.parametrize("sender", ["github", "gitlab", "gitlab signing", "gitea", "mlflow", "number"])
@pytest.mark.parametrize("odd", ODD)
def test_a_body_that_is_no_payload_is_refused(waiting: Desk, sender: str, odd: str) -> None:
    path, _, sign = SENDERS[sender]
    answer = send(waiting, path, ODD[odd], sign)
    assert answer.status_code in (400, 413), answer.text
    assert answer.mimetype == "application/problem+json"


@pytest.mark.parametrize("sender", ["github", "gitlab", "gitea", "mlflow", "number"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
    ids=str,
)
def test_what_is_not_sent_as_json_is_refused(waiting: Desk, sender: str, headers: dict[str, str]) -> None:
    path, payload, sign = SENDERS[sender]
    body = as_bytes(payload)
    answer = waiting.client.post(path, data=body, headers={**sign(body), **headers})
    assert (answer.status_code, (answer.json or {})["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("sender", ["github", "gitlab", "gitea", "mlflow", "number"])
def test_a_body_of_25_mb_is_refused_before_it_is_read(waiting: Desk, sender: str) -> None:
    class Unread:
        def read(self, *_: int) -> bytes:
            raise AssertionError("the body was read")

        readline = read

    path, payload, sign = SENDERS[sender]
    environ = {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": "25000000", "wsgi.input": Unread()}
    answer = waiting.client.post(path, headers=sign(as_bytes(payload)), environ_overrides=environ)
    assert answer.status_code == 413


SHAPES = [
    '{"a":[…0,…0]}',
    '{"ref":"…b…"}',
    '{"alerts":[…{"status":"firing","fingerprint":"a"},…{}]}',
    '{"alerts":[{"status":"firing","labels":{…"a":{},…"b":0}}]}',
    '{"metrics":[…{"metric_name":"DriftedColumnsCount","value":{"share":1}},…{}]}',
    '{"tests":[…{"status":"FAIL"},…{}]}',
    '{"value":0.…1…,"metric":"a"}',
    '{"value":1e…0…,"metric":"a"}',
    '{"repository":{"clone_url":"…a@…"}}',
    '{"data":{"name":"…\\u0007…"},"entity":"model_version","action":"created"}',
    '…{"a":…',
]


@pytest.mark.parametrize("sender", ["github", "number"])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_work_grows_no_faster_than_the_body(waiting: Desk, sender: str, shape: str) -> None:
    path, _, sign = SENDERS[sender]
    assert not grows_faster_than_its_input(lambda text: send(waiting, path, text.encode(), sign), shape, size=50_000)


NAMES = [
    *("ref", "after", "before", "deleted", "repository", "project", "clone_url", "git_http_url", "pushed_at", "pusher"),
    *("name", "login", "user_username", "object_kind", "entity", "action", "data", "version", "alias", "alerts"),
    *("status", "labels", "alertname", "fingerprint", "startsAt", "metrics", "tests", "metric", "metric_name", "value"),
    *("share", "count", "config", "type", "drift_share", "result", "dataset_drift", "share_of_drifted_columns"),
]
TEXTS = st.sampled_from(["push", "firing", "created", "model_version", "refs/heads/main", COMMIT]) | st.text(max_size=9)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)
CHANGES = st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=4)


def changed(payload: Any, changes: list[tuple[str, Any]]) -> Any:
    """The payload with other values under the names that it has somewhere, or else at its top."""
    if isinstance(payload, list):
        return [changed(each, changes) for each in payload]
    if not isinstance(payload, dict):
        return payload
    return {name: changed(value, changes) for name, value in payload.items()} | {
        name: value for name, value in changes if name in payload
    }


@pytest.mark.parametrize("sender", SENDERS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES, more=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=2))
def test_no_signed_payload_makes_the_api_fail(
    waiting: Desk, sender: str, changes: list[tuple[str, Any]], more: dict[str, Any]
) -> None:
    path, payload, sign = SENDERS[sender]
    answer = send(waiting, path, as_bytes({**changed(payload, changes), **more}), sign)
    assert answer.status_code in (200, 400, 401, 422), answer.text


HEADERS = [
    *("X-Hub-Signature-256", "X-GitHub-Event", "X-Gitlab-Token", "webhook-signature", "webhook-timestamp"),
    *("webhook-id", "Idempotency-Key", "X-Gitea-Signature", "X-Forgejo-Signature", "X-MLflow-Signature"),
    *("X-MLflow-Timestamp", "X-MLflow-Delivery-Id", "X-Grafana-Alerting-Signature", "X-Grafana-Alerting-Timestamp"),
    "Authorization",
]
NEARLY = ["sha256=" + "0" * 64, "0" * 64, "v1,AAAA v1,", "v1," + "A" * 43 + "=", "Bearer ", "Bearer a", "9" * 11, "-1"]
PRINTABLE = st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f")
WORDS = st.text(PRINTABLE, max_size=80) | st.sampled_from(NEARLY)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(headers=st.dictionaries(st.sampled_from(HEADERS), WORDS, max_size=6), sender=st.sampled_from([*SENDERS]))
def test_no_headers_prove_what_nobody_signed(waiting: Desk, headers: dict[str, str], sender: str) -> None:
    path, payload, _ = SENDERS[sender]
    assert waiting.send(path, as_bytes(payload), headers).status_code == 401
