"""GET /jobs/<id>/logs?follow=1, as text and as server-sent events."""

from collections.abc import Callable, Iterator

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.live.following import PART_BYTES, Following, Part, Position
from shared.errors import Code, FailureType, StoreUnavailable
from shared.jobs.model import JobState, Reason
from shared.jobs.records import Claim, Ending, LogSlice
from tests.fakes.store import MemoryStore
from tests.support.event_stream import Event, lines_of, read_events
from tests.support.jobs import running
from tests.unit.conftest import ClaimJob, MakeApp, Submit

EVENTS = {"Accept": "text/event-stream"}
GONE = Reason(Code.GIT_UNREACHABLE, FailureType.INFRASTRUCTURE, "no answer")
PEER = "127.0.0.1"
TEXT = "".join(f"epoch {n}: ∑ ≈ 0,{n}€ 🙂\n" for n in range(40))


@pytest.fixture
def claim(submit: Submit, claim_job: ClaimJob) -> Claim:
    """A job at its first attempt."""
    return claim_job(submit()["id"])


def path(claim: Claim, query: str = "") -> str:
    return f"/jobs/{claim.job.id}/logs?{query}"


def print_lines(store: MemoryStore, claim: Claim, text: str) -> None:
    for line in text.splitlines(keepends=True):
        store.append_log(claim, line.encode(), source_offset=0)


def events_of(answer: TestResponse) -> Iterator[Event]:
    assert answer.content_type == "text/event-stream; charset=utf-8"
    return read_events(lines_of(answer.iter_encoded()))


def text_of(events: list[Event]) -> str:
    return "".join(f"{event.data}\n" for event in events if event.name == "message")


def is_retried(store: MemoryStore, claim: Claim, claim_job: ClaimJob) -> Claim:
    """The job's second attempt, after the first one has failed."""
    store.finish(claim, Ending(JobState.FAILED, reason=GONE, retry_in_seconds=0))
    store.wake_retries()
    return claim_job(claim.job.id)


def test_a_log_is_followed_as_text_until_the_job_has_ended(
    client: FlaskClient, claim: Claim, store: MemoryStore
) -> None:
    answer = client.get(path(claim, "follow=1"), buffered=False)
    assert answer.content_type == "text/plain; charset=utf-8"
    arriving = (piece for piece in answer.iter_encoded() if piece)
    for line in (b"one\n", b"two\n"):
        store.append_log(claim, line, source_offset=0)
        assert next(arriving) == line
    store.append_log(claim, b"no end", source_offset=0)
    store.finish(claim, Ending(JobState.SUCCEEDED))
    assert list(arriving) == [b"no end"]


def test_events_hold_whole_lines_and_say_how_the_job_ended(
    client: FlaskClient, claim: Claim, store: MemoryStore
) -> None:
    arriving = events_of(client.get(path(claim), headers=EVENTS, buffered=False))
    store.append_log(claim, "one €\ntw".encode(), source_offset=0)
    assert next(arriving) == Event("8", "message", "one €")
    store.append_log(claim, b"o\n\n", source_offset=0)
    assert next(arriving) == Event("13", "message", "two\n")
    store.append_log(claim, b"no end", source_offset=0)
    store.finish(claim, Ending(JobState.SUCCEEDED))
    assert list(arriving) == [
        Event("19", "message", "no end"),
        Event("19", "end", '{"state": "succeeded", "attempts": 1}'),
    ]


