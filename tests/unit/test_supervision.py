"""One attempt from claim to end, on fakes; what survives the loss of each thing around it."""

from pathlib import Path

import pytest

from shared.errors import Code, FailureType, InfrastructureError, UserError
from shared.jobs import Job, JobState
from tests.fakes.runner import FakeRunner, Script
from tests.fakes.tracking import FakeTracking
from tests.fakes.worker import LEASE_SECONDS, TOKEN, FakeWorker, HookedRunner
from tests.support.jobs import HOST, QUEUES
from worker.runner import AttemptSpec, Exit, Handle

GIT_AWAY = InfrastructureError(Code.GIT_UNREACHABLE, "git.example does not answer.")
HANGING = Script(outputs=[b"epoch 1\n"], hangs=True)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.supervision.FIRST_POLL_SECONDS", 0.001)
    monkeypatch.setattr("worker.supervision.POLL_SECONDS", 0.002)
    monkeypatch.setattr("worker.finishing.FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr("worker.finishing.LAST_PAUSE_SECONDS", 0.002)


@pytest.fixture
def worker(tmp_path: Path) -> FakeWorker:
    return FakeWorker.new(tmp_path)


def ended(job: Job | None) -> Job:
    assert job is not None
    return job


def code_of(job: Job) -> Code:
    assert job.reason is not None
    return job.reason.code


def name_of(job_id: str, attempt: int = 1) -> str:
    return f"retrain-{job_id}-{attempt}"


def stop_at(worker: FakeWorker, number: int) -> None:
    worker.runner.before_poll = lambda poll: worker.stopping.set() if poll == number else None


def test_a_job_that_trains_well_ends_succeeded_with_its_result(worker: FakeWorker) -> None:
    worker.runner.plan = Script(outputs=[b"accuracy: 0.94\n"])

    job = ended(worker.run(worker.submit()))

    assert (job.state, job.reason, job.attempt.exit_code) == (JobState.SUCCEEDED, None, 0)
    assert job.result == {
        "metrics": {"accuracy": 0.94},
        "model_versions": [{"name": "iris", "version": "1"}],
        "decision": None,
    }
    assert worker.log(job.id) == b"accuracy: 0.94\n"


def test_the_run_is_closed_with_the_whole_log(worker: FakeWorker) -> None:
    worker.runner.plan = Script(outputs=[b"one\n", b"two\n", b"no line end"])

    job = ended(worker.run(worker.submit()))

    [run] = worker.tracking.runs.values()
    assert (run.run_id, run.status) == (job.run_id, "FINISHED")
    assert run.files == {"retrain/attempt-1.log": b"one\ntwo\nno line end"}


def test_the_run_ends_before_the_job_and_the_job_before_the_container(
    worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, str]] = []
    job_id = worker.submit()

    def look(runner: HookedRunner, handle: Handle) -> None:
        [run] = worker.tracking.runs.values()
        seen.append((run.status, worker.store.get(job_id).state))
        FakeRunner.remove(runner, handle)

    def look_too(tracking: FakeTracking, run_id: str, status: str) -> None:
        seen.append((status, worker.store.get(job_id).state))
        finish_run(tracking, run_id, status)

    finish_run = FakeTracking.finish_run
    monkeypatch.setattr(HookedRunner, "remove", look)
    monkeypatch.setattr(FakeTracking, "finish_run", look_too)
    worker.run(job_id)

    assert seen == [("FINISHED", "running"), ("FINISHED", "succeeded")]
    assert worker.host.attempts == {}


def test_a_training_that_fails_says_its_last_line_and_is_not_tried_again(worker: FakeWorker) -> None:
    output = b"epoch 1\rValueError: no column 'age'\r\n\n"
    worker.runner.plan = Script(outputs=[output], exit=Exit(exit_code=3))

    job = ended(worker.run(worker.submit()))

    assert (job.state, code_of(job), job.attempt.exit_code) == (JobState.FAILED, Code.NONZERO_EXIT, 3)
    assert job.reason is not None
    assert job.reason.message.endswith("exit code 3. Its last output: ValueError: no column 'age'")
    assert [run.status for run in worker.tracking.runs.values()] == ["FAILED"]


def test_a_training_that_ran_out_of_memory_is_told_apart(worker: FakeWorker) -> None:
    worker.runner.plan = Script(exit=Exit(exit_code=137, oom_killed=True))

    job = ended(worker.run(worker.submit()))

    assert code_of(job) == Code.OOM_KILLED
    assert job.attempt.oom_killed


def test_a_failure_before_the_run_exists_ends_the_job_from_starting(worker: FakeWorker) -> None:
    worker.source.errors = [UserError(Code.REF_NOT_FOUND, "'mian' names no branch. Did you mean 'main'?")]

    job = ended(worker.run(worker.submit()))

    assert (job.state, code_of(job), job.run_id) == (JobState.FAILED, Code.REF_NOT_FOUND, None)
    assert [each.to_state for each in job.transitions] == [JobState.QUEUED, JobState.STARTING, JobState.FAILED]
    assert worker.host.started == []


