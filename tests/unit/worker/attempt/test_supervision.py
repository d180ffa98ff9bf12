"""One attempt from claim to end, on fakes."""

import base64
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from shared.errors import Code, InfrastructureError, UserError
from shared.jobs.model import JobState
from tests.fakes.runner import FakeRunner, Script
from tests.fakes.tracking import FakeTracking
from tests.fakes.worker import TOKEN, FakeWorker, HookedRunner
from tests.support.supervising import HANGING, code_of, ended, stop_at
from worker.runners.seam import AttemptSpec, Exit, Handle, Inside, LogBounds
from worker.tracking.client import RunResult

GIT_AWAY = InfrastructureError(Code.GIT_UNREACHABLE, "git.example does not answer.")


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


def test_a_training_that_was_seen_to_end_is_removed_without_being_looked_for(
    worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unexpected(*_arguments: object) -> None:
        raise AssertionError("it is known what ended, and that it was alone")

    def from_now_on(_poll: int) -> None:
        monkeypatch.setattr(HookedRunner, "attach", unexpected)
        monkeypatch.setattr(HookedRunner, "list_mine", unexpected)

    worker.runner.before_poll = from_now_on
    job = ended(worker.run(worker.submit()))

    assert job.state is JobState.SUCCEEDED
    assert worker.host.attempts == {}


@pytest.mark.parametrize("in_image", [True, False])
def test_the_next_job_does_not_wait_for_the_removal_of_a_container_but_for_what_a_process_may_have_left(
    worker: FakeWorker, in_image: bool
) -> None:
    put_off: list[Callable[[], None]] = []
    following = worker.restarted(aside=put_off.append)
    following.runner.inside = Inside(runs_images=in_image)
    following.source.project = "name: iris\ndocker_env: {image: iris:1}\nentry_points: {main: {command: 'true'}}\n"
    job = ended(following.run(following.submit()))

    assert job.state is JobState.SUCCEEDED
    assert (len(put_off), len(worker.host.attempts)) == ((1, 1) if in_image else (0, 0))
    for each in put_off:
        each()
    assert worker.host.attempts == {}


def test_a_training_that_fails_says_its_last_line_and_is_not_tried_again(worker: FakeWorker) -> None:
    output = b"epoch 1\rValueError: no column 'age'\r\n\n"
    worker.runner.plan = Script(outputs=[output], exit=Exit(exit_code=3))

    job = ended(worker.run(worker.submit()))

    assert (job.state, code_of(job), job.attempt.exit_code) == (JobState.FAILED, Code.NONZERO_EXIT, 3)
    assert job.reason is not None
    assert job.reason.message.endswith("exit code 3. Its last output: ValueError: no column 'age'")
    assert [run.status for run in worker.tracking.runs.values()] == ["FAILED"]


@pytest.mark.parametrize("exit_code", [0, 127])
def test_a_training_that_never_began_has_failed_whatever_its_exit_code_is(worker: FakeWorker, exit_code: int) -> None:
    why = UserError(Code.CONTAINER_FAILED, "Image 'iris:1' has the ENTRYPOINT [true], which did not run it.")
    worker.runner.plan = Script(exit=Exit(exit_code, not_begun=why))

    job = ended(worker.run(worker.submit()))

    assert (job.state, code_of(job), job.attempt.exit_code) == (JobState.FAILED, Code.CONTAINER_FAILED, exit_code)
    assert job.reason is not None
    assert job.reason.message == why.message
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


def test_what_is_lent_is_in_no_log_and_in_no_reason(tmp_path: Path) -> None:
    worker = FakeWorker.new(tmp_path, project_env_allowlist="REGION")
    lent = {"REGION": "lent-s3cret"}
    worker.preparation = replace(worker.preparation, host_environment=lent)
    worker.supervisor = replace(worker.supervisor, preparation=worker.preparation)
    worker.tasks = replace(worker.tasks, supervisor=worker.supervisor)
    printed = f"environ({lent!r}) {base64.b64encode(b'x=lent-s3cret').decode()}\nKeyError: 'lent-s3cret'\n"
    worker.runner.plan = Script(outputs=[printed.encode()], exit=Exit(exit_code=1))

    job = ended(worker.run(worker.submit()))

    assert "KeyError: '***'" in str(job.reason)
    texts = [str(job), worker.log(job.id).decode(), str(worker.tracking.runs)]
    assert not [text for text in texts if "lent-s3cret" in text or "c3MzY3JldA" in text]


def test_no_secret_that_a_training_wrote_to_its_run_is_in_the_record(worker: FakeWorker) -> None:
    worker.tracking.found = RunResult({"mlflow-pass": 1.0}, {"reason": "mlflow-pass"}, (("mlflow-pass", "1"),))

    job = ended(worker.run(worker.submit()))

    assert job.result == {
        "metrics": {"***": 1.0},
        "model_versions": [{"name": "***", "version": "1"}],
        "decision": {"reason": "***", "enforced": False},
    }


def test_no_secret_is_in_the_reason_of_a_failure_before_the_start(worker: FakeWorker) -> None:
    worker.source.errors = [UserError(Code.GIT_AUTH_FAILED, f"The host refused {TOKEN}.")]

    job = ended(worker.run(worker.submit(token=TOKEN)))

    assert job.reason is not None
    assert (job.reason.message, job.transitions[-1].reason) == ("The host refused ***.",) * 2


def test_a_training_that_takes_too_long_is_stopped_with_its_last_output(worker: FakeWorker) -> None:
    worker.runner.plan = HANGING
    job_id = worker.submit(timeouts={"run_seconds": 0.01})

    job = ended(worker.run(job_id))

    assert (job.state, code_of(job)) == (JobState.FAILED, Code.RUN_TIMEOUT)
    assert [run.status for run in worker.tracking.runs.values()] == ["KILLED"]
    assert worker.log(job_id) == b"epoch 1\n"


@pytest.mark.parametrize("hangs", [True, False], ids=["stopped", "ended by itself"])
def test_a_training_that_floods_its_host_with_output_ends_as_that_with_the_beginning_of_its_log(
    tmp_path: Path, hangs: bool
) -> None:
    worker = FakeWorker.new(tmp_path, log_limit_bytes=1000, log_flood_factor=2)
    worker.runner.log_bounds = LogBounds(kept_bytes=1000, flood_bytes=2000)
    worker.runner.plan = Script(outputs=[b"epoch 1\n", b"x" * 3000], hangs=hangs)

    job = ended(worker.run(worker.submit()))

    assert (job.state, code_of(job), len(job.attempts)) == (JobState.FAILED, Code.LOG_FLOOD, 1)
    assert job.reason is not None
    assert "LOG_FLOOD_FACTOR=2 times LOG_LIMIT_BYTES=1000" in job.reason.message
    log = worker.log(job.id)
    assert log.startswith(b"epoch 1\nxxx")
    assert log.endswith(b"[the log was cut here: it is longer than LOG_LIMIT_BYTES=1000]\n")
    assert worker.host.attempts == {}


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


def test_the_last_output_of_a_crash_is_its_exception_wherever_the_pipes_put_it(worker: FakeWorker) -> None:
    traceback, a_long_line = b"Traceback (most recent call last):\nValueError: no rows\n", b"about to fail " * 1000
    worker.runner.plan = Script(outputs=[traceback, a_long_line, b"\n"], exit=Exit(exit_code=1))
    job = ended(worker.run(worker.submit()))
    assert job.reason is not None
    assert job.reason.message.endswith("Its last output: ValueError: no rows")
