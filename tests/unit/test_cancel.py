"""Cancelling an attempt, on fakes: stopped, killed, or faster than the cancel."""

from shared.errors import Code
from shared.jobs import JobState
from tests.fakes.runner import Script
from tests.fakes.worker import FakeWorker
from tests.support.supervising import HANGING, code_of, ended, name_of, stop_at


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