def test_a_stream_that_broke_off_behind_any_event_goes_on_without_gap_or_repeat(
    client: FlaskClient, claim: Claim, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.live.following.PART_BYTES", 100)
    print_lines(store, claim, TEXT)
    store.finish(claim, Ending(JobState.SUCCEEDED))
    seen, last = "", ""
    while True:
        headers = {**EVENTS, "Last-Event-ID": last}  # empty at first, as some clients send it
        event = next(events_of(client.get(path(claim, "offset=0"), headers=headers, buffered=False)))
        if event.name == "end":
            break
        seen, last = f"{seen}{event.data}\n", event.id
    assert seen == TEXT
    assert int(last) == len(TEXT.encode())


def test_later_attempts_follow_and_their_events_can_be_resumed(
    client: FlaskClient, claim: Claim, claim_job: ClaimJob, store: MemoryStore
) -> None:
    arriving = events_of(client.get(path(claim), headers=EVENTS, buffered=False))
    store.append_log(claim, b"first\n", source_offset=0)
    assert next(arriving).data == "first"
    second = is_retried(store, claim, claim_job)
    assert next(arriving) == Event("2:0", "attempt", "2")
    store.append_log(second, b"second\nthird\n", source_offset=0)
    store.finish(second, Ending(JobState.SUCCEEDED))
    assert [event.id for event in arriving] == ["2:13", "2:13"]

    resumed = list(events_of(client.get(path(claim), headers={**EVENTS, "Last-Event-ID": "2:7"})))
    assert [event.data for event in resumed] == ["third", '{"state": "succeeded", "attempts": 2}']
    from_first = list(events_of(client.get(path(claim), headers={**EVENTS, "Last-Event-ID": "0"})))
    assert text_of(from_first) == "first\nsecond\nthird\n"


def test_following_one_attempt_ends_with_that_attempt(
    client: FlaskClient, claim: Claim, claim_job: ClaimJob, store: MemoryStore
) -> None:
    store.append_log(claim, b"first\n", source_offset=0)
    store.append_log(is_retried(store, claim, claim_job), b"second\n", source_offset=0)
    assert client.get(path(claim, "follow=1&attempt=1")).text == "first\n"
    events = list(events_of(client.get(path(claim, "attempt=1"), headers=EVENTS)))
    assert [event.data for event in events] == ["first", '{"state": "starting", "attempts": 2}']


def test_a_job_that_never_started_has_nothing_to_follow(
    client: FlaskClient, submit: Submit, store: MemoryStore
) -> None:
    job = submit()
    store.cancel(job["id"], force=False)
    assert client.get(f"/jobs/{job['id']}/logs?follow=1").text == ""


def test_a_tail_is_followed_from_a_whole_character_on(client: FlaskClient, claim: Claim, store: MemoryStore) -> None:
    print_lines(store, claim, "a€\nb\n")
    store.finish(claim, Ending(JobState.SUCCEEDED))
    assert client.get(path(claim, "follow=1&tail=4")).text == "\nb\n"


def test_a_carriage_return_ends_a_line_of_an_event_as_receivers_see_it(
    client: FlaskClient, claim: Claim, store: MemoryStore
) -> None:
    store.append_log(claim, b"10%\r20%\r\nid: 7\n", source_offset=0)
    store.finish(claim, Ending(JobState.SUCCEEDED))
    first = next(events_of(client.get(path(claim), headers=EVENTS)))
    assert first == Event("15", "message", "10%\n20%\nid: 7")


def test_a_line_that_is_too_long_comes_in_pieces(client: FlaskClient, claim: Claim, store: MemoryStore) -> None:
    store.append_log(claim, b"x" * (PART_BYTES + 1), source_offset=0)
    arriving = (piece for piece in client.get(path(claim, "follow=1"), buffered=False).iter_encoded() if piece)
    assert len(next(arriving)) == PART_BYTES
    store.finish(claim, Ending(JobState.SUCCEEDED))
    assert list(arriving) == [b"x"]


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("follow=1&limit=100", {}, 422),
        ("", {**EVENTS, "Last-Event-ID": "x"}, 422),
        ("", {**EVENTS, "Last-Event-ID": "9" * 19}, 422),
        ("", {**EVENTS, "Last-Event-ID": "2:0"}, 404),
        ("follow=1&attempt=2", {}, 404),
        ("follow=perhaps", {}, 422),
    ],
)
def test_what_cannot_be_followed_is_refused(
    client: FlaskClient, claim: Claim, query: str, headers: dict[str, str], status: int
) -> None:
    assert client.get(path(claim, query), headers=headers).status_code == status


