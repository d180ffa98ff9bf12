"""What becomes of an attempt whose tracking server is away, on fakes."""

import pytest

from shared.errors import Code, InfrastructureError
from shared.jobs.model import JobState
from tests.fakes.runner import Script
from tests.fakes.worker import FakeWorker
from tests.support.supervising import HANGING, code_of, ended
from worker.runners.seam import AttemptSpec, Exit
from worker.tracking.client import Run
from worker.tracking.run_tags import RunRequest


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
    monkeypatch.setattr("worker.attempt.patience.PATIENCE_SECONDS", 0)

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


def test_a_run_whose_making_was_not_answered_is_ended_by_the_sweep_when_the_server_is_back(
    worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run = worker.tracking.ensure_run

    def make_run_and_go_away(request: RunRequest) -> Run:
        make_run(request)
        worker.tracking.down = True
        raise InfrastructureError(Code.TRACKING_UNAVAILABLE, "The connection broke before the answer.")

    monkeypatch.setattr(worker.tracking, "ensure_run", make_run_and_go_away)
    job = ended(worker.run(worker.submit(retry={"max_attempts": 1})))
    worker.sweep.once(reconcile=False)
    assert (job.state, [run.status for run in worker.tracking.runs.values()]) == (JobState.FAILED, ["RUNNING"])

    worker.tracking.down = False
    worker.restarted().sweep.once(reconcile=False)

    assert [run.status for run in worker.tracking.runs.values()] == ["FAILED"]
    assert worker.store.find_open_runs() == []


def test_a_run_without_its_log_is_completed_when_there_is_room_for_it(
    worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.attempt.patience.PATIENCE_SECONDS", 0)
    worker.runner.plan = Script(outputs=[b"epoch 1\n"], exit=Exit(exit_code=1))
    blocked = worker.folder / "scratch"
    blocked.write_bytes(b"no folder can be made here")
    job = ended(worker.run(worker.submit()))
    [run] = worker.tracking.runs.values()
    assert (code_of(job), run.status) == (Code.NONZERO_EXIT, "RUNNING")

    blocked.unlink()
    worker.sweep.once(reconcile=False)

    assert (run.status, run.files) == ("FAILED", {"retrain/attempt-1.log": b"epoch 1\n"})
