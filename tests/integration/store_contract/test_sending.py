"""What every job store sends for a host: what could start there now, and nothing that a limit holds back."""

from collections import Counter

import pytest

from shared.jobs.model import JobState
from shared.jobs.store import JobStore
from shared.scheduling.hosts import Host, QueueCode
from shared.scheduling.limits import Limits
from tests.support.clocks import HeldClock
from tests.support.jobs import (
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

LONG = 3600.0
GPUS = ("0", "1", "2", "3")
GPU_HOST = a_host(gpus=GPUS)


def _unsent(store: JobStore, **fields: object) -> str:
    """Submit a job whose message was not sent."""
    job_id = submit(store, **fields)
    store.unmark_sent(job_id)
    return job_id


def _take(
    store: JobStore, *, limit: int = 10, resend_after_seconds: float = LONG, host: Host | None = None
) -> list[str]:
    jobs = store.take_sendable(host or a_host(slots=limit), resend_after_seconds=resend_after_seconds)
    return [job.id for job in jobs]


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


def test_a_job_that_is_tried_again_keeps_its_place(make_store: MakeStore) -> None:
    clock = HeldClock()
    store = make_store(clock=clock)
    first = in_retry_wait(store, seconds=30)
    clock.pass_seconds(1)
    later = _unsent(store)
    clock.pass_seconds(60)
    assert store.wake_retries() == 1
    position = store.find_queue_position(later)
    assert position is not None
    assert position.position == 2
    assert _take(store) == [first, later]


def _later(store: JobStore, than: str, *, priority: int) -> str:
    """Submit a job with a later time, on a clock of milliseconds too."""
    earlier = store.get(than).created_at
    wait_until(lambda: store.get(ended(store)).created_at > earlier)
    return _unsent(store, priority=priority)


def test_only_waiting_jobs_of_the_asked_queues_are_sent(store: JobStore) -> None:
    _unsent(store, queue="gpu")
    claimed(store)
    ended(store)
    in_retry_wait(store)
    mine = _unsent(store)
    assert _take(store) == [mine]
    both = store.take_sendable(a_host(queues={"gpu", "default"}), resend_after_seconds=LONG)
    assert [job.queue for job in both] == ["gpu"]
    assert store.take_sendable(a_host(queues=set()), resend_after_seconds=0) == []


def test_a_sent_job_comes_with_what_a_sender_needs(store: JobStore) -> None:
    _unsent(store, experiment_name="wine", priority=6, labels={"team": "vision"})
    [job] = store.take_sendable(a_host(slots=1), resend_after_seconds=LONG)
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
    store = make_store(limits=Limits(per_key=2))
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


def test_a_host_is_sent_no_more_than_its_free_slots(store: JobStore) -> None:
    claimed(store)
    for _ in range(5):
        _unsent(store)
    assert len(_take(store, limit=3)) == 2
    assert _take(store, limit=1) == []


def test_a_closed_host_is_sent_nothing(store: JobStore) -> None:
    job_id = _unsent(store)
    assert _take(store, host=a_host(closed_because=QueueCode.DISK_FULL)) == []
    assert _take(store) == [job_id]


def test_messages_under_way_count_for_the_total_limit(make_store: MakeStore) -> None:
    store = make_store(limits=Limits(total=3))
    running(store)
    for _ in range(5):
        _unsent(store)
    assert len(_take(store, limit=2)) == 1
    assert len(_take(store)) == 1
    assert _take(store) == []


@pytest.mark.parametrize("crowd", [99, 101, 201])
def test_an_eligible_job_is_found_behind_any_crowd_of_one_key(store: JobStore, crowd: int) -> None:
    running(store, concurrency_key="model:iris")
    for _ in range(crowd):
        _unsent(store, concurrency_key="model:iris", priority=9)
    behind = _unsent(store, priority=0)
    assert _take(store) == [behind]


def test_an_eligible_job_is_found_behind_a_crowd_that_waits_for_gpus(make_store: MakeStore) -> None:
    store = make_store(limits=Limits(per_key=1000))
    claim(store, submit(store, gpus=3), host=GPU_HOST)
    for number in range(150):
        _unsent(store, gpus=2 + number % 4, priority=9)
    one, none = _unsent(store, gpus=1, priority=2), _unsent(store, priority=1)
    assert _take(store, host=GPU_HOST) == [one, none]


def test_jobs_are_sent_in_order_over_many_pages(make_store: MakeStore) -> None:
    clock = HeldClock()
    store = make_store(limits=Limits(per_key=1), clock=clock)
    keys = [f"key {number % 120}" for number in range(240)]
    jobs = []
    for number, key in enumerate(keys):
        clock.pass_seconds(0.01 if number % 3 else 0)  # some of one moment
        jobs.append(_unsent(store, concurrency_key=key))
    sent = _take(store, limit=500)
    assert set(sent) == set(jobs[:120])
    order = [(store.get(job_id).created_at, job_id) for job_id in sent]
    assert order == sorted(order)


def test_only_as_many_gpu_jobs_are_sent_as_the_host_has_free_gpus_for(store: JobStore) -> None:
    claim(store, submit(store, gpus=1), host=GPU_HOST)
    jobs = [_unsent(store, gpus=2, priority=9), _unsent(store, gpus=2, priority=8), _unsent(store, gpus=1)]
    assert _take(store, host=GPU_HOST) == [jobs[0], jobs[2]]
    assert _take(store) == []


def test_what_gpus_are_kept_for_goes_first_and_small_jobs_behind_it_are_not_sent(make_store: MakeStore) -> None:
    clock = HeldClock()
    store = make_store(clock=clock)
    holder = claim(store, submit(store, gpus=1), host=GPU_HOST)
    big = _unsent(store, gpus=4)
    clock.pass_seconds(601)
    small, plain = _unsent(store, gpus=1), _unsent(store)
    assert _take(store, host=GPU_HOST) == [plain]
    store.finish(holder, SUCCEEDED)
    assert _take(store, host=GPU_HOST) == [big]
    claim(store, big, host=GPU_HOST)
    assert _take(store, host=GPU_HOST) == []
    assert _take(store, host=a_host("gpu-2", gpus=GPUS)) == [small]


def test_many_sweeps_at_once_send_one_job_of_a_key(make_store: MakeStore) -> None:
    store = make_store(limits=Limits(per_key=1, total=7))
    for number in range(60):
        _unsent(store, concurrency_key=f"key {number % 6}")
    taken = at_once(16, lambda number: _take(store, host=a_host(f"host-{number}", slots=2)))
    sent = Counter(store.get(job_id).concurrency_key for jobs in taken for job_id in jobs)
    assert set(sent.values()) == {1}
    assert len(sent) == 6


def test_a_message_that_was_sent_before_the_clock_was_set_back_is_sent_again(make_store: MakeStore) -> None:
    clock = HeldClock()
    store = make_store(clock=clock)
    job_id = submit(store)
    clock.pass_seconds(-LONG)

    assert _take(store, resend_after_seconds=15) == [job_id]
    assert _take(store, resend_after_seconds=15) == []
