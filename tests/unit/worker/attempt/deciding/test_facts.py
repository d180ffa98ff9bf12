"""What a promotion keeps of both models' metrics, for rules that somebody tries on the decision later."""

from collections.abc import Mapping
from dataclasses import replace

from api.replay import Outcome, replay
from mypackage.gate.decision import Challenger, Champion
from mypackage.gate.proposal import Proposal
from shared.jobs.promotions import MOST_OTHER_METRICS, Promotion
from shared.jobs.records import Resolution
from tests.fakes.model_gate import FakeGate
from tests.fakes.store import MemoryStore
from tests.support.jobs import claimed
from tests.unit.worker.attempt.deciding.proposals import CHAMPION, RUN, proposal
from worker.attempt.deciding import Deciding


class MeasuringGate(FakeGate):
    """Has more metrics of each model."""

    metrics: Mapping[str, Mapping[str, float]] = {}

    def challenger(self, proposal: Proposal, metric: str) -> Challenger | None:
        found = super().challenger(proposal, metric)
        return replace(found, metrics={**found.metrics, **self.metrics["ours"]}) if found else None

    def find_champion(self, model: str, alias: str, metric: str) -> Champion | None:
        found = super().find_champion(model, alias, metric)
        return replace(found, metrics={**found.metrics, **self.metrics["theirs"]}) if found else None


def decided(ours: Mapping[str, float], theirs: Mapping[str, float]) -> Promotion:
    store, gate = MemoryStore(), MeasuringGate({RUN: [proposal()]}, {"1": 0.8, RUN: 0.9}, {CHAMPION: "1"})
    gate.metrics = {"ours": ours, "theirs": theirs}
    claim = claimed(store)
    store.resolve(claim, Resolution(run_id=RUN))
    [made] = Deciding(store, gate).run(claim)
    return made


def test_a_new_guardrail_can_be_tried_on_an_old_decision() -> None:
    made = decided({"recall": 0.7}, {"recall": 0.8})
    [tried] = replay([made], {"guardrails": {"recall": 0.05}})
    assert (tried.outcome, tried.now) == (
        Outcome.WOULD_REFUSE,
        "not promoted: 0.9 > 0.8, but recall fell by 0.1, 0.05 is allowed",
    )


def test_of_very_many_metrics_some_are_kept_and_the_deciding_one_always() -> None:
    many = {f"t{number:03}": 0.5 for number in range(1000)}
    kept = set(decided({**many, "system/cpu": 1.0}, {}).facts["challenger"]["metrics"])
    assert kept == {"accuracy", *sorted(many)[:MOST_OTHER_METRICS]}
