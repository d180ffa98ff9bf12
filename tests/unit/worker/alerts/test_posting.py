"""What an answer over HTTP means for an alert."""

import pytest

from worker.alerts.posting import Endpoint, judge
from worker.alerts.seam import Answer, Verdict

SENT, LATER, REFUSED, CLOSED = Verdict.SENT, Verdict.LATER, Verdict.REFUSED, Verdict.CLOSED


@pytest.mark.parametrize("status", [200, 201, 204])
def test_a_success_is_sent(status: int) -> None:
    assert judge(status, {}, b"") == Answer(SENT)


@pytest.mark.parametrize(("status", "verdict"), [(401, CLOSED), (403, CLOSED), (404, CLOSED)])
def test_a_wrong_address_is_closed(status: int, verdict: Verdict) -> None:
    assert judge(status, {}, b'{"message": "Unknown Webhook", "code": 10015}').verdict is verdict


@pytest.mark.parametrize("status", [400, 405, 413, 418])
def test_what_can_never_get_through_is_refused(status: int) -> None:
    assert judge(status, {"Location": "https://elsewhere.example"}, b"").verdict is REFUSED


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_an_alert_for_a_receiver_that_moved_waits_for_its_new_address(status: int) -> None:
    answer = judge(status, {"Location": "https://hooks.example/hunter2"}, b"")
    assert answer == Answer(LATER, f"HTTP {status}: the receiver has moved; set its new address")


@pytest.mark.parametrize("status", [500, 502, 503, 504, 599])
def test_a_broken_server_is_tried_again(status: int) -> None:
    assert judge(status, {}, b"<html>") == Answer(LATER, f"HTTP {status}")


def test_the_cause_names_status_and_code_and_nothing_that_the_other_side_wrote() -> None:
    assert judge(400, {}, b'{"message": "hunter2", "code": 50035}').cause == "HTTP 400, code 50035"


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"Retry-After": "3"}, b"", 3),
        ({}, b'{"retry_after": 0.65, "global": false}', 0.65),
        ({"Retry-After": "1"}, b'{"retry_after": 1.25}', 1.25),
        ({"Retry-After": "2", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": "2.5"}, b"{}", 2.5),
        ({"Retry-After": "Wed, 21 Oct 2037 07:28:00 GMT"}, b"[]", None),
        ({"Retry-After": "nan"}, b'{"retry_after": "soon"}', None),
        ({"Retry-After": "-5"}, b'{"retry_after": 1e999}', None),
        ({}, b"{" * 100_000, None),
    ],
)
def test_too_many_requests_wait_for_as_long_as_was_asked(
    headers: dict[str, str], body: bytes, seconds: float | None
) -> None:
    assert judge(429, headers, body) == Answer(LATER, "HTTP 429", seconds)


@pytest.mark.parametrize(("remaining", "seconds"), [("0", 1.8), ("1", None)])
def test_who_used_up_what_is_taken_at_a_time_waits_before_the_next_one(remaining: str, seconds: float | None) -> None:
    headers = {"X-RateLimit-Remaining": remaining, "X-RateLimit-Reset-After": "1.8"}
    assert judge(200, headers, b"{}") == Answer(SENT, pause_seconds=seconds)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/hunter2", "http://no such host/hunter2", "http://[::1/hunter2"])
def test_an_address_that_nobody_answers_at_is_tried_again_and_not_told(url: str) -> None:
    answer = Endpoint(url, {}, (0.5, 0.5)).post(b"{}", {})
    assert answer.verdict is LATER
    assert "hunter2" not in answer.cause
