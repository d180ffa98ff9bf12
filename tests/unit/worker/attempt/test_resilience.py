"""What an attempt survives: the loss of each thing around it, on fakes."""

import threading

import pytest

from shared.errors import Code, FailureType, InfrastructureError
from shared.jobs.model import JobState
from tests.fakes.runner import Script
from tests.fakes.worker import LEASE_SECONDS, TOKEN, FakeWorker
from tests.support.jobs import try_claim
from tests.support.supervising import HANGING, code_of, ended, name_of, stop_at
from worker.interruption import Interruption
from worker.runners.seam import AttemptSpec, Handle


def test_credentials_under_another_key_end_the_job_and_say_what_to_do(worker: FakeWorker) -> None:
    job_id = worker.submit(token=TOKEN)
    other = FakeWorker(worker.folder, worker.clock, worker.store)

    job = ended(other.run(job_id))

    assert (job.state, code_of(job)) == (JobState.FAILED, Code.INTERNAL)
    assert job.reason is not None
    assert "SECRET_KEY" in job.reason.message


def test_a_fault_of_ours_ends_the_job_and_its_container(worker: FakeWorker) -> None:
    worker.runner.plan = HANGING

    def break_down(_poll: int) -> None:
        raise ZeroDivisionError

    worker.runner.before_poll = break_down
    job = ended(worker.run(worker.submit()))

    assert job.reason is not None
    assert (job.reason.code, job.reason.type) == (Code.INTERNAL, FailureType.INTERNAL)
    assert "ZeroDivisionError" in job.reason.message
    assert [run.status for run in worker.tracking.runs.values()] == ["FAILED"]
    assert worker.host.attempts == {}


def test_a_request_that_this_version_cannot_read_ends_the_job(worker: FakeWorker) -> None:
    job_id = worker.submit(job={"request": {"experiment_name": "iris"}})

    job = ended(worker.run(job_id))

    assert (job.state, code_of(job)) == (JobState.FAILED, Code.INTERNAL)


def test_a_request_that_a_later_version_recorded_is_left_to_its_worker(worker: FakeWorker) -> None:
    known = worker.store.get(worker.submit()).request
    request = {**known, "resources": {"gpus": 0, "colour": "red"}}
    job_id = worker.submit(job={"request": request})

    worker.run(job_id)

    assert worker.store.get(job_id).state is JobState.QUEUED
    assert worker.runner.list_mine() == []


def test_a_store_that_goes_away_after_the_start_costs_nothing(worker: FakeWorker) -> None:
    def come_back() -> None:
        worker.store.down = False

    back = threading.Timer(0.3, come_back)

    def plan(_spec: AttemptSpec) -> Script:
        worker.store.down = True
        back.start()
        return Script(outputs=[b"one\n"])

    worker.runner.plan = plan
    job = ended(worker.run(worker.submit()))
    back.join()

    assert (job.state, len(job.attempts), len(worker.host.started)) == (JobState.SUCCEEDED, 1, 1)
    assert job.attempt.container == "fake-1"
    assert worker.log(job.id) == b"one\n"


def test_a_store_that_is_away_while_training_gets_the_whole_log_later(worker: FakeWorker) -> None:
    worker.runner.plan = Script(outputs=[b"one\n", b"two\n", b"three\n", b"four"])

    def go_and_come_back(poll: int) -> None:
        worker.store.down = 2 <= poll <= 3

    worker.runner.before_poll = go_and_come_back
    job = ended(worker.run(worker.submit()))

    assert job.state is JobState.SUCCEEDED
    assert worker.log(job.id) == b"one\ntwo\nthree\nfour"


