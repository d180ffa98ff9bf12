"""What every job store does with a cancel, in each state. One suite, three stores."""

import pytest

from shared.errors import Code, JobEnded, JobNotFound
from shared.jobs.model import JobState
from shared.jobs.store import JobStore
from tests.support.jobs import (
    DOCKER_AWAY,
    FAILED,
    HOST,
    SUCCEEDED,
    claimed,
    ended,
    in_retry_wait,
    running,
    submit,
    try_claim,
)


def test_a_queued_job_ends_at_once_and_is_never_claimed(store: JobStore) -> None:
    job_id = submit(store, secret=b"sealed")
    job = store.cancel(job_id, force=False)
    assert (job.state, job.reason and job.reason.code) == (JobState.CANCELLED, Code.USER_CANCELLED)
    assert job.ended_at is not None
    assert try_claim(store, job_id) is None


def test_a_job_that_waits_for_its_next_attempt_ends_at_once(store: JobStore) -> None:
    job_id = in_retry_wait(store, seconds=0)
    assert store.cancel(job_id, force=False).state is JobState.CANCELLED
    assert store.wake_retries() == 0


@pytest.mark.parametrize("begin", [claimed, running])
def test_a_supervised_job_is_cancelling_until_its_attempt_ends(store: JobStore, begin: object) -> None:
    claim = begin(store)  # type: ignore[operator]
    job_id = claim.job.id
    assert store.cancel(job_id, force=False).state is JobState.CANCELLING
    store.started(claim, runner="docker", container="c1")
    assert store.get(job_id).state is JobState.CANCELLING
    assert store.get(job_id).attempt.container == "c1" if begin is claimed else True
    job = store.finish(claim, FAILED)
    assert (job.state, job.reason and job.reason.code) == (JobState.CANCELLED, Code.USER_CANCELLED)


def test_a_job_that_is_starting_may_begin_and_keeps_its_lease_meanwhile(store: JobStore) -> None:
    claim = claimed(store)
    assert store.begin_start(claim, lease_seconds=600)
    lease_expires_at = store.get(claim.job.id).lease_expires_at
    assert lease_expires_at is not None
    assert (lease_expires_at - claim.attempt.started_at).total_seconds() > 500


@pytest.mark.parametrize("force", [False, True])
def test_a_job_that_is_cancelled_before_its_start_never_begins(store: JobStore, force: bool) -> None:
    claim = claimed(store)
    store.cancel(claim.job.id, force=force)
    assert not store.begin_start(claim, lease_seconds=600)
    assert store.get(claim.job.id).state is JobState.CANCELLING


def test_a_cancelled_attempt_is_not_tried_again(store: JobStore) -> None:
    claim = running(store)
    store.cancel(claim.job.id, force=False)
    job = store.finish(claim, type(FAILED)(JobState.FAILED, DOCKER_AWAY, retry_in_seconds=1))
    assert (job.state, job.next_attempt_at) == (JobState.CANCELLED, None)


def test_a_success_stays_a_success(store: JobStore) -> None:
    claim = running(store)
    store.cancel(claim.job.id, force=False)
    assert store.finish(claim, SUCCEEDED).state is JobState.SUCCEEDED


def test_cancelling_twice_changes_nothing_but_may_add_force(store: JobStore) -> None:
    claim = running(store)
    first = store.cancel(claim.job.id, force=False)
    again = store.cancel(claim.job.id, force=False)
    assert (again.version, again.cancel_forced) == (first.version, False)
    assert store.cancel(claim.job.id, force=True).cancel_forced
    assert store.cancel(claim.job.id, force=False).cancel_forced


def test_an_ended_job_refuses_and_stays_as_it_was(store: JobStore) -> None:
    job_id = ended(store)
    before = store.get(job_id)
    with pytest.raises(JobEnded, match="succeeded"):
        store.cancel(job_id, force=True)
    assert store.get(job_id) == before


def test_an_unknown_job_is_not_found(store: JobStore) -> None:
    with pytest.raises(JobNotFound):
        store.cancel("nope", force=False)


def test_a_cancelling_job_without_a_supervisor_is_an_orphan_of_its_host(store: JobStore) -> None:
    claim = running(store)
    store.cancel(claim.job.id, force=False)
    store.release(claim)
    assert list(store.find_orphans(host=HOST)) == [claim.job.id]
    again = try_claim(store, claim.job.id)
    assert again is not None
    assert again.job.state is JobState.CANCELLING
