"""The run and the version in MLflow tell what became of a promotion, whoever or whatever ended it, and when."""

import json
from typing import Any

import pytest

from mypackage.gate.proposal import Proposal
from shared.jobs.promotions import Event, Promotion, PromotionState
from shared.promoting import carry_out
from tests.fakes.worker import FakeWorker
from worker.attempt.noting import Noting

CHAMPION = ("iris", "champion")
VERSION = "new"


@pytest.fixture
def proposing(worker: FakeWorker) -> FakeWorker:
    worker.tracking.models.values = {VERSION: 0.9, "1": 0.8}
    worker.tracking.models.aliases = {CHAMPION: "1"}
    return worker


def submit(worker: FakeWorker, **promotion: Any) -> str:
    job_id = worker.submit(promotion=promotion)
    made = Proposal("iris", "runs:/new/model", VERSION, "accuracy", False, "champion", 1, True, version=VERSION)
    worker.tracking.models.proposed = {f"run-{job_id}-1": [made]}
    return job_id


def waiting(worker: FakeWorker) -> Promotion:
    """A job whose model waits for approval."""
    job_id = submit(worker, mode="approve")
    worker.run(job_id)
    [promotion] = worker.store.of_attempt(job_id, 1)
    assert promotion.state is PromotionState.AWAITING_APPROVAL
    assert told(worker, promotion) == {(False, "waits for approval: 0.9 > 0.8")}
    return promotion


def approve(worker: FakeWorker, one: Promotion) -> None:
    """What the API does."""
    seen, moving = worker.store.last_event(*CHAMPION), PromotionState.MOVING
    moving_one = worker.store.settle(
        one.id, moving, event=Event.APPROVED, actor="ann", reason="good", seen=seen, before="1"
    )
    carry_out(worker.store, worker.tracking.models, moving_one)


def told(worker: FakeWorker, one: Promotion) -> set[tuple[bool, str]]:
    """What the job's run, the model's run and the version say."""
    models = worker.tracking.models
    tags = models.tags["iris", VERSION]
    texts = [models.noted[f"run-{one.job_id}-1"], models.noted[VERSION], tags["retrain.decision"]]
    found = {(said["promoted"], said["reason"]) for said in map(json.loads, texts)}
    assert tags["retrain.promoted"] == ("true" if True in {promoted for promoted, _ in found} else "false")
    return found


def test_after_an_approval_they_say_that_it_was_promoted(proposing: FakeWorker) -> None:
    promotion = waiting(proposing)
    approve(proposing, promotion)
    proposing.turn(reconcile=True)
    assert told(proposing, promotion) == {(True, "approved: good")}
    assert proposing.store.unnoted() == []


def test_also_if_mlflow_is_away_just_then(proposing: FakeWorker) -> None:
    promotion, calls = waiting(proposing), 0
    approve(proposing, promotion)
    while proposing.store.unnoted():
        proposing.tracking.models.calls_until_down = calls
        proposing.sweep.aliases.settle()
        calls += 1
    assert calls > 3
    assert told(proposing, promotion) == {(True, "approved: good")}


@pytest.mark.parametrize(("event", "reason"), [(Event.REJECTED, "rejected: no"), (Event.EXPIRED, "expired: no")])
def test_after_another_end_they_say_why(proposing: FakeWorker, event: Event, reason: str) -> None:
    promotion = waiting(proposing)
    proposing.store.settle(promotion.id, PromotionState(event), event=event, actor="ann", reason="no")
    proposing.turn(reconcile=True)
    assert told(proposing, promotion) == {(False, reason)}


def test_what_the_jobs_own_worker_has_told_is_not_told_again(proposing: FakeWorker) -> None:
    proposing.run(submit(proposing))
    assert proposing.store.unnoted() == []
    proposing.tracking.models.noted.clear()
    proposing.turn(reconcile=True)
    assert proposing.tracking.models.noted == {}


def test_a_worker_that_tells_late_what_is_no_longer_so_is_corrected(proposing: FakeWorker) -> None:
    promotion = waiting(proposing)
    approve(proposing, promotion)
    proposing.turn(reconcile=True)
    runs = [f"run-{promotion.job_id}-1", VERSION]
    Noting(proposing.store, proposing.tracking.models).note(promotion, runs)  # as it was before the approval
    assert {promoted for promoted, _ in told(proposing, promotion)} == {False}
    proposing.turn(reconcile=True)
    assert told(proposing, promotion) == {(True, "approved: good")}


def test_of_a_job_that_was_deleted_the_models_run_is_told(proposing: FakeWorker) -> None:
    promotion, models = waiting(proposing), proposing.tracking.models
    approve(proposing, promotion)
    proposing.store.delete_ended(older_than_seconds=-1, limit=1)
    models.noted.clear()
    proposing.turn(reconcile=True)
    assert set(models.noted) == {VERSION}


def test_a_version_that_was_deleted_holds_up_nothing(proposing: FakeWorker) -> None:
    promotion, models = waiting(proposing), proposing.tracking.models
    proposing.store.settle(promotion.id, PromotionState.REJECTED, event=Event.REJECTED, actor="ann", reason="no")
    models.gone.add(VERSION)
    models.noted.clear()
    proposing.turn(reconcile=True)
    assert set(models.noted) == {f"run-{promotion.job_id}-1"}
    assert proposing.store.unnoted() == []


def test_an_answer_that_comes_before_the_jobs_end_is_what_the_job_shows(proposing: FakeWorker) -> None:
    job_id, finish = submit(proposing, mode="approve"), proposing.store.finish

    def answer_first(*arguments: Any) -> Any:
        [promotion] = proposing.store.of_attempt(job_id, 1)
        approve(proposing, promotion)
        return finish(*arguments)

    proposing.store.finish = answer_first  # type: ignore[assignment]
    job = proposing.run(job_id)
    assert job is not None
    decision = (job.result or {})["decision"]
    assert (decision["state"], decision["promoted"], decision["reason"]) == ("promoted", True, "approved: good")
