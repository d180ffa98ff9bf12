"""Reading and following a log with mypackage.client, over HTTP."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from mypackage.client import Client, JobHandle, Refused
from mypackage.client import log as client_log
from shared.errors import Code, FailureType
from shared.jobs.model import JobState, Reason
from shared.jobs.records import Claim, Ending
from tests.fakes.store import MemoryStore
from tests.support.servers.served_app import ServedApp, served
from tests.support.waiting import wait_until
from tests.unit.conftest import BODY, ClaimJob, MakeApp

INFRASTRUCTURE = Reason(Code.GIT_UNREACHABLE, FailureType.INFRASTRUCTURE, "no answer")


@pytest.fixture
def server(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedApp]:
    with served(make_app, monkeypatch) as start:
        yield start()


@pytest.fixture
def service(server: ServedApp) -> Client:
    return Client(server.url)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def append(store: MemoryStore, claim: Claim, text: str) -> None:
    store.append_log(claim, text.encode(), source_offset=0)


def test_a_log_is_its_lines(service: Client, store: MemoryStore, claim_job: ClaimJob) -> None:
    job = service.retrain(**BODY)
    assert list(job.logs()) == []
    append(store, claim_job(job.id), "ä\n\r\nno end")
    assert list(job.logs()) == list(job.logs(attempt=1)) == ["ä\n", "\r\n", "no end"]
    with pytest.raises(Refused, match="no attempt 2"):
        list(job.logs(attempt=2))


def test_a_large_log_is_read_to_its_end(service: Client, store: MemoryStore, claim_job: ClaimJob) -> None:
    job, text = service.retrain(**BODY), "".join(f"{n} {'x' * 99}\n" for n in range(25_000))
    append(store, claim_job(job.id), text)
    assert "".join(job.logs()) == text


class Follower:
    """Reads a log in a thread; ``seen`` is what it has got so far."""

    def __init__(self, job: JobHandle, threads: ThreadPoolExecutor) -> None:
        self.seen: list[tuple[int, str]] = []
        self._job = job
        self._done = threads.submit(self._read)

    def _read(self) -> None:
        for line in self._job.log_lines(follow=True):
            self.seen.append((line.attempt, line.text))

    def wait_for(self, count: int) -> None:
        wait_until(lambda: len(self.seen) >= count or self._done.done(), every_seconds=0.01)

    def result(self) -> list[tuple[int, str]]:
        self._done.result(30)
        return self.seen


def test_a_log_is_followed_through_attempts_and_a_restart_without_gap_or_repeat(
    server: ServedApp, service: Client, store: MemoryStore, claim_job: ClaimJob, threads: ThreadPoolExecutor
) -> None:
    job = service.retrain(**BODY)
    follower = Follower(job, threads)
    claim = claim_job(job.id)
    append(store, claim, "one\ntw")
    follower.wait_for(1)
    append(store, claim, "o\nend of 1")
    store.finish(claim, Ending(JobState.FAILED, reason=INFRASTRUCTURE, retry_in_seconds=0))
    follower.wait_for(3)
    store.wake_retries()
    claim = claim_job(job.id)
    append(store, claim, "three\n")
    follower.wait_for(4)
    server.stop()
    append(store, claim, "four €\n")
    server.start()
    follower.wait_for(5)
    append(store, claim, "five\n")
    store.finish(claim, Ending(JobState.SUCCEEDED))
    expected = [(1, "one\n"), (1, "two\n"), (1, "end of 1"), (2, "three\n"), (2, "four €\n"), (2, "five\n")]
    assert follower.result() == expected


def test_lines_that_come_with_the_end_right_after_a_read_are_not_lost(
    service: Client, store: MemoryStore, claim_job: ClaimJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = service.retrain(**BODY)
    claim, read_part = claim_job(job.id), client_log.read_part

    def read_before_the_end(*asked: Any, **where: Any) -> client_log.LogPart:
        part = read_part(*asked, **where)
        if not store.get(job.id).state.is_terminal:
            append(store, claim, "last\n")
            store.finish(claim, Ending(JobState.SUCCEEDED))
        return part

    monkeypatch.setattr(client_log, "read_part", read_before_the_end)
    assert list(job.logs(follow=True)) == ["last\n"]


def test_following_an_ended_job_begins_with_its_last_attempt(
    service: Client, store: MemoryStore, claim_job: ClaimJob
) -> None:
    made = service.retrain(**BODY)
    for number in (1, 2):
        claim = claim_job(made.id)
        append(store, claim, f"attempt {number}\n")
        store.finish(claim, Ending(JobState.FAILED, reason=INFRASTRUCTURE, retry_in_seconds=0 if number == 1 else None))
        store.wake_retries()
    assert list(service.job(made.id).logs(follow=True)) == ["attempt 2\n"]
    assert list(service.job(made.id).logs(follow=True, attempt=1)) == ["attempt 1\n"]
    assert list(made.logs(follow=True)) == ["attempt 1\n", "attempt 2\n"]


def test_following_a_job_that_never_started_ends(service: Client) -> None:
    job = service.retrain(**BODY)
    job.cancel()
    assert list(job.logs(follow=True)) == []
    with pytest.raises(Refused, match="no attempt 1"):
        list(job.logs(follow=True, attempt=1))
