"""What every job store does for a supervising worker: claims, leases, fencing, endings. One suite, three stores."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.errors import Code, FailureType, JobNotFound, LeaseLost
from shared.jobs import Job, JobState, Reason
from shared.store import Claim, Ending, JobStore, Resolved
from tests.support.jobs import (
    DOCKER_AWAY,
    FAILED,
    HOST,
    QUEUES,
    SHORT_LEASE_SECONDS,
    SUCCEEDED,
    claim,
    claimed,
    ended,
    in_retry_wait,
    new_job,
    running,
    submit,
    try_claim,
)
from tests.support.stores import MakeStore
from tests.support.threads import at_once
from tests.support.waiting import wait_until

NEEDS_A_CLAIM: dict[str, Callable[[JobStore, Claim], object]] = {
    "renew": lambda store, held: store.renew(held, lease_seconds=3600),
    "release": lambda store, held: store.release(held),
    "resolve": lambda store, held: store.resolve(held, Resolved(commit_sha="f" * 40, run_id="r")),
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
    assert store.claim(job_id, host=HOST, queues={"cpu", "gpu"}, lease_seconds=60) is not None


def test_an_unknown_or_ended_job_is_not_claimed(store: JobStore) -> None:
    assert try_claim(store, "no-such-job") is None
    assert try_claim(store, ended(store)) is None


def test_of_five_jobs_of_one_key_twenty_workers_get_one(store: JobStore) -> None:
    jobs = [submit(store, concurrency_key="model:iris") for _ in range(5)]
    taken = at_once(20, lambda number: try_claim(store, jobs[number % 5], host=f"host-{number}"))
    assert len([one for one in taken if one]) == 1
    assert sorted(store.get(job_id).state for job_id in jobs) == [JobState.QUEUED] * 4 + [JobState.STARTING]


def test_a_limit_of_two_lets_two_jobs_of_a_key_run(make_store: MakeStore) -> None:
    store = make_store(limit_per_key=2)
    jobs = [submit(store, concurrency_key="model:iris") for _ in range(5)]
    taken = at_once(20, lambda number: try_claim(store, jobs[number % 5], host=f"host-{number}"))
    assert len([one for one in taken if one]) == 2


def test_a_refused_job_stays_queued_and_can_be_sent_as_soon_as_there_is_room(store: JobStore) -> None:
    holder = claimed(store, concurrency_key="model:iris")
    refused = submit(store, concurrency_key="model:iris")
    assert try_claim(store, refused) is None
    assert store.get(refused).state is JobState.QUEUED
    store.finish(holder, SUCCEEDED)
    sent = store.take_sendable(queues=QUEUES, limit=5, resend_after_seconds=3600)
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
def test_a_claim_on_a_job_that_is_gone_is_not_found(
    store: JobStore, write: Callable[[JobStore, Claim], object]
) -> None:
    held = claimed(store)
    gone = Claim(replace(held.job, id="no-such-job"), held.token)
    with pytest.raises(JobNotFound):
        write(store, gone)


def _everything(store: JobStore, held: Claim) -> tuple[Job, bytes, bytes | None]:
    log = store.read_log(held.job.id, attempt=1, offset=0, limit=1000)
    return store.get(held.job.id), log.data, store.secret(held)


def test_a_late_claim_that_nobody_took_over_still_counts(store: JobStore) -> None:
    held = running(store, lease_seconds=SHORT_LEASE_SECONDS)
    wait_until(lambda: _orphaned(store, held.job.id))
    store.renew(held, lease_seconds=3600)
    assert not _orphaned(store, held.job.id)
    assert try_claim(store, held.job.id) is None


def test_what_an_attempt_found_out_is_kept_and_not_unset(store: JobStore) -> None:
    held = claimed(store)
    store.resolve(held, Resolved(commit_sha="a" * 40, experiment_id="7"))
    store.resolve(held, Resolved(image="iris:1", image_id="sha256:1", run_id="run-1"))
    job = store.get(held.job.id)
    assert (job.commit_sha, job.experiment_id) == ("a" * 40, "7")
    assert (job.image, job.image_id, job.run_id) == ("iris:1", "sha256:1", "run-1")
    assert job.attempt.run_id == "run-1"


def test_starting_twice_changes_nothing_more(store: JobStore) -> None:
    held = running(store)
    before = store.get(held.job.id)
    store.started(held, runner="docker", container=f"container of {held.job.id}")
    assert store.get(held.job.id) == before
    assert (before.state, before.attempt.runner) == (JobState.RUNNING, "docker")


def test_a_success_ends_the_job_and_keeps_its_result(store: JobStore) -> None:
    held = running(store)
    job = store.finish(held, SUCCEEDED)
    assert job == store.get(held.job.id)
    assert (job.state, job.reason, job.result) == (JobState.SUCCEEDED, None, {"metrics": {"accuracy": 0.94}})
    assert (job.attempt.exit_code, job.attempt.ended_at, job.lease_expires_at) == (0, job.ended_at, None)


def test_a_failure_keeps_its_reason_on_the_job_and_on_the_attempt(store: JobStore) -> None:
    reason = Reason(Code.OOM_KILLED, FailureType.USER_ERROR, "Training used more memory than it may.")
    job = store.finish(running(store), Ending(JobState.FAILED, reason, exit_code=137, oom_killed=True))
    assert (job.state, job.reason, job.attempt.reason) == (JobState.FAILED, reason, reason)
    assert (job.attempt.exit_code, job.attempt.oom_killed) == (137, True)
    assert job.transitions[-1].reason == reason.message


def test_an_ending_that_cannot_follow_is_refused_and_writes_nothing(store: JobStore) -> None:
    held = running(store)
    before = store.get(held.job.id)
    with pytest.raises(AssertionError, match="cannot follow"):
        store.finish(held, Ending(JobState.QUEUED))
    assert store.get(held.job.id) == before


def test_numbers_that_json_cannot_carry_are_kept_by_name(store: JobStore) -> None:
    metrics = {"loss": float("nan"), "best": float("inf"), "worst": [float("-inf"), 0.5]}
    job = store.finish(running(store), Ending(JobState.SUCCEEDED, result={"metrics": metrics}))
    assert job.result == {"metrics": {"loss": "NaN", "best": "Infinity", "worst": ["-Infinity", 0.5]}}


def test_a_reason_with_the_last_bytes_of_a_broken_output_is_kept(store: JobStore) -> None:
    reason = Reason(Code.NONZERO_EXIT, FailureType.USER_ERROR, "Its last output: \x00\udcff!")
    job = store.finish(running(store), Ending(JobState.FAILED, reason, exit_code=1))
    assert job.reason is not None
    assert job.reason.message == "Its last output: \ufffd\ufffd!"


def test_what_has_ended_never_changes(store: JobStore) -> None:
    job_id = ended(store)
    before = store.get(job_id)
    assert try_claim(store, job_id) is None
    assert not store.fail_unsupervised(job_id, DOCKER_AWAY)
    assert store.wake_retries() == 0
    store.unmark_sent(job_id)
    assert store.take_sendable(queues=QUEUES, limit=5, resend_after_seconds=0) == []
    assert not _orphaned(store, job_id)
    assert store.get(job_id) == before


def test_a_retry_waits_then_queues_and_trains_the_same_commit_as_attempt_two(store: JobStore) -> None:
    first = running(store)
    store.resolve(first, Resolved(commit_sha="a" * 40, run_id="run-1"))
    waiting = store.finish(first, replace(FAILED, retry_in_seconds=SHORT_LEASE_SECONDS))
    assert (waiting.state, waiting.reason, waiting.ended_at) == (JobState.RETRY_WAIT, DOCKER_AWAY, None)
    assert waiting.attempt.ended_at is not None
    assert waiting.next_attempt_at == waiting.attempt.ended_at + timedelta(seconds=SHORT_LEASE_SECONDS)
    assert try_claim(store, first.job.id) is None
    wait_until(store.wake_retries)
    woken = store.get(first.job.id)
    assert (woken.state, woken.next_attempt_at) == (JobState.QUEUED, None)
    assert woken.queued_at > woken.created_at
    second = claim(store, first.job.id, host="gpu-2")
    assert (second.attempt.number, second.attempt.host, second.job.commit_sha) == (2, "gpu-2", "a" * 40)
    assert (second.job.reason, second.job.attempts[0].reason) == (None, DOCKER_AWAY)
    assert second.job.attempts[0].run_id == "run-1"
    assert second.job.started_at == first.job.started_at


def test_an_old_attempts_claim_cannot_write_to_the_next_attempt(store: JobStore) -> None:
    first = running(store)
    store.finish(first, replace(FAILED, retry_in_seconds=0))
    wait_until(store.wake_retries)
    claim(store, first.job.id)
    with pytest.raises(LeaseLost):
        store.append_log(first, b"late", source_offset=4)


def test_credentials_are_kept_through_a_retry_and_gone_after_the_end(store: JobStore) -> None:
    first = claimed(store, secret=b"sealed\x00\xff")
    assert store.secret(first) == b"sealed\x00\xff"
    store.finish(first, replace(FAILED, retry_in_seconds=0))
    wait_until(store.wake_retries)
    second = claim(store, first.job.id)
    assert store.secret(second) == b"sealed\x00\xff"
    store.finish(second, FAILED)
    with pytest.raises(LeaseLost):
        store.secret(second)


def test_a_job_without_credentials_has_none(store: JobStore) -> None:
    assert store.secret(claimed(store)) is None


def test_a_caller_that_changes_what_it_gave_changes_no_record(store: JobStore) -> None:
    request, result = {"parameters": {"alpha": 1}}, {"metrics": {"accuracy": 0.9}}
    held = claim(store, store.submit(new_job(request=request)).job.id)
    store.finish(held, Ending(JobState.SUCCEEDED, result=result))
    request["parameters"]["alpha"] = 2
    result["metrics"]["accuracy"] = 0.1
    job = store.get(held.job.id)
    assert (job.request, job.result) == ({"parameters": {"alpha": 1}}, {"metrics": {"accuracy": 0.9}})
