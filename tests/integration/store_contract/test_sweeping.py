"""What every job store does for the sweep: sending, waking, giving up, signs of life. One suite, three stores."""

from dataclasses import replace

import pytest

from shared.errors import JobNotFound
from shared.jobs.model import Job, JobState
from shared.jobs.store import JobStore
from shared.scheduling.leases import CLOCK_SLACK, LONGEST_LEASE_SECONDS
from tests.support.clocks import HeldClock
from tests.support.jobs import (
    FAILED,
    HOST,
    SHORT_LEASE_SECONDS,
    SUCCEEDED,
    WAITED_TOO_LONG,
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

LONG = 3600.0
SLACK_SECONDS = CLOCK_SLACK.total_seconds()


def _unsent(store: JobStore, **fields: object) -> str:
    """Submit a job whose message was not sent."""
    job_id = submit(store, **fields)
    store.unmark_sent(job_id)
    return job_id


def _take(store: JobStore, *, limit: int = 10, resend_after_seconds: float = LONG) -> list[str]:
    jobs = store.take_sendable(a_host(slots=limit), resend_after_seconds=resend_after_seconds)
    return [job.id for job in jobs]


def test_retries_wake_when_their_time_has_come_and_once(store: JobStore) -> None:
    soon = store.finish(running(store), replace(FAILED, retry_in_seconds=SHORT_LEASE_SECONDS)).id
    later = in_retry_wait(store)
    assert wait_until(store.wake_retries) == 1
    assert store.wake_retries() == 0
    assert [store.get(job_id).state for job_id in (soon, later)] == [JobState.QUEUED, JobState.RETRY_WAIT]
    assert _take(store) == [soon]


def test_many_sweeps_at_once_wake_each_retry_once(store: JobStore) -> None:
    jobs = [in_retry_wait(store, seconds=0) for _ in range(5)]
    assert sum(at_once(10, lambda _: store.wake_retries())) + store.wake_retries() == 5
    for job_id in jobs:
        assert [t.to_state for t in store.get(job_id).transitions].count(JobState.QUEUED) == 2


def test_orphans_are_this_hosts_jobs_whose_lease_has_ended(store: JobStore) -> None:
    ending = running(store, lease_seconds=SHORT_LEASE_SECONDS).job.id
    held = running(store).job.id
    released = running(store)
    store.release(released)
    ended(store)
    in_retry_wait(store)
    submit(store)
    wait_until(lambda: set(store.find_orphans(host=HOST)) == {ending, released.job.id})
    assert held not in store.find_orphans(host=HOST)
    assert store.find_orphans(host="gpu-2") == []


def test_a_retry_does_not_wait_for_a_clock_that_was_set_back(make_store: MakeStore) -> None:
    clock = HeldClock()
    store = make_store(clock=clock)
    in_retry_wait(store, seconds=60)
    clock.pass_seconds(-SLACK_SECONDS)
    assert store.wake_retries() == 0

    clock.pass_seconds(-1)

    assert store.wake_retries() == 1


def test_a_dead_workers_lease_does_not_last_until_a_clock_that_was_set_back(make_store: MakeStore) -> None:
    clock = HeldClock()
    store = make_store(clock=clock)
    job_id = running(store, lease_seconds=LONGEST_LEASE_SECONDS).job.id
    clock.pass_seconds(-SLACK_SECONDS)
    assert (list(store.find_orphans(host=HOST)), try_claim(store, job_id)) == ([], None)

    clock.pass_seconds(-1)

    assert list(store.find_orphans(host=HOST)) == [job_id]
    assert try_claim(store, job_id) is not None


def test_a_run_that_was_left_open_is_found_until_it_is_noted_as_ended(store: JobStore) -> None:
    held = running(store)
    store.finish(held, replace(FAILED, leaves_run_open=True))
    ended(store)
    assert list(store.find_open_runs()) == [(held.job.id, 1)]

    store.note_run_ended(held.job.id, attempt=1)
    store.note_run_ended(held.job.id, attempt=1)

    assert list(store.find_open_runs()) == []


def test_the_run_of_a_failure_that_becomes_a_cancel_is_open(store: JobStore) -> None:
    failing, succeeding = running(store), running(store)
    for held in (failing, succeeding):
        store.cancel(held.job.id, force=False)
    store.finish(failing, FAILED)
    store.finish(succeeding, SUCCEEDED)

    assert list(store.find_open_runs()) == [(failing.job.id, 1)]


def test_open_runs_go_with_their_jobs(make_store: MakeStore) -> None:
    clock = HeldClock()
    store = make_store(clock=clock)
    store.finish(running(store), replace(FAILED, leaves_run_open=True))
    clock.pass_seconds(100)

    assert store.delete_ended(older_than_seconds=50, limit=10) == 1
    assert list(store.find_open_runs()) == []


def test_running_on_a_host_are_its_supervised_jobs_whatever_their_lease(store: JobStore) -> None:
    starting, released = claimed(store), running(store)
    store.release(released)
    ended(store)
    in_retry_wait(store)
    claim(store, submit(store), host="gpu-2")
    jobs = store.running_on(HOST)
    assert {job.id for job in jobs} == {starting.job.id, released.job.id}
    assert all(isinstance(job, Job) and len(job.attempts) == 1 for job in jobs)


def test_overdue_is_a_job_that_waited_too_long_for_its_attempt(store: JobStore) -> None:
    short = submit(store, queue_timeout_seconds=SHORT_LEASE_SECONDS)
    submit(store, queue_timeout_seconds=LONG)
    submit(store)
    claimed(store, queue_timeout_seconds=0)
    wait_until(lambda: list(store.find_overdue()) == [short])


def test_a_job_may_wait_as_long_again_for_each_attempt(make_store: MakeStore) -> None:
    clock = HeldClock()
    store = make_store(clock=clock)
    job_id = in_retry_wait(store, seconds=0, queue_timeout_seconds=60)
    clock.pass_seconds(50)
    assert store.wake_retries() == 1
    clock.pass_seconds(59)
    assert store.find_overdue() == []
    clock.pass_seconds(2)
    assert store.find_overdue() == [job_id]


def test_an_overdue_job_is_failed_once_with_the_reason(store: JobStore) -> None:
    job_id = submit(store, queue_timeout_seconds=0, secret=b"sealed")
    wait_until(lambda: list(store.find_overdue()) == [job_id])
    assert store.fail_unsupervised(job_id, WAITED_TOO_LONG)
    assert not store.fail_unsupervised(job_id, WAITED_TOO_LONG)
    job = store.get(job_id)
    assert (job.state, job.reason, job.attempts) == (JobState.FAILED, WAITED_TOO_LONG, ())
    assert job.ended_at == job.transitions[-1].at
    assert store.find_overdue() == []


def test_a_job_that_was_claimed_meanwhile_is_not_failed(store: JobStore) -> None:
    job_id = submit(store, queue_timeout_seconds=0)
    wait_until(lambda: list(store.find_overdue()) == [job_id])
    claim(store, job_id)
    assert not store.fail_unsupervised(job_id, WAITED_TOO_LONG)
    assert store.get(job_id).state is JobState.STARTING


def test_claiming_and_giving_up_at_once_have_one_winner(store: JobStore) -> None:
    for _ in range(10):
        job_id = submit(store, queue_timeout_seconds=0)
        taken, failed = at_once(2, lambda n: _claim_or_give_up(store, job_id, n))  # noqa: B023 - ended in this turn
        assert taken is not failed
        assert store.get(job_id).state is (JobState.STARTING if taken else JobState.FAILED)


def _claim_or_give_up(store: JobStore, job_id: str, number: int) -> bool:
    return try_claim(store, job_id) is not None if number == 0 else store.fail_unsupervised(job_id, WAITED_TOO_LONG)


def test_a_job_that_waits_for_a_retry_can_be_given_up(store: JobStore) -> None:
    job_id = in_retry_wait(store)
    assert store.fail_unsupervised(job_id, WAITED_TOO_LONG)
    assert store.get(job_id).state is JobState.FAILED


def test_giving_up_an_unknown_job_is_not_found(store: JobStore) -> None:
    with pytest.raises(JobNotFound):
        store.fail_unsupervised("no-such-job", WAITED_TOO_LONG)
