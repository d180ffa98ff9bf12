"""What the sweep removes of ended attempts, and what it leaves alone, on fakes."""

import pytest

from shared.errors import Code, InfrastructureError
from tests.fakes.worker import LEASE_SECONDS, FakeWorker
from tests.support.jobs import HOST, claim, in_retry_wait
from tests.unit.worker.sweep.leftovers import leave_folder, start_container
from worker.runners.seam import Handle


def test_what_ended_attempts_left_is_removed(worker: FakeWorker) -> None:
    left = start_container(worker, "an-ended-job")
    folder = leave_folder(worker, "retrain-an-ended-job-1")

    worker.sweep.once(reconcile=True)

    assert (worker.host.stopped, worker.host.removed) == ([left.name], [left.name])
    assert not folder.exists()


def test_what_belongs_to_a_live_claim_is_left_alone(worker: FakeWorker) -> None:
    job_id = worker.submit()
    claim(worker.store, job_id, lease_seconds=LEASE_SECONDS)
    start_container(worker, job_id)
    folder = leave_folder(worker, f"retrain-{job_id}-1")
    worker.clock.shift_seconds += LEASE_SECONDS + 1  # its lease is over; its container is still its own

    worker.sweep.once(reconcile=True)

    assert worker.host.stopped == []
    assert folder.exists()


def test_a_container_that_starts_during_the_look_is_left_alone(
    worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = worker.submit()
    running_on = worker.store.running_on

    def claim_meanwhile(host: str) -> object:
        found = running_on(host)
        if not found:
            claim(worker.store, job_id)
            start_container(worker, job_id)
        return found

    monkeypatch.setattr(worker.store, "running_on", claim_meanwhile)
    worker.sweep.reconcile()

    assert list(worker.host.attempts) == [f"retrain-{job_id}-1"]
    assert worker.host.stopped == []


def test_the_earlier_attempt_of_a_running_job_is_a_leftover(worker: FakeWorker) -> None:
    job_id = in_retry_wait(worker.store, seconds=0)
    worker.store.wake_retries()
    claim(worker.store, job_id, host=HOST)
    start_container(worker, job_id, attempt=1)
    start_container(worker, job_id, attempt=2)

    worker.sweep.once(reconcile=True)

    assert worker.host.removed == [f"retrain-{job_id}-1"]


def test_a_leftover_that_cannot_be_removed_does_not_keep_the_others(
    worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, other = start_container(worker, "a-stuck-job"), start_container(worker, "another-job")
    remove = worker.runner.remove

    def remove_most(handle: Handle) -> None:
        if handle == stuck:
            raise InfrastructureError(Code.CONTAINER_FAILED, "It is being held.")
        remove(handle)

    monkeypatch.setattr(worker.runner, "remove", remove_most)
    worker.sweep.once(reconcile=True)

    assert worker.host.removed == [other.name]


def test_a_folder_that_cannot_be_removed_does_not_keep_the_others(worker: FakeWorker) -> None:
    stuck = leave_folder(worker, ".no-attempt-s-name")
    other = leave_folder(worker, "retrain-an-ended-job-1")

    worker.sweep.once(reconcile=True)

    assert stuck.exists()
    assert not other.exists()