def test_an_infrastructure_failure_is_followed_by_an_attempt_at_the_same_commit(worker: FakeWorker) -> None:
    refused = InfrastructureError(Code.CONTAINER_FAILED, "No room for a container.")
    worker.runner.plan = lambda spec: Script(start_error=refused if spec.attempt == 1 else None)
    job_id = worker.submit(commit_hash="main")

    first = ended(worker.run(job_id))
    worker.sweep.once(reconcile=False)
    second = ended(worker.run(job_id))

    assert (first.state, code_of(first)) == (JobState.RETRY_WAIT, Code.CONTAINER_FAILED)
    assert worker.queue.sent == [job_id]
    assert (second.state, second.attempt.number) == (JobState.SUCCEEDED, 2)
    assert [each.commit_sha for each in worker.source.requests] == [None, first.commit_sha]
    assert [run.status for run in worker.tracking.runs.values()] == ["FAILED", "FINISHED"]


def test_attempts_end_when_there_were_enough(worker: FakeWorker) -> None:
    worker.source.errors = [GIT_AWAY, GIT_AWAY]
    job_id = worker.submit(retry={"max_attempts": 2})

    states = []
    for _ in range(2):
        states.append(ended(worker.run(job_id)).state)
        worker.sweep.once(reconcile=False)

    assert states == [JobState.RETRY_WAIT, JobState.FAILED]


def test_no_secret_is_in_the_log_or_in_the_reason(worker: FakeWorker) -> None:
    said = f"fatal: could not read https://robot:{TOKEN}@git.example".encode()
    worker.runner.plan = Script(outputs=[b"mlflow-pass\n", said], exit=Exit(exit_code=1))

    job = ended(worker.run(worker.submit(token=TOKEN)))

    texts = [str(job.reason), *(each.reason for each in job.transitions), worker.log(job.id).decode()]
    assert not [text for text in texts if TOKEN in text or "mlflow-pass" in text]
    assert "could not read https://***@git.example" in texts[0]


def test_no_secret_is_in_the_reason_of_a_failure_before_the_start(worker: FakeWorker) -> None:
    worker.source.errors = [UserError(Code.GIT_AUTH_FAILED, f"The host refused {TOKEN}.")]

    job = ended(worker.run(worker.submit(token=TOKEN)))

    assert job.reason is not None
    assert (job.reason.message, job.transitions[-1].reason) == ("The host refused ***.",) * 2


def test_a_success_waits_for_a_tracking_server_that_is_away(worker: FakeWorker) -> None:
    worker.runner.plan = HANGING

    def end_without_server(poll: int) -> None:
        if poll == 2:
            worker.tracking.calls_until_up = 4
            [name] = worker.host.attempts
            worker.runner.finish(name)

    worker.runner.before_poll = end_without_server
    job = ended(worker.run(worker.submit()))

    assert job.state is JobState.SUCCEEDED
    assert [run.status for run in worker.tracking.runs.values()] == ["FINISHED"]


def test_a_failed_run_is_closed_too_when_the_tracking_server_is_back(worker: FakeWorker) -> None:
    def plan(_spec: AttemptSpec) -> Script:
        worker.tracking.calls_until_up = 4
        return Script(exit=Exit(exit_code=1))

    worker.runner.plan = plan
    job = ended(worker.run(worker.submit()))

    assert code_of(job) == Code.NONZERO_EXIT
    assert [run.status for run in worker.tracking.runs.values()] == ["FAILED"]


@pytest.mark.parametrize(("exit_code", "code"), [(0, Code.TRACKING_UNAVAILABLE), (1, Code.NONZERO_EXIT)])
def test_patience_with_the_tracking_server_ends(
    worker: FakeWorker, monkeypatch: pytest.MonkeyPatch, exit_code: int, code: Code
) -> None:
    monkeypatch.setattr("worker.finishing.PATIENCE_SECONDS", 0)

    def plan(_spec: AttemptSpec) -> Script:
        worker.tracking.down = True
        return Script(exit=Exit(exit_code=exit_code))

    worker.runner.plan = plan
    job = ended(worker.run(worker.submit(retry={"max_attempts": 1})))

    assert (job.state, code_of(job)) == (JobState.FAILED, code)


def test_without_a_tracking_server_nothing_is_started_and_it_is_tried_again(worker: FakeWorker) -> None:
    worker.tracking.down = True

    job = ended(worker.run(worker.submit()))

    assert (job.state, code_of(job)) == (JobState.RETRY_WAIT, Code.TRACKING_UNAVAILABLE)
    assert worker.host.started == []


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
    job_id = worker.submit(job={"request": {"of": "another version"}})

    job = ended(worker.run(job_id))

    assert (job.state, code_of(job)) == (JobState.FAILED, Code.INTERNAL)


