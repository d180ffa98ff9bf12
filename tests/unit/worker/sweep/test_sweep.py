"""The sweep: what keeps jobs moving when messages, workers or Redis are lost, on fakes."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from shared.errors import Code
from shared.jobs.model import JobState
from shared.scheduling.hosts import Machine
from tests.fakes.runner import FakeHost
from tests.fakes.store import MemoryStore
from tests.fakes.worker import LEASE_SECONDS, FakeWorker
from tests.support.jobs import claim, in_retry_wait
from tests.support.waiting import wait_until
from tests.unit.worker.sweep.leftovers import start_container

LONG_AGO = 3600


def later(worker: FakeWorker, seconds: float = LONG_AGO) -> None:
    worker.clock.shift_seconds += seconds


def test_a_job_whose_message_was_lost_is_sent_again(worker: FakeWorker) -> None:
    job_id = worker.submit()
    worker.sweep.once(reconcile=False)
    assert worker.queue.sent == []  # its message may be on its way

    later(worker)
    worker.sweep.once(reconcile=False)
    worker.sweep.once(reconcile=False)

    assert worker.queue.sent == [job_id]


def test_a_job_is_sent_when_redis_is_back(worker: FakeWorker) -> None:
    job_id = worker.submit()
    later(worker)
    worker.queue.down = True
    worker.sweep.once(reconcile=False)

    worker.queue.down = False
    worker.sweep.once(reconcile=False)

    assert worker.queue.sent == [job_id]


def test_no_more_is_sent_than_there_are_free_slots(tmp_path: Path) -> None:
    worker = FakeWorker.new(tmp_path, slots=3)
    for _ in range(5):
        worker.submit()
    claim(worker.store, worker.submit())
    later(worker)

    worker.sweep.send_next()

    assert len(worker.queue.sent) == 2


def test_a_slot_is_kept_for_an_attempt_that_lost_its_supervisor(tmp_path: Path) -> None:
    worker = FakeWorker.new(tmp_path, slots=1)
    orphan = worker.submit()
    claim(worker.store, orphan, lease_seconds=LEASE_SECONDS)
    worker.submit()
    later(worker)

    worker.sweep.once(reconcile=False)

    assert worker.queue.sent == [orphan]


def test_a_retry_is_queued_and_sent_when_its_wait_is_over(worker: FakeWorker) -> None:
    job_id = in_retry_wait(worker.store, seconds=60)
    worker.sweep.once(reconcile=False)
    assert worker.store.get(job_id).state is JobState.RETRY_WAIT

    later(worker)
    worker.sweep.once(reconcile=False)

    assert worker.store.get(job_id).state is JobState.QUEUED
    assert worker.queue.sent == [job_id]


def test_an_attempt_whose_worker_died_is_sent_when_its_lease_is_over(worker: FakeWorker) -> None:
    job_id = worker.submit()
    claim(worker.store, job_id, lease_seconds=LEASE_SECONDS)
    worker.sweep.once(reconcile=False)
    assert worker.queue.sent == []

    later(worker)
    worker.sweep.once(reconcile=False)

    assert worker.queue.sent == [job_id]


def test_no_more_that_lost_their_supervisor_are_sent_than_there_are_free_slots(tmp_path: Path) -> None:
    worker = FakeWorker.new(tmp_path, slots=4)
    orphans = [worker.submit() for _ in range(4)]
    for job_id in orphans:
        claim(worker.store, job_id, lease_seconds=LEASE_SECONDS)
    worker.here.slots = 2  # it was started again with fewer
    worker.active.add(orphans[0])
    later(worker)

    for _ in range(3):  # one that it may not take over must not hold up the others
        worker.sweep.once(reconcile=False)

    assert worker.queue.sent == orphans[1:]


def test_an_attempt_that_this_worker_supervises_is_not_sent_though_its_lease_is_over(worker: FakeWorker) -> None:
    job_id = worker.submit()
    claim(worker.store, job_id, lease_seconds=LEASE_SECONDS)
    worker.active.add(job_id)
    later(worker)

    worker.sweep.once(reconcile=False)

    assert worker.queue.sent == []


def test_an_attempt_of_another_host_is_left_to_that_host(worker: FakeWorker) -> None:
    claim(worker.store, worker.submit(), host="gpu-2", lease_seconds=LEASE_SECONDS)
    later(worker)

    worker.sweep.once(reconcile=False)

    assert worker.queue.sent == []


def test_an_attempt_of_a_queue_that_its_host_serves_no_more_still_comes_back_to_it(worker: FakeWorker) -> None:
    job_id = worker.submit()
    claim(worker.store, job_id, lease_seconds=LEASE_SECONDS)
    later(worker)
    following = worker.restarted(options={"worker_queues": frozenset({"cpu"})})

    following.sweep.once(reconcile=False)

    assert (following.queue.sent[-1], following.queue.hosts[-1]) == (job_id, following.here.name)


def test_what_a_sweep_sends_goes_to_its_own_host_which_may_take_it(worker: FakeWorker) -> None:
    job_id = worker.submit()
    worker.store.unmark_sent(job_id)
    worker.sweep.once(reconcile=False)
    assert (worker.queue.sent, worker.queue.hosts) == ([job_id], [worker.here.name])


def test_a_job_that_waited_too_long_fails_whatever_its_queue(worker: FakeWorker) -> None:
    job_id = worker.submit(job={"queue": "nobody-serves-it", "queue_timeout_seconds": 60})
    later(worker)

    worker.sweep.once(reconcile=False)

    job = worker.store.get(job_id)
    assert job.reason is not None
    assert (job.state, job.reason.code) == (JobState.FAILED, Code.QUEUE_TIMEOUT)
    assert [each.id for each in worker.reported] == [job_id]


def test_no_failing_step_keeps_the_others(worker: FakeWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = worker.submit()
    later(worker)

    def break_down() -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(worker.store, "wake_retries", break_down)
    worker.runner.is_available = False
    worker.sweep.once(reconcile=True)

    assert worker.queue.sent == [job_id]


def test_a_sweep_outlives_a_store_that_is_away(tmp_path: Path) -> None:
    worker = FakeWorker.new(tmp_path, sweep_seconds=0.005)
    job_id = worker.submit()
    later(worker)
    worker.store.down = True
    stopping = threading.Event()
    thread = threading.Thread(target=worker.sweep.run_until, args=(stopping,))
    thread.start()
    try:
        worker.store.down = False
        wait_until(lambda: worker.queue.sent == [job_id], timeout_seconds=5)
    finally:
        stopping.set()
        thread.join(5)
    assert not thread.is_alive()


def test_two_sweeps_send_a_job_once(worker: FakeWorker) -> None:
    job_id = worker.submit()
    later(worker)
    other = worker.restarted(host=FakeHost())

    worker.sweep.once(reconcile=True)
    other.sweep.once(reconcile=True)

    assert isinstance(other.store, MemoryStore)
    assert [*worker.queue.sent, *other.queue.sent] == [job_id]


def test_what_ran_before_a_restart_of_the_machine_goes_on_where_it_is_found_and_nowhere_else(
    worker: FakeWorker,
) -> None:
    before, after = Machine("file:1", "engine"), Machine("file:2", "engine")
    jobs = [worker.submit(job={"concurrency_key": key}) for key in ("found", "not found")]
    for job_id in jobs:
        host = replace(worker.here.now(), machine=before)
        assert worker.store.claim(job_id, host=host, lease_seconds=LEASE_SECONDS)
    start_container(worker, jobs[0])
    later(worker)

    again = worker.restarted(machine=after)
    again.sweep.once(reconcile=False)
    again.sweep.once(reconcile=False)

    assert set(again.queue.sent) == {jobs[0]}