def test_an_event_of_another_attempt_than_the_one_that_is_asked_for_is_refused(
    client: FlaskClient, claim: Claim, store: MemoryStore
) -> None:
    store.finish(claim, Ending(JobState.SUCCEEDED))
    answer = client.get(path(claim, "attempt=1"), headers={**EVENTS, "Last-Event-ID": "2:7"})
    assert answer.status_code == 422
    [error] = (answer.json or {})["errors"]
    assert (error["pointer"], error["code"]) == ("/Last-Event-ID", "ANOTHER_ATTEMPT")
    assert error["message"] == "Last-Event-ID is of attempt 2, and attempt=1 is asked for; leave one of them out"
    assert client.get(path(claim, "attempt=1"), headers={**EVENTS, "Last-Event-ID": "1:0"}).status_code == 200


def test_so_many_follow_and_no_more_until_one_has_gone(make_app: MakeApp, submit: Submit, claim_job: ClaimJob) -> None:
    claim = claim_job(submit()["id"])
    client = make_app(api_followers=1).test_client()
    first = client.get(path(claim, "follow=1"), buffered=False)
    refused = client.get(path(claim, "follow=1"))
    assert (refused.status_code, (refused.json or {})["code"]) == (503, "TOO_MANY_FOLLOWERS")
    assert refused.headers["Retry-After"]
    assert client.get(path(claim)).status_code == 200
    first.close()
    client.get(path(claim, "follow=1"), buffered=False).close()
    client.head(path(claim, "follow=1")).close()
    assert client.get(path(claim, "follow=1"), buffered=False).status_code == 200


class CountingStore(MemoryStore):
    """Counts who reads logs, and can be away."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.is_away = False

    def read_log(self, job_id: str, *, attempt: int | None, offset: int, limit: int) -> LogSlice:
        self.reads += 1
        if self.is_away:
            raise StoreUnavailable("away")
        return super().read_log(job_id, attempt=attempt, offset=offset, limit=limit)


def following(store: MemoryStore, claim: Claim) -> Callable[[], Iterator[str]]:
    """Makes followers of the job; each gives the text that arrives, empty where there was none for a while."""
    followers = Following(store, limit=100, per_peer=100, per_caller=100)

    def follow() -> Iterator[str]:
        follower = followers.join(store.get(claim.job.id), peer=PEER, caller="me")
        news = follower.news(Position(1, 0), is_one_attempt=False)
        return (each.data.decode() if isinstance(each, Part) else "" for each in news)

    return follow


def test_many_followers_of_one_log_cost_one_reader() -> None:
    store = CountingStore()
    claim = running(store)
    print_lines(store, claim, TEXT)
    follow = following(store, claim)
    assert [next(follow()) for _ in range(50)] == [TEXT] * 50
    assert store.reads == 1


def test_a_store_that_is_away_is_waited_for() -> None:
    store = CountingStore()
    claim = running(store)
    store.append_log(claim, b"one\n", source_offset=0)
    arriving = following(store, claim)()
    store.is_away = True
    assert next(arriving) == ""
    store.is_away = False
    assert next(text for text in arriving if text) == "one\n"


def test_followers_are_sent_away_when_the_server_stops_and_when_the_job_is_deleted() -> None:
    store = MemoryStore()
    claim = running(store)
    followers = Following(store, limit=1, per_peer=1, per_caller=1)
    news = followers.join(store.get(claim.job.id), peer=PEER, caller="me").news(Position(1, 0), is_one_attempt=False)
    assert next(news) is None
    followers.stop()
    assert list(news) == []

    news = (
        Following(store, limit=1, per_peer=1, per_caller=1)
        .join(store.get(claim.job.id), peer=PEER, caller="me")
        .news(Position(1, 0), is_one_attempt=False)
    )
    store.finish(claim, Ending(JobState.SUCCEEDED))
    store.delete_ended(older_than_seconds=0, limit=10)
    assert [each for each in news if each] == []
