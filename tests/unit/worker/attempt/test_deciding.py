"""What the service decides about proposed models, on an in-memory registry, wherever a worker is interrupted."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mypackage.gate.proposal import Proposal
from shared.errors import AttemptError, Code, InfrastructureError, InternalError, LeaseLost
from shared.jobs.model import JobState
from shared.jobs.promotions import Event, Kind, NewPromotion, Promotion, PromotionState
from shared.jobs.records import Claim, Resolution
from shared.promoting import look_for_foreign
from tests.fakes.model_gate import FakeGate
from tests.fakes.store import MemoryStore
from tests.fakes.worker import FakeWorker
from tests.support.jobs import claimed
from worker.attempt.deciding import Deciding, result_of

RUN = "run"
CHAMPION = ("iris", "champion")


def proposal(run_id: str = RUN, **values: Any) -> Proposal:
    made = Proposal("iris", f"runs:/{run_id}/model", run_id, "accuracy", False, "champion", 1, True, version=run_id)
    return replace(made, **values)


class Bench:
    """A claimed attempt, a registry with a champion 1 of value 0.8, and proposals."""

    def __init__(self, *proposals: Proposal, values: dict[str, float], champion: str | None = "1") -> None:
        self.store = MemoryStore()
        self.claim = claimed(self.store)
        self.store.resolve(self.claim, Resolution(run_id=RUN))
        self.gate = FakeGate(proposed={RUN: list(proposals)}, values={"1": 0.8, **values})
        if champion:
            self.gate.aliases[CHAMPION] = champion
        self.deciding = Deciding(self.store, self.gate, is_enforced=True)

    def run(self) -> list[Promotion]:
        return list(self.deciding.run(self.claim))

    @property
    def champion(self) -> str | None:
        return self.gate.aliases.get(CHAMPION)

    def events(self) -> list[tuple[Event, Kind, str | None]]:
        return [(each.event, each.kind, each.version) for each in reversed(self.store.history("iris", limit=99))]


def test_a_better_model_becomes_champion_and_the_history_says_so() -> None:
    bench = Bench(proposal(), values={RUN: 0.9})
    [promotion] = bench.run()
    assert (promotion.state, promotion.reason) == (PromotionState.PROMOTED, "promoted: 0.9 > 0.8")
    assert (bench.champion, bench.gate.aliases["iris", "previous"]) == (RUN, "1")
    assert bench.events() == [
        (Event.DECIDED, Kind.FOREIGN, "1"),  # champion before there was a history
        (Event.MOVED, Kind.FOREIGN, "1"),
        (Event.DECIDED, Kind.TRAINING, RUN),
        (Event.MOVED, Kind.TRAINING, RUN),
    ]
    assert '"promoted": true' in bench.gate.noted[RUN]
    assert bench.gate.tags["iris", RUN]["retrain.promoted"] == "true"
    assert promotion.facts["challenger"]["value"] == 0.9
    shown = result_of([promotion], is_enforced=True)
    assert shown is not None
    assert (shown["promoted"], shown["state"], shown["id"], shown["enforced"]) == (
        True,
        "promoted",
        promotion.id,
        True,
    )


def test_a_worse_model_is_recorded_and_moves_nothing() -> None:
    bench = Bench(proposal(), values={RUN: 0.7})
    [promotion] = bench.run()
    assert (promotion.state, promotion.reason) == (PromotionState.NOT_PROMOTED, "not promoted: 0.7 < 0.8")
    assert (bench.champion, bench.gate.moves) == ("1", [])


def test_what_the_training_expected_does_not_count() -> None:
    assert Bench(proposal(expects=True), values={RUN: 0.7}).run()[0].state is PromotionState.NOT_PROMOTED
    unexpected = Bench(proposal(expects=False, version=None), values={RUN: 0.9})
    assert unexpected.run()[0].version == RUN  # registered by the service
    assert unexpected.champion == RUN


def test_the_first_model_becomes_champion() -> None:
    bench = Bench(proposal(), values={RUN: 0.1}, champion=None)
    assert bench.run()[0].before is None
    assert bench.champion == RUN


def test_proposals_are_decided_in_the_order_of_the_calls() -> None:
    several = [proposal(f"r{number}", at=number) for number in range(4)]
    bench = Bench(*several, values={"r0": 0.85, "r1": 0.7, "r2": 0.95, "r3": 0.9})
    states = [each.state == PromotionState.PROMOTED for each in bench.run()]
    assert (states, bench.champion) == ([True, False, True, False], "r2")


def test_another_jobs_run_is_not_a_models_own() -> None:
    bench = Bench(proposal("theirs"), values={"theirs": 0.99})
    bench.gate.foreign = {"theirs"}
    [promotion] = bench.run()
    assert promotion.reason == "not promoted: its run or version is not of this job"
    assert bench.champion == "1"


ODD = [
    {"min_delta": "x"},
    {"min_delta": -1},
    {"min_delta": 10**400},
    {"guardrails": 3},
    {"guardrails": [1]},
    {"guardrails": {"recall": {}}},
    {"direction": "up"},
    {"guardrail_directions": [1]},
]


@pytest.mark.parametrize("rules", ODD)
def test_rules_that_cannot_be_read_promote_nothing(rules: dict[str, Any]) -> None:
    [promotion] = Bench(proposal(rules=rules), values={RUN: 0.9}).run()
    assert promotion.reason.startswith("not promoted: its rules")


def test_a_version_that_was_deleted_meanwhile_does_not_hold_up_the_next_one() -> None:
    bench = Bench(proposal("r1", at=1), proposal("r2", at=2), values={"r1": 0.9, "r2": 0.85})
    bench.gate.gone = {"r1"}
    gone, other = bench.run()
    assert (gone.state, other.state, bench.champion) == (PromotionState.IMPOSSIBLE, PromotionState.PROMOTED, "r2")
    assert bench.gate.noted["r1"].startswith('{"promoted": false')


def test_an_alias_that_cannot_be_promotes_nothing_and_is_told() -> None:
    bench = Bench(proposal(alias="no alias"), values={RUN: 0.9})
    [promotion] = bench.run()
    assert promotion.state is PromotionState.IMPOSSIBLE
    assert (Event.IMPOSSIBLE, Kind.TRAINING, RUN) in bench.events()


def test_what_waits_for_approval_is_not_called_promoted() -> None:
    bench = Bench(proposal(), values={RUN: 0.9})
    request = {**bench.claim.job.request, "promotion": {"approve_below": 0.2}}
    claim = Claim(replace(bench.claim.job, request=request), bench.claim.token)
    [promotion] = bench.deciding.run(claim)
    shown = result_of([promotion], is_enforced=True) or {}
    assert (shown["promoted"], shown["state"], shown["reason"]) == (
        False,
        "awaiting_approval",
        "waits for approval: 0.9 > 0.8",
    )
    assert (bench.champion, bench.gate.tags["iris", RUN]["retrain.promoted"]) == ("1", "false")


def test_an_alias_that_never_stands_still_is_tried_again_later() -> None:
    bench = Bench(proposal(), values={RUN: 0.9})
    versions = (str(number) for number in range(10, 10_000))
    bench.gate.find_version = lambda _model, _alias: next(versions)  # type: ignore[assignment,method-assign]
    with pytest.raises(InfrastructureError, match="keeps moving"):
        bench.run()


def test_a_decision_is_made_once_wherever_mlflow_goes_away() -> None:
    calls = 0
    while True:
        bench = Bench(proposal(), values={RUN: 0.9})
        bench.gate.calls_until_down = calls
        try:
            bench.run()
        except InfrastructureError:
            assert bench.champion in ("1", RUN)
        else:
            break
        bench.gate.calls_until_down = None
        [promotion] = bench.run()
        assert (promotion.state, bench.champion) == (PromotionState.PROMOTED, RUN)
        assert [event for event, kind, _ in bench.events() if kind is Kind.TRAINING] == [Event.DECIDED, Event.MOVED]
        calls += 1
    assert calls > 5


def test_a_move_by_hand_between_decision_and_move_is_noted_and_decided_against() -> None:
    bench = Bench(proposal(), values={RUN: 0.9, "7": 0.95})
    original, done = bench.store.propose, list[bool]()

    def propose(new: NewPromotion, **rest: Any) -> Promotion:
        made = original(new, **rest)
        if new.kind is Kind.TRAINING and not done:
            done.append(True)
            bench.gate.aliases[CHAMPION] = "7"
        return made

    bench.store.propose = propose  # type: ignore[method-assign]
    [promotion] = bench.run()
    assert (promotion.state, promotion.reason) == (PromotionState.NOT_PROMOTED, "not promoted: 0.9 < 0.95")
    assert bench.champion == "7"
    assert (Event.MOVED, Kind.FOREIGN, "7") in bench.events()


def test_a_move_that_another_worker_left_is_carried_out_first() -> None:
    bench = Bench(proposal(), values={RUN: 0.9, "5": 0.95})
    look_for_foreign(bench.store, bench.gate, *CHAMPION)
    left = NewPromotion("iris", "champion", Kind.TRAINING, "5", "1", PromotionState.MOVING, "job x", "promoted")
    bench.store.propose(left, seen=bench.store.last_event(*CHAMPION))
    [promotion] = bench.run()
    assert (promotion.state, bench.champion) == (PromotionState.NOT_PROMOTED, "5")
    assert (Event.MOVED, Kind.TRAINING, "5") in bench.events()


def test_who_lost_the_lease_promotes_nothing() -> None:
    bench = Bench(proposal(), values={RUN: 0.9})
    bench.store.release(bench.claim)
    with pytest.raises(LeaseLost):
        bench.run()
    assert (bench.champion, bench.gate.moves) == ("1", [])


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
    monkeypatch.setattr("worker.attempt.finishing.PATIENCE_SECONDS", 0)
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
