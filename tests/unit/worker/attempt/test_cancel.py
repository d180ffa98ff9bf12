"""Cancelling an attempt, on fakes: stopped, killed, or faster than the cancel."""

import threading
from collections.abc import Callable

import pytest

from shared.errors import Code
from shared.jobs.model import JobState
from shared.jobs.records import Claim
from tests.fakes.runner import Script
from tests.fakes.worker import TOKEN, FakeWorker
from tests.support.supervising import HANGING, code_of, ended, name_of, stop_at
from tests.support.waiting import wait_until
from worker.interruption import Interruption
from worker.tracking.client import Run
from worker.tracking.run_tags import RunRequest


def cancel_at(worker: FakeWorker, job_id: str, number: int, *, force: bool = False) -> None:
    def cancel(poll: int) -> None:
        if poll == number:
            worker.store.cancel(job_id, force=force)

    worker.runner.before_poll = cancel


def test_a_cancelled_training_is_stopped_with_a_grace_and_ends_cancelled(worker: FakeWorker) -> None:
    worker.runner.plan = HANGING
    job_id = worker.submit()
    cancel_at(worker, job_id, 3)

    job = ended(worker.run(job_id))

    assert (job.state, code_of(job)) == (JobState.CANCELLED, Code.USER_CANCELLED)
    assert [run.status for run in worker.tracking.runs.values()] == ["KILLED"]
    assert worker.host.removed == [name_of(job_id)]


def test_a_training_that_ignores_sigterm_is_killed_and_ends_cancelled(worker: FakeWorker) -> None:
    worker.runner.plan = Script(hangs=True, on_sigterm=None)
    job_id = worker.submit(retry={"max_attempts": 3, "on": ["user_error", "cancelled"]})
    cancel_at(worker, job_id, 2, force=True)

    job = ended(worker.run(job_id))

    assert (job.state, len(job.attempts), job.attempt.exit_code) == (JobState.CANCELLED, 1, 137)


def test_a_training_that_succeeds_while_it_is_cancelled_has_succeeded(worker: FakeWorker) -> None:
    worker.runner.plan = Script(outputs=[b"accuracy: 0.94\n"], hangs=True, on_sigterm=0)
    job_id = worker.submit()
    cancel_at(worker, job_id, 2)

    assert ended(worker.run(job_id)).state is JobState.SUCCEEDED


def test_a_job_cancelled_while_no_worker_was_up_is_stopped_by_the_next_one(worker: FakeWorker) -> None:
    worker.runner.plan = HANGING
    job_id = worker.submit()
    stop_at(worker, 2)
    assert worker.run(job_id) is None
    worker.store.cancel(job_id, force=False)

    after = worker.restarted()
    job = ended(after.run(job_id))

    assert job.state is JobState.CANCELLED
    assert worker.host.removed == [name_of(job_id)]


def test_a_job_cancelled_while_it_is_prepared_does_not_go_on_training(worker: FakeWorker) -> None:
    worker.runner.plan = HANGING
    job_id = worker.submit()
    cancel_at(worker, job_id, 1)

    assert ended(worker.run(job_id)).state is JobState.CANCELLED


class Slow:
    """A step of the preparation that takes for ever: it says that it has begun, and goes on as the test says."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        self._meanwhile = meanwhile
        self.goes_on = threading.Event()

    def looking(self, interruption: Interruption) -> None:
        """Wait as git does."""
        self._meanwhile()
        while not self.goes_on.wait(0.01):
            interruption.check()

    def deaf(self, *_: object) -> None:
        """Wait as for a server's answer."""
        self._meanwhile()
        self.goes_on.wait(30)


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.attempt.supervision.LOOK_SECONDS", 0.01)
    monkeypatch.setattr("worker.attempt.supervision.GIVE_UP_SECONDS", 0.1)
    monkeypatch.setattr("worker.attempt.supervision.LAST_SECONDS", 0.1)


