"""What every job store does when somebody changes the priority of a job that waits. One suite, three stores."""

from collections.abc import Callable

import pytest

from shared.errors import JobNotFound, JobNotWaiting
from shared.jobs.store import JobStore
from tests.support.jobs import a_host, claimed, ended, in_retry_wait, running, submit, try_claim


def _unsent(store: JobStore, **fields: object) -> str:
    job_id = submit(store, **fields)
    store.unmark_sent(job_id)
    return job_id


def _next(store: JobStore) -> list[str]:
    return [job.id for job in store.take_sendable(a_host(slots=1), resend_after_seconds=3600)]


def test_the_order_in_which_jobs_are_sent_follows(store: JobStore) -> None:
    first, second, third = (_unsent(store, priority=priority) for priority in (5, 4, 3))
    changed = store.set_priority(third, 9)
    assert (changed.id, changed.priority, changed.version) == (third, 9, 2)
    store.set_priority(first, 0)
    assert [_next(store) for _ in range(3)] == [[third], [second], [first]]


def test_the_place_in_the_queue_follows(store: JobStore) -> None:
    first, second = (_unsent(store, priority=priority) for priority in (5, 4))
    store.set_priority(second, 6)
    assert [_position(store, job_id) for job_id in (first, second)] == [2, 1]


def _position(store: JobStore, job_id: str) -> int:
    place = store.find_queue_position(job_id)
    assert place is not None
    return place.position


def test_the_order_of_claims_of_one_key_follows(store: JobStore) -> None:
    first, second = (submit(store, priority=priority, concurrency_key="k") for priority in (5, 4))
    store.set_priority(second, 6)
    assert try_claim(store, first) is None
    assert try_claim(store, second) is not None


def test_a_job_that_waits_for_its_next_attempt_has_it_there(store: JobStore) -> None:
    job_id = in_retry_wait(store, seconds=0)
    store.set_priority(job_id, 9)
    store.wake_retries()
    assert store.get(job_id).priority == 9


def test_the_same_priority_again_changes_nothing(store: JobStore) -> None:
    job_id = submit(store, priority=4)
    assert store.set_priority(job_id, 4) == store.get(job_id)
    assert store.get(job_id).version == 1


@pytest.mark.parametrize("begin", [claimed, running])
def test_a_job_that_has_begun_keeps_its_own(store: JobStore, begin: Callable[[JobStore], object]) -> None:
    job_id = begin(store).job.id  # type: ignore[attr-defined]
    before = store.get(job_id)
    with pytest.raises(JobNotWaiting, match=f"{before.state}; only a job that waits"):
        store.set_priority(job_id, 9)
    assert store.get(job_id) == before


def test_so_does_one_that_has_ended(store: JobStore) -> None:
    job_id = ended(store)
    with pytest.raises(JobNotWaiting, match="has ended as succeeded"):
        store.set_priority(job_id, 9)
    with pytest.raises(JobNotFound):
        store.set_priority("no-such-job", 9)