def test_a_store_that_is_away_at_the_end_is_waited_for_before_the_container_goes(
    worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.runner.plan = Script(outputs=[b"one\n", b"two"])
    pauses: list[float] = []

    def pause(seconds: float) -> bool:
        pauses.append(seconds)
        worker.store.down = worker.store.down and len(pauses) < 8
        return False

    def go_away(poll: int) -> None:
        worker.store.down = poll >= 3

    monkeypatch.setattr(worker.stopping, "wait", pause)
    worker.runner.before_poll = go_away
    job = ended(worker.run(worker.submit()))

    assert job.state is JobState.SUCCEEDED
    assert worker.log(job.id) == b"one\ntwo"


def test_a_worker_that_stops_leaves_the_container_to_the_next_one(worker: FakeWorker) -> None:
    worker.runner.plan = HANGING
    stop_at(worker, 2)
    job_id = worker.submit()

    assert worker.run(job_id) is None
    assert worker.store.get(job_id).state is JobState.RUNNING
    following = worker.restarted()
    following.sweep.once(reconcile=True)  # at once: the lease was given up
    worker.runner.print(name_of(job_id), b"epoch 2\n")
    worker.runner.finish(name_of(job_id))
    job = ended(following.run(job_id))

    assert following.queue.sent == [job_id]
    assert (job.state, len(job.attempts), job.attempt.container) == (JobState.SUCCEEDED, 1, "fake-1")
    assert worker.log(job_id) == b"epoch 1\nepoch 2\n"
    assert worker.host.stopped == [name_of(job_id)]  # when it had ended


def test_a_worker_stops_while_the_store_is_away(worker: FakeWorker) -> None:
    worker.runner.plan = HANGING

    def stop_without_store(poll: int) -> None:
        if poll == 2:
            worker.store.down = True
            worker.stopping.set()

    worker.runner.before_poll = stop_without_store
    job_id = worker.submit()

    assert worker.run(job_id) is None
    assert name_of(job_id) in worker.host.attempts


def test_a_worker_stops_while_it_waits_to_report_the_end(worker: FakeWorker) -> None:
    def plan(_spec: AttemptSpec) -> Script:
        worker.tracking.down = True
        worker.stopping.set()
        return Script(outputs=[b"one\n"])

    worker.runner.plan = plan
    job_id = worker.submit()
    assert worker.run(job_id) is None

    worker.tracking.down = False
    job = ended(worker.restarted().run(job_id))

    assert (job.state, len(worker.host.started)) == (JobState.SUCCEEDED, 1)
    assert worker.log(job_id) == b"one\n"


def test_an_engine_that_is_away_is_waited_for(worker: FakeWorker) -> None:
    worker.runner.plan = Script(outputs=[b"one\n", b"two\n"])

    def go_and_come_back(poll: int) -> None:
        worker.runner.is_available = not 2 <= poll <= 5

    worker.runner.before_poll = go_and_come_back
    job = ended(worker.run(worker.submit()))

    assert (job.state, len(job.attempts)) == (JobState.SUCCEEDED, 1)
    assert worker.log(job.id) == b"one\ntwo\n"


def test_an_engine_that_is_away_when_a_training_is_adopted_does_not_cost_the_attempt(
    worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.runner.plan = HANGING
    stop_at(worker, 2)
    job_id = worker.submit()
    worker.run(job_id)
    worker.runner.finish(name_of(job_id))
    following = worker.restarted()
    following.runner.is_available = False

    def pause(_seconds: float) -> bool:
        following.runner.is_available = True
        return False

    monkeypatch.setattr(following.stopping, "wait", pause)
    job = ended(following.run(job_id))

    assert (job.state, len(job.attempts), len(worker.host.started)) == (JobState.SUCCEEDED, 1, 1)


def test_an_engine_that_is_away_at_the_very_end_does_not_spoil_a_success(
    worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def remove(handle: Handle) -> None:
        raise InfrastructureError(Code.DOCKER_UNAVAILABLE, "The engine does not answer.", name=handle.name)

    job_id = worker.submit()
    with monkeypatch.context() as patched:
        patched.setattr(worker.runner, "remove", remove)
        job = ended(worker.run(job_id))
    assert job.state is JobState.SUCCEEDED
    assert [run.status for run in worker.tracking.runs.values()] == ["FINISHED"]

    worker.sweep.once(reconcile=True)
    assert worker.host.attempts == {}


def test_a_container_that_somebody_removed_is_lost_and_the_job_tried_again(worker: FakeWorker) -> None:
    worker.runner.plan = HANGING
    job_id = worker.submit()
    worker.runner.before_poll = lambda poll: worker.runner.vanish(name_of(job_id)) if poll == 2 else None

    job = ended(worker.run(job_id))

    assert (job.state, code_of(job)) == (JobState.RETRY_WAIT, Code.CONTAINER_LOST)


def test_a_container_that_is_gone_when_it_is_adopted_is_lost(worker: FakeWorker) -> None:
    worker.runner.plan = HANGING
    stop_at(worker, 2)
    job_id = worker.submit()
    worker.run(job_id)
    worker.runner.vanish(name_of(job_id))

    job = ended(worker.restarted().run(job_id))

    assert (job.state, code_of(job)) == (JobState.RETRY_WAIT, Code.CONTAINER_LOST)
    assert len(worker.host.started) == 1


def test_what_an_engine_started_as_it_went_away_ends_before_the_next_attempt_starts(
    worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = worker.runner.start_or_attach

    def start_and_go_away(spec: AttemptSpec, interruption: Interruption) -> Handle:
        start(spec, interruption)
        worker.runner.is_available = False
        raise InfrastructureError(Code.DOCKER_UNAVAILABLE, "The engine does not answer.")

    worker.runner.plan = lambda spec: Script(hangs=spec.attempt == 1)
    job_id = worker.submit()
    with monkeypatch.context() as patched:
        patched.setattr(worker.runner, "start_or_attach", start_and_go_away)
        first = ended(worker.run(job_id))
    assert (first.state, list(worker.host.attempts)) == (JobState.RETRY_WAIT, [name_of(job_id, 1)])

    worker.runner.is_available = True
    worker.sweep.once(reconcile=False)
    second = ended(worker.run(job_id))

    assert second.state is JobState.SUCCEEDED
    assert worker.host.removed == [name_of(job_id, 1), name_of(job_id, 2)]


def test_a_worker_that_lost_its_lease_leaves_everything_alone(worker: FakeWorker) -> None:
    worker.runner.plan = HANGING

    def lose(poll: int) -> None:
        if poll == 2:
            worker.clock.shift_seconds = LEASE_SECONDS + 1
            assert try_claim(worker.store, job_id, lease_seconds=LEASE_SECONDS)
            worker.runner.print(name_of(job_id), b"epoch 2\n")

    job_id = worker.submit()
    worker.runner.before_poll = lose

    assert worker.run(job_id) is None
    assert worker.store.get(job_id).state is JobState.RUNNING
    assert worker.host.stopped == []
    assert [run.status for run in worker.tracking.runs.values()] == ["RUNNING"]


def test_a_job_that_brings_each_worker_down_while_it_is_prepared_is_given_up(worker: FakeWorker) -> None:
    job_id = worker.submit()
    for _ in range(4):  # a first claim and three takeovers; none of these workers comes to a start
        try_claim(worker.store, job_id, lease_seconds=LEASE_SECONDS)
        worker.clock.shift_seconds += LEASE_SECONDS + 1

    job = ended(worker.run(job_id))

    assert (job.state, code_of(job)) == (JobState.FAILED, Code.INTERNAL)
    assert worker.host.started == []
