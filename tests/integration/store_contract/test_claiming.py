"""What every job store does for a supervising worker: claims, leases, fencing, endings. One suite, three stores."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.errors import LeaseLost
from shared.jobs.model import Job, JobState
from shared.jobs.records import Claim, Resolution
from shared.jobs.store import JobStore
from shared.scheduling.limits import Limits
from tests.support.jobs import (
    FAILED,
    HOST,
    SHORT_LEASE_SECONDS,
    SUCCEEDED,
    a_host,
    claim,
    claimed,
    ended,
    in_retry_wait,
    running,
    submit,
    try_claim,
)
from tests.support.stores import MakeStore
from tests.support.threads import at_once
from tests.support.waiting import wait_until

NEEDS_A_CLAIM: dict[str, Callable[[JobStore, Claim], object]] = {
    "renew": lambda store, held: store.renew(held, lease_seconds=600),
    "release": lambda store, held: store.release(held),
    "resolve": lambda store, held: store.resolve(held, Resolution(commit_sha="f" * 40, run_id="r")),
    "begin_start": lambda store, held: store.begin_start(held, lease_seconds=600),
    "started": lambda store, held: store.started(held, runner="docker", container="other"),
    "append_log": lambda store, held: store.append_log(held, b"late", source_offset=4),
    "finish": lambda store, held: store.finish(held, SUCCEEDED),
    "finish with retry": lambda store, held: store.finish(held, replace(FAILED, retry_in_seconds=1)),
    "secret": lambda store, held: store.secret(held),
}
each_write = pytest.mark.parametrize("write", NEEDS_A_CLAIM.values(), ids=NEEDS_A_CLAIM.keys())


def _orphaned(store: JobStore, job_id: str) -> bool:
    return job_id in store.find_orphans(host=HOST)


def _take_over(store: JobStore, job_id: str) -> Claim:
    wait_until(lambda: _orphaned(store, job_id))
    return claim(store, job_id)


def test_a_claim_starts_an_attempt_and_says_on_which_host(store: JobStore) -> None:
    job_id = submit(store)
    taken = claim(store, job_id)
    job = store.get(job_id)
    assert taken.job == job
    assert (job.state, job.host, job.started_at) == (JobState.STARTING, HOST, taken.attempt.started_at)
    assert (taken.attempt.number, taken.attempt.host, taken.attempt.ended_at) == (1, HOST, None)
    assert job.lease_expires_at == taken.attempt.started_at + timedelta(seconds=60)
    assert (job.transitions[-1].to_state, job.transitions[-1].attempt) == (JobState.STARTING, 1)


def test_twenty_claims_at_once_give_one_attempt(store: JobStore) -> None:
    job_id = submit(store)
    taken = at_once(20, lambda number: try_claim(store, job_id, host=f"host-{number}"))
    assert len([one for one in taken if one]) == 1
    assert len(store.get(job_id).attempts) == 1


def test_a_job_of_another_queue_is_not_claimed(store: JobStore) -> None:
    job_id = submit(store, queue="gpu")
    assert try_claim(store, job_id) is None
    assert try_claim(store, job_id, host=a_host(queues={"cpu", "gpu"})) is not None


def test_an_unknown_or_ended_job_is_not_claimed(store: JobStore) -> None:
    assert try_claim(store, "no-such-job") is None
    assert try_claim(store, ended(store)) is None


def test_of_five_jobs_of_one_key_twenty_workers_get_one(store: JobStore) -> None:
    jobs = [submit(store, concurrency_key="model:iris") for _ in range(5)]
    taken = at_once(20, lambda number: try_claim(store, jobs[number % 5], host=f"host-{number}"))
    assert len([one for one in taken if one]) == 1
    assert sorted(store.get(job_id).state for job_id in jobs) == [JobState.QUEUED] * 4 + [JobState.STARTING]


def test_a_limit_of_two_lets_two_jobs_of_a_key_run(make_store: MakeStore) -> None:
    store = make_store(limits=Limits(per_key=2))
    jobs = [submit(store, concurrency_key="model:iris") for _ in range(5)]
    taken = at_once(20, lambda number: try_claim(store, jobs[number % 5], host=f"host-{number}"))
    assert len([one for one in taken if one]) == 2


def test_a_refused_job_stays_queued_and_can_be_sent_as_soon_as_there_is_room(store: JobStore) -> None:
    holder = claimed(store, concurrency_key="model:iris")
    refused = submit(store, concurrency_key="model:iris")
    assert try_claim(store, refused) is None
    assert store.get(refused).state is JobState.QUEUED
    store.finish(holder, SUCCEEDED)
    sent = store.take_sendable(a_host(), resend_after_seconds=3600)
    assert [job.id for job in sent] == [refused]
    assert try_claim(store, refused) is not None


@pytest.mark.parametrize("end", [in_retry_wait, ended])
def test_a_job_that_does_not_run_leaves_its_keys_room(store: JobStore, end: Callable[..., str]) -> None:
    end(store, concurrency_key="model:iris")
    assert try_claim(store, submit(store, concurrency_key="model:iris")) is not None


def test_a_live_lease_keeps_everyone_out(store: JobStore) -> None:
    job_id = claimed(store).job.id
    assert try_claim(store, job_id) is None
    assert try_claim(store, job_id, host="gpu-2") is None
    assert not _orphaned(store, job_id)


def test_the_same_host_goes_on_with_an_attempt_whose_lease_has_ended(store: JobStore) -> None:
    first = running(store, lease_seconds=SHORT_LEASE_SECONDS)
    store.append_log(first, b"text", source_offset=6)
    second = _take_over(store, first.job.id)
    assert second.token > first.token
    assert (second.job.state, len(second.job.attempts)) == (JobState.RUNNING, 1)
    assert (second.attempt.container, second.attempt.log_source_offset) == (f"container of {first.job.id}", 6)
    last = second.job.transitions[-1]
    assert (last.from_state, last.to_state) == (JobState.RUNNING, JobState.RUNNING)
    assert HOST in last.reason


def test_another_host_never_takes_an_attempt_over(store: JobStore) -> None:
    job_id = running(store, lease_seconds=SHORT_LEASE_SECONDS).job.id
    wait_until(lambda: _orphaned(store, job_id))
    assert try_claim(store, job_id, host="gpu-2") is None
    assert store.find_orphans(host="gpu-2") == []


def test_a_released_attempt_is_taken_over_at_once_and_by_the_same_host_only(store: JobStore) -> None:
    first = running(store)
    store.release(first)
    assert _orphaned(store, first.job.id)
    assert try_claim(store, first.job.id, host="gpu-2") is None
    assert claim(store, first.job.id).attempt.number == 1


def test_twenty_takeovers_at_once_give_one_claim(store: JobStore) -> None:
    first = running(store)
    store.release(first)
    taken = at_once(20, lambda _: try_claim(store, first.job.id))
    assert len([one for one in taken if one]) == 1


def test_an_attempt_that_is_taken_over_does_not_count_twice_for_its_key(store: JobStore) -> None:
    first = running(store, concurrency_key="model:iris")
    store.release(first)
    assert try_claim(store, submit(store, concurrency_key="model:iris")) is None
    assert claim(store, first.job.id).job.id == first.job.id


@each_write
def test_after_a_takeover_the_old_claim_writes_nothing(
    store: JobStore, write: Callable[[JobStore, Claim], object]
) -> None:
    old = running(store, lease_seconds=SHORT_LEASE_SECONDS, secret=b"sealed")
    new = _take_over(store, old.job.id)
    before = _everything(store, new)
    with pytest.raises(LeaseLost) as caught:
        write(store, old)
    assert caught.value.facts == {"job_id": old.job.id}
    assert _everything(store, new) == before


@each_write
def test_after_a_release_the_claim_writes_nothing(store: JobStore, write: Callable[[JobStore, Claim], object]) -> None:
    held = running(store)
    store.release(held)
    before = store.get(held.job.id)
    with pytest.raises(LeaseLost):
        write(store, held)
    assert store.get(held.job.id) == before


@each_write
def test_after_the_end_the_claim_writes_nothing(store: JobStore, write: Callable[[JobStore, Claim], object]) -> None:
    held = running(store)
    store.finish(held, SUCCEEDED)
    before = store.get(held.job.id)
    with pytest.raises(LeaseLost):
        write(store, held)
    assert store.get(held.job.id) == before


@each_write
def test_a_claim_on_a_job_that_was_deleted_is_lost(store: JobStore, write: Callable[[JobStore, Claim], object]) -> None:
    held = claimed(store)
    gone = Claim(replace(held.job, id="no-such-job"), held.token)
    with pytest.raises(LeaseLost):
        write(store, gone)


def _everything(store: JobStore, held: Claim) -> tuple[Job, bytes, bytes | None]:
    log = store.read_log(held.job.id, attempt=1, offset=0, limit=1000)
    return store.get(held.job.id), log.data, store.secret(held)


def test_a_late_claim_that_nobody_took_over_still_counts(store: JobStore) -> None:
    held = running(store, lease_seconds=SHORT_LEASE_SECONDS)
    wait_until(lambda: _orphaned(store, held.job.id))
    store.renew(held, lease_seconds=600)
    assert not _orphaned(store, held.job.id)
    assert try_claim(store, held.job.id) is None
