"""What the service decides about proposed models, on an in-memory registry, wherever a worker is interrupted."""

from dataclasses import replace
from typing import Any

import pytest

from mypackage.gate.proposal import Proposal
from shared.errors import InfrastructureError, LeaseLost
from shared.jobs.promotions import Event, Kind, NewPromotion, Promotion, PromotionState
from shared.jobs.records import Claim, Resolution
from shared.promoting import look_for_foreign
from tests.fakes.model_gate import FakeGate
from tests.fakes.store import MemoryStore
from tests.support.jobs import claimed
from tests.unit.worker.attempt.deciding.proposals import CHAMPION, RUN, proposal
from worker.attempt.deciding import Deciding, result_of


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


def test_what_is_another_jobs_is_neither_promoted_nor_tagged() -> None:
    bench = Bench(proposal("theirs"), values={"theirs": 0.99})
    bench.gate.foreign = {"theirs"}
    [promotion] = bench.run()
    assert promotion.reason == "not promoted: its run, version or files are not of this job"
    assert (bench.champion, promotion.version) == ("1", None)
    assert (list(bench.gate.noted), bench.gate.tags) == ([RUN], {})


def test_a_job_that_says_which_model_it_trains_proposes_no_other() -> None:
    bench = Bench(proposal(version=None), values={RUN: 0.9})
    request = {**bench.claim.job.request, "model_name": "tulips"}
    [promotion] = bench.deciding.run(Claim(replace(bench.claim.job, request=request), bench.claim.token))
    assert promotion.reason == "not promoted: this job trains the model 'tulips', and proposes no other (model_name)"
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