@pytest.mark.usefixtures("quickly")
@pytest.mark.parametrize("force", [False, True])
def test_a_job_cancelled_while_its_source_is_fetched_ends_at_once_and_never_trains(
    worker: FakeWorker, force: bool
) -> None:
    job_id = worker.submit(token=TOKEN, retry={"max_attempts": 3, "on": ["cancelled", "infrastructure"]})
    worker.source.before = Slow(lambda: worker.store.cancel(job_id, force=force)).looking

    job = ended(worker.run(job_id))

    assert (job.state, code_of(job), len(job.attempts)) == (JobState.CANCELLED, Code.USER_CANCELLED, 1)
    assert [each.to_state for each in job.transitions][-2:] == [JobState.CANCELLING, JobState.CANCELLED]
    assert (worker.host.started, worker.source.list_names()) == ([], [])


@pytest.mark.usefixtures("quickly")
def test_a_job_cancelled_while_nobody_answers_ends_at_once_and_its_run_later(
    worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = worker.submit()
    slow, ensure_run = Slow(lambda: worker.store.cancel(job_id, force=False)), worker.tracking.ensure_run

    def answer_late(request: RunRequest) -> Run:
        slow.deaf()
        return ensure_run(request)

    monkeypatch.setattr(worker.tracking, "ensure_run", answer_late)
    job = ended(worker.run(job_id))
    assert (job.state, worker.tracking.runs) == (JobState.CANCELLED, {})

    slow.goes_on.set()
    wait_until(lambda: [run.status for run in worker.tracking.runs.values()] == ["KILLED"])
    worker.sweep.once(reconcile=True)
    assert (worker.host.started, worker.source.list_names(), worker.store.find_open_runs()) == ([], [], [])


@pytest.mark.usefixtures("quickly")
def test_a_job_cancelled_after_its_run_was_opened_ends_the_run_as_killed(
    worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = worker.submit()
    ensure_run = worker.tracking.ensure_run

    def cancel_then(request: RunRequest) -> Run:
        worker.store.cancel(job_id, force=False)
        return ensure_run(request)

    monkeypatch.setattr(worker.tracking, "ensure_run", cancel_then)
    job = ended(worker.run(job_id))

    assert (job.state, worker.host.started) == (JobState.CANCELLED, [])
    assert [run.status for run in worker.tracking.runs.values()] == ["KILLED"]


def test_a_cancel_that_comes_last_is_seen_by_the_write_before_the_start(
    worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.attempt.supervision.LOOK_SECONDS", 60)  # nothing else looks
    job_id = worker.submit()
    begin_start = worker.store.begin_start

    def cancel_first(claim: Claim, *, lease_seconds: float) -> bool:
        worker.store.cancel(job_id, force=True)
        return begin_start(claim, lease_seconds=lease_seconds)

    monkeypatch.setattr(worker.store, "begin_start", cancel_first)
    job = ended(worker.run(job_id))

    assert (job.state, code_of(job), worker.host.started) == (JobState.CANCELLED, Code.USER_CANCELLED, [])


@pytest.mark.usefixtures("quickly")
@pytest.mark.parametrize("step", ["looking", "deaf"])
def test_a_worker_that_stops_leaves_what_it_prepares_to_the_next_one(worker: FakeWorker, step: str) -> None:
    job_id = worker.submit()
    slow = Slow(worker.stopping.set)
    worker.source.before = getattr(slow, step)

    assert worker.run(job_id) is None
    job = worker.store.get(job_id)
    assert (job.state, job.lease_expires_at, worker.host.started) == (JobState.STARTING, None, [])

    after = worker.restarted()
    assert ended(after.run(job_id)).state is JobState.SUCCEEDED
    slow.goes_on.set()
    assert len(worker.host.started) == 1


@pytest.mark.usefixtures("quickly")
def test_a_worker_that_lost_its_lease_starts_nothing_when_its_preparation_goes_on(worker: FakeWorker) -> None:
    job_id = worker.submit()

    def lose() -> None:
        worker.clock.shift_seconds += 60
        assert worker.store.claim(job_id, host=worker.here.now(), lease_seconds=60)

    slow = Slow(lose)
    worker.source.before = slow.deaf
    running = threading.Thread(target=worker.run, args=(job_id,))
    running.start()
    running.join(10)  # it notices when it renews, after a third of the lease
    assert not running.is_alive()
    slow.goes_on.set()
    wait_until(lambda: not [each for each in threading.enumerate() if each.name.startswith("prepare-")])
    assert worker.host.started == []
