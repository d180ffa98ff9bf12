"""What every job store keeps of where a job came from, and how it deletes what has ended."""

import pytest

from shared.errors import JobNotFound
from shared.jobs.model import JobState
from shared.jobs.records import JobFilter, Resolution
from shared.jobs.store import JobStore
from shared.scheduling.limits import Limits
from tests.support.clocks import HeldClock
from tests.support.jobs import (
    DOCKER_AWAY,
    FAILED,
    SUCCEEDED,
    claim,
    claimed,
    ended,
    in_retry_wait,
    new_job,
    running,
    submit,
)
from tests.support.stores import MakeStore

DAY_SECONDS = 86400.0


@pytest.fixture
def clock() -> HeldClock:
    """The time of ``aged``."""
    return HeldClock()


@pytest.fixture
def aged(make_store: MakeStore, clock: HeldClock) -> JobStore:
    """A store that goes by ``clock``."""
    return make_store(clock=clock, limits=Limits(per_key=9))


def _ids(store: JobStore) -> set[str]:
    return {job.id for job in store.list(JobFilter(), limit=100)}


def test_a_repeated_job_names_the_one_it_repeats_and_keeps_its_pinned_commit(store: JobStore) -> None:
    first = ended(store)
    job = store.submit(new_job(retry_of=first, commit_sha="a" * 40, gpus=2)).job
    assert (job.retry_of, job.commit_sha, job.gpus) == (first, "a" * 40, 2)
    assert store.get(job.id) == job
    plain = store.get(first)
    assert (plain.retry_of, plain.commit_sha, plain.gpus) == (None, None, 0)


def test_a_pinned_commit_stays_when_an_attempt_found_the_rest(store: JobStore) -> None:
    held = claim(store, submit(store, commit_sha="a" * 40))
    assert held.job.commit_sha == "a" * 40
    store.resolve(held, Resolution(image="iris:1"))
    assert store.get(held.job.id).commit_sha == "a" * 40


def test_a_job_tells_that_it_came_with_credentials_after_they_are_gone(store: JobStore) -> None:
    held = claimed(store, secret=b"sealed")
    assert held.job.had_secret
    store.finish(held, SUCCEEDED)
    assert store.get(held.job.id).had_secret
    assert not store.get(ended(store)).had_secret


def test_what_ended_long_ago_is_deleted_with_all_that_is_kept_of_it(aged: JobStore, clock: HeldClock) -> None:
    new = new_job(labels={"team": "vision"})
    aged.submit(new, idempotency_key="key", payload_hash="hash")
    held = claim(aged, new.id)
    aged.append_log(held, b"text", source_offset=4)
    aged.finish(held, SUCCEEDED)
    clock.pass_seconds(DAY_SECONDS)
    kept = ended(aged)
    assert aged.delete_ended(older_than_seconds=DAY_SECONDS, limit=10) == 1
    assert _ids(aged) == {kept}
    for read in (aged.get, lambda job_id: aged.read_log(job_id, attempt=1, offset=0, limit=9)):
        with pytest.raises(JobNotFound):
            read(new.id)
    assert aged.list(JobFilter(label=("team", None)), limit=9) == []
    again = aged.submit(new_job(), idempotency_key="key", payload_hash="another hash")
    assert again.created


def test_only_jobs_that_have_ended_are_deleted(aged: JobStore, clock: HeldClock) -> None:
    kept = {
        submit(aged),
        claimed(aged).job.id,
        running(aged).job.id,
        in_retry_wait(aged, seconds=1),
        aged.cancel(running(aged).job.id, force=False).id,
    }
    gone = {ended(aged), aged.finish(running(aged), FAILED).id, aged.cancel(submit(aged), force=False).id}
    given_up = submit(aged)
    aged.fail_unsupervised(given_up, DOCKER_AWAY)
    clock.pass_seconds(DAY_SECONDS)
    assert aged.delete_ended(older_than_seconds=0, limit=100) == len(gone) + 1
    assert _ids(aged) == kept


def test_the_oldest_go_first_and_no_more_than_asked_for(aged: JobStore, clock: HeldClock) -> None:
    jobs = []
    for _ in range(5):
        jobs.append(ended(aged))
        clock.pass_seconds(60)
    assert aged.delete_ended(older_than_seconds=30, limit=2) == 2
    assert _ids(aged) == set(jobs[2:])
    assert aged.delete_ended(older_than_seconds=90, limit=10) == 2
    assert _ids(aged) == {jobs[4]}
    assert aged.delete_ended(older_than_seconds=90, limit=10) == 0


def test_a_job_that_repeats_a_deleted_one_stays(aged: JobStore, clock: HeldClock) -> None:
    first = ended(aged)
    clock.pass_seconds(DAY_SECONDS)
    second = submit(aged, retry_of=first)
    assert aged.delete_ended(older_than_seconds=1, limit=10) == 1
    assert (aged.get(second).retry_of, aged.get(second).state) == (first, JobState.QUEUED)