def test_a_store_that_goes_away_after_the_start_costs_nothing(worker: FakeWorker) -> None:
    def plan(_spec: AttemptSpec) -> Script:
        worker.store.down = True
        return Script(outputs=[b"one\n"])

    worker.runner.plan = plan
    job_id = worker.submit()
    assert worker.run(job_id) is None

    worker.store.down = False
    worker.sweep.once(reconcile=True)
    assert worker.queue.sent == []  # the lease is not over
    worker.clock.shift_seconds = LEASE_SECONDS + 1
    worker.sweep.once(reconcile=True)
    assert worker.queue.sent == [job_id]
    job = ended(worker.run(job_id))

    assert (job.state, len(job.attempts), len(worker.host.started)) == (JobState.SUCCEEDED, 1, 1)
    assert job.attempt.container == "fake-1"
    assert worker.log(job_id) == b"one\n"


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

    def start_and_go_away(spec: AttemptSpec) -> Handle:
        start(spec)
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


def test_a_training_that_takes_too_long_is_stopped_with_its_last_output(worker: FakeWorker) -> None:
    worker.runner.plan = HANGING
    job_id = worker.submit(timeouts={"run_seconds": 0.01})

    job = ended(worker.run(job_id))

    assert (job.state, code_of(job)) == (JobState.FAILED, Code.RUN_TIMEOUT)
    assert [run.status for run in worker.tracking.runs.values()] == ["KILLED"]
    assert worker.log(job_id) == b"epoch 1\n"


def test_an_engine_that_is_away_when_the_time_is_over_does_not_free_the_training(worker: FakeWorker) -> None:
    worker.runner.plan = HANGING

    def go_and_come_back(poll: int) -> None:
        worker.runner.is_available = not 3 <= poll <= 30

    worker.runner.before_poll = go_and_come_back
    job = ended(worker.run(worker.submit(timeouts={"run_seconds": 0.01})))

    assert (job.state, code_of(job), len(job.attempts)) == (JobState.FAILED, Code.RUN_TIMEOUT, 1)
    assert worker.host.attempts == {}


def test_only_the_training_counts_for_its_limit_not_what_came_before(worker: FakeWorker) -> None:
    job_id = worker.submit(timeouts={"run_seconds": 60})

    def plan(_spec: AttemptSpec) -> Script:
        worker.clock.shift_seconds = 0
        return Script(outputs=[b"one\n"])

    worker.clock.shift_seconds = -3600  # claimed an hour ago, and fetching since
    worker.runner.plan = plan
    job = ended(worker.run(job_id))

    assert job.state is JobState.SUCCEEDED


def test_an_adopted_training_has_the_time_that_was_left(worker: FakeWorker) -> None:
    worker.runner.plan = HANGING
    stop_at(worker, 2)
    worker.clock.shift_seconds = -3600
    job_id = worker.submit(timeouts={"run_seconds": 60})
    worker.run(job_id)
    worker.clock.shift_seconds = 0

    job = ended(worker.restarted().run(job_id))

    assert code_of(job) == Code.RUN_TIMEOUT


def test_a_worker_that_lost_its_lease_leaves_everything_alone(worker: FakeWorker) -> None:
    worker.runner.plan = HANGING

    def lose(poll: int) -> None:
        if poll == 2:
            worker.clock.shift_seconds = LEASE_SECONDS + 1
            assert worker.store.claim(job_id, host=HOST, queues=QUEUES, lease_seconds=LEASE_SECONDS)
            worker.runner.print(name_of(job_id), b"epoch 2\n")

    job_id = worker.submit()
    worker.runner.before_poll = lose

    assert worker.run(job_id) is None
    assert worker.store.get(job_id).state is JobState.RUNNING
    assert worker.host.stopped == []
    assert [run.status for run in worker.tracking.runs.values()] == ["RUNNING"]


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


def test_a_job_that_brings_each_worker_down_while_it_is_prepared_is_given_up(worker: FakeWorker) -> None:
    job_id = worker.submit()
    for _ in range(4):  # a first claim and three takeovers; none of these workers comes to a start
        worker.store.claim(job_id, host=HOST, queues=QUEUES, lease_seconds=LEASE_SECONDS)
        worker.clock.shift_seconds += LEASE_SECONDS + 1

    job = ended(worker.run(job_id))

    assert (job.state, code_of(job)) == (JobState.FAILED, Code.INTERNAL)
    assert worker.host.started == []


def test_the_last_output_of_a_crash_is_its_exception_wherever_the_pipes_put_it(worker: FakeWorker) -> None:
    worker.runner.plan = Script(
        outputs=[b"Traceback (most recent call last):\nValueError: no rows\nabout to fail\n"], exit=Exit(exit_code=1)
    )
    job = ended(worker.run(worker.submit()))
    assert job.reason is not None
    assert job.reason.message.endswith("Its last output: ValueError: no rows")
