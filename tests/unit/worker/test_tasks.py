"""The Celery task: which messages it follows, and what Celery's result says afterwards."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from celery import Celery, Task
from celery.events.state import State
from celery.result import AsyncResult

from shared.errors import Code, InfrastructureError, UserError
from shared.jobs.model import JobState
from shared.queue import TASK
from shared.scheduling.hosts import QueueCode
from shared.scheduling.limits import Limits
from tests.fakes.runner import Script
from tests.fakes.worker import LEASE_SECONDS, FakeWorker
from tests.support.jobs import WAITED_TOO_LONG, claim, submit
from worker.runners.seam import AttemptSpec
from worker.tasks import register_task, report_to


@pytest.fixture
def worker(tmp_path: Path) -> FakeWorker:
    return FakeWorker.new(tmp_path)


class ToldTask(Task[Any, Any]):
    """A task whose events, which are all that Flower reads, stay here."""

    told: ClassVar[list[tuple[str, str | None]]] = []

    def send_event(self, type_: str, *_: Any, **__: Any) -> list[tuple[object, object]]:
        self.told.append((type_, self.request.id))
        return []


@pytest.fixture
def celery() -> Iterator[Celery]:
    ToldTask.told.clear()
    kind: Any = ToldTask  # or the app would be of another type than the one that tasks register with
    app: Celery = Celery("test", broker="memory://", backend="cache+memory://", task_cls=kind, set_as_current=False)
    app.conf.update(task_always_eager=True, task_store_eager_result=True, task_track_started=True)
    yield app
    app.close()


def receive(celery: Celery, worker: FakeWorker, job_id: str) -> AsyncResult[Any]:
    """A message arrives, as Celery takes it."""
    if TASK not in celery.tasks:
        register_task(celery, worker.tasks)
    celery.backend.store_result(job_id, None, "STARTED")  # a worker's first act, which apply() leaves out
    celery.tasks[TASK].apply(kwargs={"job_id": job_id, "experiment_name": "iris"}, task_id=job_id)
    return celery.AsyncResult(job_id)


def test_the_result_of_a_success_is_its_summary(celery: Celery, worker: FakeWorker) -> None:
    result = receive(celery, worker, job_id := worker.submit())

    job = worker.store.get(job_id)
    assert result.state == "SUCCESS"
    assert result.result == {
        "job_id": job_id,
        "state": "succeeded",
        "experiment_name": "iris",
        "commit_sha": job.commit_sha,
        "run_id": job.run_id,
        "result": dict(job.result or {}),
    }


def test_the_result_of_a_failure_is_its_reason(celery: Celery, worker: FakeWorker) -> None:
    worker.source.errors = [UserError(Code.REF_NOT_FOUND, "'mian' names no branch.")]

    result = receive(celery, worker, worker.submit())

    assert result.state == "FAILURE"
    assert (type(result.result).__name__, str(result.result)) == ("JobFailed", "REF_NOT_FOUND: 'mian' names no branch.")


def test_a_job_that_will_be_tried_again_shows_as_such(celery: Celery, worker: FakeWorker) -> None:
    worker.source.errors = [InfrastructureError(Code.GIT_UNREACHABLE, "git.example does not answer.")]

    result = receive(celery, worker, worker.submit())

    assert result.state == "RETRY"
    assert ToldTask.told == [("task-retried", result.id)]
    assert str(result.result) == "GIT_UNREACHABLE: git.example does not answer."


def test_a_cancelled_job_shows_as_revoked(celery: Celery, worker: FakeWorker) -> None:
    worker.store.cancel(job_id := worker.submit(), force=False)

    result = receive(celery, worker, job_id)

    assert str(result.state) == "REVOKED"
    assert ToldTask.told == [("task-revoked", job_id)]


def test_a_job_that_waits_for_its_turn_shows_as_received(celery: Celery, worker: FakeWorker) -> None:
    running = claim(worker.store, worker.submit(job={"concurrency_key": "iris"}))
    worker.store.limits = Limits()
    job_id = worker.submit(job={"concurrency_key": running.job.concurrency_key})

    assert receive(celery, worker, job_id).state == "PENDING"
    assert ToldTask.told == [("task-retried", job_id), ("task-received", job_id)]

    shown: Any = State()
    for clock, kind in enumerate(["task-received", "task-started", *(kind for kind, _ in ToldTask.told)]):
        shown.event(
            {"type": kind, "uuid": job_id, "hostname": "h", "timestamp": clock, "local_received": clock, "clock": clock}
        )
    assert shown.tasks[job_id].state == "RECEIVED"


def test_a_message_that_comes_again_starts_nothing_and_leaves_the_result_true(
    celery: Celery, worker: FakeWorker
) -> None:
    job_id = worker.submit()
    receive(celery, worker, job_id)

    again = receive(celery, worker, job_id)

    assert (again.state, again.get()["state"]) == ("SUCCESS", "succeeded")
    assert len(worker.host.started) == 1


def test_a_late_message_sets_the_result_of_an_ended_job_to_the_truth(celery: Celery, worker: FakeWorker) -> None:
    job_id = worker.submit()
    worker.store.fail_unsupervised(job_id, WAITED_TOO_LONG)

    late = receive(celery, worker, job_id)

    assert (late.state, str(late.result)) == ("FAILURE", f"QUEUE_TIMEOUT: {WAITED_TOO_LONG.message}")
    assert worker.host.started == []


def test_a_message_for_a_job_that_another_worker_runs_is_ignored(celery: Celery, worker: FakeWorker) -> None:
    job_id = worker.submit()
    claim(worker.store, job_id, host="gpu-2")

    assert receive(celery, worker, job_id).state == "STARTED"
    assert worker.host.started == []


def test_a_message_for_a_job_that_this_worker_supervises_is_ignored(worker: FakeWorker) -> None:
    job_id = worker.submit()
    worker.active.add(job_id)

    assert worker.run(job_id) is None
    assert worker.store.get(job_id).state is JobState.QUEUED
    assert job_id in worker.active


def test_a_message_on_a_worker_that_does_not_serve_the_queue_is_ignored(celery: Celery, worker: FakeWorker) -> None:
    job_id = worker.submit(job={"queue": "gpu"})

    assert receive(celery, worker, job_id).state == "PENDING"
    assert worker.store.get(job_id).state is JobState.QUEUED


def test_a_message_for_a_job_that_does_not_exist_is_ignored(celery: Celery, worker: FakeWorker) -> None:
    assert receive(celery, worker, "6f1f1a9e-0000-4000-8000-000000000000").state == "STARTED"


def test_a_job_at_its_keys_limit_waits_and_goes_when_the_other_ends(celery: Celery, worker: FakeWorker) -> None:
    worker.store.limits = Limits(per_key=1)
    first, second = (worker.submit(job={"concurrency_key": "iris"}) for _ in range(2))
    shown: list[str] = []

    def plan(spec: AttemptSpec) -> Script:
        if spec.job_id == first:
            shown.append(receive(celery, worker, second).state)
        return Script()

    worker.runner.plan = plan
    receive(celery, worker, first)

    assert shown == ["PENDING"]
    assert worker.queue.sent == [second]
    assert receive(celery, worker, second).state == "SUCCESS"


def test_the_store_being_away_costs_only_the_message(celery: Celery, worker: FakeWorker) -> None:
    job_id = worker.submit()
    worker.store.down = True
    receive(celery, worker, job_id)

    worker.store.down = False
    assert worker.store.get(job_id).state is JobState.QUEUED
    assert receive(celery, worker, job_id).state == "SUCCESS"


def test_new_jobs_leave_the_slots_to_attempts_that_lost_their_supervisor(tmp_path: Path) -> None:
    worker = FakeWorker.new(tmp_path, slots=1)
    orphan = worker.submit()
    claim(worker.store, orphan, lease_seconds=LEASE_SECONDS)
    worker.clock.shift_seconds = LEASE_SECONDS + 1
    new = worker.submit()

    refused = worker.run(new)
    assert refused is not None
    assert refused.state is JobState.QUEUED

    adopted = worker.run(orphan)
    assert adopted is not None
    assert adopted.state is JobState.SUCCEEDED
    assert worker.queue.sent == [new]  # as soon as there was room


def test_a_slot_that_becomes_free_goes_to_the_next_job_at_once(worker: FakeWorker) -> None:
    first, second = worker.submit(), submit(worker.store)
    worker.store.unmark_sent(second)

    worker.run(first)

    assert worker.queue.sent == [second]


def test_redis_being_away_does_not_spoil_the_end_of_a_job(worker: FakeWorker) -> None:
    worker.queue.down = True

    job = worker.run(worker.submit())

    assert job is not None
    assert job.state is JobState.SUCCEEDED


def test_a_job_that_ended_without_a_task_is_reported(celery: Celery, worker: FakeWorker) -> None:
    job_id = worker.submit()
    worker.store.fail_unsupervised(job_id, WAITED_TOO_LONG)

    events: list[dict[str, Any]] = []
    with celery.connection_for_read() as connection:
        flower = celery.events.Receiver(connection, handlers={"*": events.append})
        flower.queue.bind(connection.default_channel).declare()
        report_to(celery, worker.store.get(job_id), hostname="worker@here")
        flower.capture(limit=1, timeout=5)

    (event,) = events
    assert celery.AsyncResult(job_id).state == "FAILURE"
    assert (event["type"], event["uuid"], event["hostname"]) == ("task-failed", job_id, "worker@here")
    assert "QUEUE_TIMEOUT" in event["exception"]


def test_a_job_that_asks_for_what_this_worker_does_not_know_waits_and_the_others_go_on(
    celery: Celery, worker: FakeWorker
) -> None:
    record = {"experiment_name": "iris", "git_uri": "https://git.example/iris.git", "resources": {"host_x": "gpu-9"}}
    newer, plain = worker.submit(job={"request": record, "priority": 9}), worker.submit()

    assert receive(celery, worker, newer).state == "PENDING"
    worker.turn(reconcile=False)
    assert worker.queue.sent == []  # nobody sends it here for ever
    assert receive(celery, worker, plain).state == "SUCCESS"

    job, place = worker.store.get(newer), worker.store.find_queue_position(newer)
    assert (job.state, job.attempts) == (JobState.QUEUED, ())
    assert place is not None
    assert (place.code, "resources.host_x" in place.message) == (QueueCode.NEWER_REQUEST, True)
