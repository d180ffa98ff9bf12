"""How many requests a caller may send, and what each answer says of it."""

import pytest
from flask.testing import FlaskClient

from api.access.buckets import Buckets, place_of
from tests.unit.conftest import MakeApp

ELSEWHERE = {"REMOTE_ADDR": "203.0.113.9"}


@pytest.fixture
def hasty(make_app: MakeApp) -> FlaskClient:
    """One that lets each caller send three requests, and one more after a second."""
    return make_app(api_tokens="first,second", caller_requests_per_second=1, caller_burst_seconds=3).test_client()


def statuses(client: FlaskClient, number: int, token: str) -> list[int]:
    asked = (client.get("/jobs", headers={"Authorization": f"Bearer {token}"}) for _ in range(number))
    return [each.status_code for each in asked]


def test_one_caller_uses_up_only_its_own_requests(hasty: FlaskClient) -> None:
    assert statuses(hasty, 4, "first") == [200, 200, 200, 429]
    assert statuses(hasty, 1, "second") == [200]


def test_what_is_left_is_said_in_each_answer_and_when_to_come_back_in_the_refusal(hasty: FlaskClient) -> None:
    headers = {"Authorization": "Bearer first"}
    answers = [hasty.get("/jobs", headers=headers) for _ in range(4)]
    assert [each.headers["RateLimit"] for each in answers[:2]] == ['"caller";r=2;t=1', '"caller";r=1;t=2']
    assert {each.headers["RateLimit-Policy"] for each in answers} == {'"caller";q=3;w=3'}
    refused = answers[-1]
    assert (refused.headers["Retry-After"], refused.headers["RateLimit"]) == ("1", '"caller";r=0;t=3')
    assert (refused.json or {})["code"] == "TOO_MANY_REQUESTS"
    assert "CALLER_REQUESTS_PER_SECOND" in (refused.json or {})["detail"]


def test_who_shows_nobody_is_counted_by_address(hasty: FlaskClient) -> None:
    def health(address: str) -> int:
        return hasty.get("/healthz", environ_base={"REMOTE_ADDR": address}).status_code

    assert [health("203.0.113.9") for _ in range(4)] == [200, 200, 200, 429]
    assert health("203.0.113.8") == 200
    assert [health("127.0.0.1") for _ in range(9)] == [200] * 9


def test_a_service_without_tokens_counts_nothing(make_app: MakeApp) -> None:
    client = make_app(caller_requests_per_second=1, caller_burst_seconds=1).test_client()
    answers = [client.get("/jobs") for _ in range(5)]
    assert {each.status_code for each in answers} == {200}
    assert "RateLimit" not in answers[0].headers


def test_nobody_is_limited_where_the_operator_wants_no_limit(make_app: MakeApp) -> None:
    client = make_app(api_tokens="first", caller_requests_per_second=0, caller_burst_seconds=1).test_client()
    assert statuses(client, 5, "first") == [200] * 5


def test_the_usual_limit_is_far_from_what_a_person_or_a_script_sends(make_app: MakeApp) -> None:
    assert set(statuses(make_app(api_tokens="first").test_client(), 500, "first")) == {200}


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_bucket_fills_again_up_to_its_size(clock: Clock) -> None:
    buckets = Buckets(2, 4, clock=clock)
    assert [buckets.take("a").is_let for _ in range(5)] == [True] * 4 + [False]
    clock.now += 0.5
    assert [buckets.take("a").is_let for _ in range(2)] == [True, False]
    clock.now += 1000
    assert [buckets.take("a").is_let for _ in range(5)] == [True] * 4 + [False]


def test_a_clock_that_goes_back_takes_nothing_away(clock: Clock) -> None:
    buckets = Buckets(1, 2, clock=clock)
    buckets.take("a")
    clock.now -= 1000
    assert buckets.take("a").is_let


def test_ever_new_names_take_no_more_memory(clock: Clock) -> None:
    buckets = Buckets(1, 1, most=10, clock=clock)
    for number in range(1000):
        buckets.take(str(number))
    assert len(buckets._levels) == 10


@pytest.mark.parametrize(
    ("one", "other", "are_one"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
    ],
)
def test_an_ipv6_customer_is_one_address(one: str, other: str, are_one: bool) -> None:
    assert (place_of(one) == place_of(other)) is are_one
