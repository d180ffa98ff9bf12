"""What every job store keeps of an attempt's course and end: inputs, results, reasons, retries, credentials."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.errors import Code, FailureType, LeaseLost
from shared.jobs.model import JobState, Reason
from shared.jobs.records import Ending, Resolution
from shared.jobs.store import JobStore
from tests.support.jobs import (
    DOCKER_AWAY,
    FAILED,
    HOST,
    SHORT_LEASE_SECONDS,
    SUCCEEDED,
    a_host,
    claim,
    claimed,
    ended,
    new_job,
    running,
    try_claim,
)
from tests.support.waiting import wait_until


def test_what_an_attempt_found_out_is_kept_and_not_unset(store: JobStore) -> None:
    held = claimed(store)
    store.resolve(held, Resolution(commit_sha="a" * 40, experiment_id="7"))
    store.resolve(held, Resolution(image="iris:1", image_id="sha256:1", run_id="run-1"))
    store.resolve(held, Resolution(dataset_repo="https://host/data.git@main", base_model_version="3"))
    job = store.get(held.job.id)
    assert (job.commit_sha, job.experiment_id) == ("a" * 40, "7")
    assert (job.image, job.image_id, job.run_id) == ("iris:1", "sha256:1", "run-1")
    assert job.attempt.run_id == "run-1"
    assert (job.dataset_repo, job.base_model_version) == ("https://host/data.git@main", "3")


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
    assert store.take_sendable(a_host(), resend_after_seconds=0) == []
    assert store.find_orphans(host=HOST) == []
    assert store.get(job_id) == before


def test_a_retry_waits_then_queues_and_trains_the_same_commit_as_attempt_two(store: JobStore) -> None:
    first = running(store)
    store.resolve(first, Resolution(commit_sha="a" * 40, run_id="run-1"))
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
