"""What every job store does for the sweep: sending, waking, giving up, signs of life. One suite, three stores."""

from collections import Counter
from dataclasses import replace

import pytest

from shared.errors import JobNotFound
from shared.jobs import Job, JobState
from shared.store import JobStore, WorkerBeat
from tests.support.jobs import (
    FAILED,
    HOST,
    QUEUES,
    SHORT_LEASE_SECONDS,
    SUCCEEDED,
    WAITED_TOO_LONG,
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


def _unsent(store: JobStore, **fields: object) -> str:
    """Submit a job whose message was not sent."""
    job_id = submit(store, **fields)
    store.unmark_sent(job_id)
    return job_id


def _take(store: JobStore, *, limit: int = 10, resend_after_seconds: float = LONG) -> list[str]:
    jobs = store.take_sendable(queues=QUEUES, limit=limit, resend_after_seconds=resend_after_seconds)
    return [job.id for job in jobs]


def _beat(host: str) -> WorkerBeat:
    return WorkerBeat(host=host, slots=2, queues={"default"}, runner="docker")


def test_a_submitted_job_counts_as_sent_until_its_sender_says_otherwise(store: JobStore) -> None:
    job_id = submit(store)
    assert _take(store) == []
    store.unmark_sent(job_id)
    assert _take(store) == [job_id]
    assert _take(store) == []


def test_a_message_that_nobody_took_is_sent_again_only_after_that_time(store: JobStore) -> None:
    job_id = _unsent(store)
    assert _take(store) == [job_id]
    assert _take(store, resend_after_seconds=LONG) == []
    wait_until(lambda: _take(store, resend_after_seconds=SHORT_LEASE_SECONDS) == [job_id])
    assert _take(store, resend_after_seconds=LONG) == []


def test_jobs_are_sent_by_priority_and_then_by_age(store: JobStore) -> None:
    older = _unsent(store, priority=4)
    urgent = _later(store, older, priority=9)
    newer = _later(store, urgent, priority=4)
    idle = _later(store, newer, priority=0)
    assert _take(store, limit=2) == [urgent, older]
    assert _take(store, limit=2) == [newer, idle]


def _later(store: JobStore, than: str, *, priority: int) -> str:
    """Submit a job with a later time, on a clock of milliseconds too."""
    earlier = store.get(than).queued_at
    wait_until(lambda: store.get(ended(store)).queued_at > earlier)
    return _unsent(store, priority=priority)


def test_only_waiting_jobs_of_the_asked_queues_are_sent(store: JobStore) -> None:
    _unsent(store, queue="gpu")
    claimed(store)
    ended(store)
    in_retry_wait(store)
    mine = _unsent(store)
    assert _take(store) == [mine]
    both = store.take_sendable(queues={"gpu", "default"}, limit=5, resend_after_seconds=LONG)
    assert [job.queue for job in both] == ["gpu"]
    assert store.take_sendable(queues=set(), limit=5, resend_after_seconds=0) == []


def test_a_sent_job_comes_with_what_a_sender_needs(store: JobStore) -> None:
    _unsent(store, experiment_name="wine", priority=6, labels={"team": "vision"})
    [job] = store.take_sendable(queues=QUEUES, limit=1, resend_after_seconds=LONG)
    assert (job.experiment_name, job.queue, job.priority) == ("wine", "default", 6)
    assert (job.state, job.labels, job.secret) == (JobState.QUEUED, {"team": "vision"}, None)


def test_a_job_whose_key_is_at_its_limit_is_not_sent(store: JobStore) -> None:
    holder = running(store, concurrency_key="model:iris")
    waiting = _unsent(store, concurrency_key="model:iris", priority=9)
    other = _unsent(store)
    assert _take(store) == [other]
    store.finish(holder, SUCCEEDED)
    assert _take(store) == [waiting]


def test_of_many_jobs_of_one_key_one_is_sent_at_a_time(store: JobStore) -> None:
    for _ in range(5):
        _unsent(store, concurrency_key="model:iris")
    [first] = _take(store)
    assert _take(store) == []
    store.finish(claim(store, first), SUCCEEDED)
    assert len(_take(store)) == 1


def test_a_limit_of_two_sends_two_jobs_of_a_key(make_store: MakeStore) -> None:
    store = make_store(limit_per_key=2)
    for _ in range(5):
        _unsent(store, concurrency_key="model:iris")
    assert len(_take(store)) == 2


def test_a_crowd_of_one_key_does_not_keep_the_others_waiting(store: JobStore) -> None:
    for _ in range(30):
        _unsent(store, concurrency_key="model:iris", priority=9)
    other = _unsent(store, priority=0)
    sent = wait_until(lambda: _take(store, limit=1), what="the first of the crowd")
    sent += wait_until(lambda: _take(store, limit=1), what="the one behind the crowd")
    assert other in sent


def test_twenty_sweeps_at_once_send_each_job_once(store: JobStore) -> None:
    jobs = {_unsent(store) for _ in range(10)}
    sent = Counter(job_id for taken in at_once(20, lambda _: _take(store, limit=5)) for job_id in taken)
    sent.update(_take(store, limit=20))
    assert set(sent) == jobs
    assert set(sent.values()) == {1}


def test_sending_and_claiming_at_once_lose_no_job(store: JobStore) -> None:
    jobs = [_unsent(store) for _ in range(10)]
    at_once(20, lambda n: _take(store) if n % 2 else try_claim(store, jobs[n // 2], host=f"host-{n}"))
    assert {store.get(job_id).state for job_id in jobs} == {JobState.STARTING}


def test_unmarking_an_unknown_job_does_nothing(store: JobStore) -> None:
    store.unmark_sent("no-such-job")


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


def test_running_on_a_host_are_its_supervised_jobs_whatever_their_lease(store: JobStore) -> None:
    starting, released = claimed(store), running(store)
    store.release(released)
    ended(store)
    in_retry_wait(store)
    claim(store, submit(store), host="gpu-2")
    jobs = store.running_on(HOST)
    assert {job.id for job in jobs} == {starting.job.id, released.job.id}
    assert all(isinstance(job, Job) and len(job.attempts) == 1 for job in jobs)


def test_overdue_is_a_job_that_waited_too_long_for_its_first_attempt(store: JobStore) -> None:
    short = submit(store, queue_timeout_seconds=SHORT_LEASE_SECONDS)
    submit(store, queue_timeout_seconds=LONG)
    submit(store)
    claimed(store, queue_timeout_seconds=0)
    store.finish(claimed(store, queue_timeout_seconds=0), replace(FAILED, retry_in_seconds=0))
    wait_until(store.wake_retries)
    wait_until(lambda: list(store.find_overdue()) == [short])


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


def test_workers_live_as_long_as_they_give_signs_of_life(store: JobStore) -> None:
    assert store.live_workers(within_seconds=LONG) == 0
    for host in ("gpu-1", "gpu-2", "gpu-1"):
        store.beat(_beat(host))
    assert store.live_workers(within_seconds=LONG) == 2
    wait_until(lambda: store.live_workers(within_seconds=1) == 0)
    store.beat(_beat("gpu-1"))
    assert store.live_workers(within_seconds=1) == 1


def test_two_workers_of_one_name_that_start_at_once_count_as_one(store: JobStore) -> None:
    at_once(20, lambda _: store.beat(_beat("gpu-1")))
    assert store.live_workers(within_seconds=LONG) == 1


def test_a_worker_that_left_is_not_counted_and_may_leave_twice(store: JobStore) -> None:
    store.beat(_beat("gpu-1"))
    store.beat(_beat("gpu-2"))
    store.leave("gpu-1")
    store.leave("gpu-1")
    assert store.live_workers(within_seconds=LONG) == 1
    store.beat(_beat("gpu-1"))
    assert store.live_workers(within_seconds=LONG) == 2
