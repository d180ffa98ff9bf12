"""What becomes of a job whose model was decided about, wherever its worker was interrupted."""

from collections.abc import Callable
from typing import Any

import pytest

from shared.errors import AttemptError, Code, InfrastructureError, InternalError
from shared.jobs.model import JobState
from shared.jobs.records import Claim
from tests.fakes.worker import FakeWorker
from tests.unit.worker.attempt.deciding.proposals import CHAMPION, proposal


@pytest.fixture
def proposing(worker: FakeWorker) -> FakeWorker:
    worker.tracking.models.values = {"new": 0.9, "1": 0.8}
    worker.tracking.models.aliases = {CHAMPION: "1"}
    return worker


def submit(worker: FakeWorker) -> str:
    job_id = worker.submit()
    worker.tracking.models.proposed = {f"run-{job_id}-1": [proposal("new")]}
    return job_id


def die_before_the_end(worker: FakeWorker, job_id: str) -> Claim:
    """Kill the worker when it has decided, before it has recorded the job's end; return its claim."""
    finish: Callable[..., Any] = worker.store.finish

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    worker.store.finish = die  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        worker.run(job_id)
    worker.store.finish = finish  # type: ignore[method-assign]
    return Claim(worker.store.get(job_id), worker.store._records[job_id].token)


def test_a_job_ends_with_its_models_promotion(proposing: FakeWorker) -> None:
    job = proposing.run(submit(proposing))
    assert job is not None
    assert job.state is JobState.SUCCEEDED
    assert (job.result or {})["decision"]["state"] == "promoted"
    assert proposing.tracking.models.aliases[CHAMPION] == "new"
    assert proposing.log(job.id).endswith(b"promoted: 0.9 > 0.8\n")


def test_no_secret_that_a_training_proposed_is_in_the_record(proposing: FakeWorker) -> None:
    job_id = submit(proposing)
    said = proposal("new", dataset="mlflow-pass@1", rules={"guardrails": {"mlflow-pass": 0.1}})
    proposing.tracking.models.proposed = {f"run-{job_id}-1": [said]}
    job = proposing.run(job_id)
    assert job is not None
    [promotion] = proposing.store.of_attempt(job_id, 1)
    texts = [str(promotion), str(job), str(proposing.store.history("iris", limit=9)), proposing.log(job_id).decode()]
    assert "***" in texts[0]
    assert not [text for text in texts if "mlflow-pass" in text]


def test_a_host_that_is_lost_after_the_decision_does_not_cost_the_job_its_success(proposing: FakeWorker) -> None:
    job_id = submit(proposing)
    claim = die_before_the_end(proposing, job_id)
    job = proposing.finishing.give_up(claim, InfrastructureError(Code.HOST_LOST, "The host is lost."))
    assert (job.state, (job.result or {})["decision"]["state"]) == (JobState.SUCCEEDED, "promoted")
    assert not proposing.tracking.runs[f"run-{job_id}-1"].is_fenced


@pytest.mark.parametrize("fault", [InternalError(Code.INTERNAL, "a bug"), InfrastructureError(Code.DISK_FULL, "full")])
def test_a_decided_attempt_is_a_success_whatever_fails_afterwards(proposing: FakeWorker, fault: AttemptError) -> None:
    job_id = submit(proposing)
    claim = die_before_the_end(proposing, job_id)
    job = proposing.supervisor.fail(claim, fault)
    assert job is not None
    assert (job.state, (job.result or {})["decision"]["state"]) == (JobState.SUCCEEDED, "promoted")


def test_a_decided_attempt_is_a_success_even_if_mlflow_stays_away(
    proposing: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.attempt.patience.PATIENCE_SECONDS", 0)
    job_id = submit(proposing)
    claim = die_before_the_end(proposing, job_id)
    proposing.tracking.down = True
    job = proposing.supervisor.fail(claim, InfrastructureError(Code.TRACKING_UNAVAILABLE, "away"))
    assert job is not None
    assert (job.state, (job.result or {})["decision"]["state"]) == (JobState.SUCCEEDED, "promoted")
    assert proposing.store.find_open_runs() == [(job_id, 1)]


def test_a_decided_attempt_whose_container_is_gone_has_succeeded(proposing: FakeWorker) -> None:
    job_id, models = submit(proposing), proposing.tracking.models
    die_before_the_end(proposing, job_id)
    proposing.clock.shift_seconds += 60
    proposing.host.attempts.clear()
    job = proposing.restarted().run(job_id)
    assert job is not None
    assert (job.state, len(job.attempts)) == (JobState.SUCCEEDED, 1)
    assert models.moves == [("previous", "1"), ("champion", "new")]
    assert proposing.log(job_id).count(b"promoted: ") == 1
