"""A champion on probation, from its job to the move back, killed at any point and over restarts of all parts."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mypackage.gate.proposal import Proposal
from shared.errors import InfrastructureError, NotChampion
from shared.jobs.observations import KEPT_DAYS, NewObservation, Verdict, probation_of
from shared.jobs.promotions import Event, Kind, NewPromotion, Promotion, PromotionState
from shared.jobs.records import Claim, Resolution
from shared.probation import find_champion, move_back
from shared.sql import SqlStore
from tests.fakes.model_gate import FakeGate
from tests.support.clocks import HeldClock
from tests.support.jobs import claimed
from tests.support.threads import at_once
from worker.attempt.deciding import Deciding
from worker.sweep.aliases import LEFT_SECONDS, Aliases

CHAMPION, PREVIOUS = ("iris", "champion"), ("iris", "previous")
CALLS = 5  # of the registry, for a value that breaks the rule
PROBATION: dict[str, Any] = {"hours": 1, "max_worsening": 0.05}


class Bench:
    """A registry with champion 1 of value 0.8, and a store that is opened again and again."""

    def __init__(self, url: str) -> None:
        self.url, self.clock = url, HeldClock()
        self.gate = FakeGate(values={"1": 0.8, "2": 0.9}, aliases={CHAMPION: "1"})
        self.store = SqlStore(url, clock=self.clock)

    def restart(self) -> None:
        """Start all parts again."""
        self.store.close()
        self.store = SqlStore(self.url, clock=self.clock)

    def train(self, probation: dict[str, Any], **values: Any) -> Promotion:
        """Let a job propose version 2 on this probation."""
        made = Proposal("iris", "runs:/2/model", "2", "accuracy", False, "champion", 1, True, version="2")
        self.gate.proposed["2"] = [replace(made, **values)]
        claim = claimed(self.store)
        self.store.resolve(claim, Resolution(run_id="2"))
        request = {**claim.job.request, "promotion": {"probation": probation}}
        claim = Claim(replace(claim.job, request=request), claim.token)
        [promotion] = Deciding(self.store, self.gate).run(claim)
        return promotion

    def observe(self, value: float, **values: Any) -> Verdict:
        """Report a value, as the API does."""
        find_champion(self.store, self.gate, "iris")
        seen = self.store.observe(replace(NewObservation("iris", "accuracy", value, "api"), **values))
        if seen.verdict is Verdict.BROKEN:
            move_back(self.store, self.gate, "iris")
        return seen.verdict

    def sweep(self) -> None:
        """Do what any worker does."""
        Aliases(self.store, self.gate).settle()

    @property
    def aliases(self) -> tuple[str | None, str | None]:
        return self.gate.aliases.get(CHAMPION), self.gate.aliases.get(PREVIOUS)

    def moves_back(self) -> list[Event]:
        lines = reversed(self.store.history("iris", limit=99))
        return [each.event for each in lines if each.kind is Kind.PROBATION]


@pytest.fixture
def bench(sqlite_url: str) -> Iterator[Bench]:
    bench = Bench(sqlite_url)
    yield bench
    bench.store.close()


def test_a_job_puts_its_model_on_probation_and_a_bad_value_ends_it(bench: Bench) -> None:
    promotion = bench.train(PROBATION)
    assert (promotion.state, bench.aliases) == (PromotionState.PROMOTED, ("2", "1"))
    rule = probation_of(promotion)
    assert rule is not None
    assert (rule.seconds, rule.metric, rule.lower_is_better, rule.reference) == (3600, "accuracy", False, 0.9)
    bench.restart()
    assert bench.observe(0.86) is Verdict.HOLDS
    bench.clock.pass_seconds(60)
    bench.restart()
    assert bench.observe(0.8) is Verdict.BROKEN
    assert (bench.aliases, bench.moves_back()) == (("1", "2"), [Event.DECIDED, Event.MOVED])
    bench.sweep()
    bench.restart()
    bench.sweep()
    assert (bench.aliases, bench.moves_back()) == (("1", "2"), [Event.DECIDED, Event.MOVED])


def test_a_probation_is_over_after_its_hours_whoever_was_restarted(bench: Bench) -> None:
    bench.train(PROBATION)
    bench.clock.pass_seconds(3599)
    bench.restart()
    assert bench.observe(0.9) is Verdict.HOLDS
    bench.clock.pass_seconds(1)
    bench.restart()
    assert bench.observe(0.1) is Verdict.NOT_JUDGED
    bench.sweep()
    assert bench.aliases == ("2", "1")


def test_a_probation_on_another_metric_has_its_own_direction(bench: Bench) -> None:
    find_champion(bench.store, bench.gate, "iris")
    bench.store.observe(NewObservation("iris", "latency", 20.0, "api"))
    rule = probation_of(bench.train({**PROBATION, "metric": "latency", "direction": "lower_is_better"}))
    assert rule is not None
    assert (rule.metric, rule.lower_is_better, rule.reference) == ("latency", True, None)
    bench.clock.pass_seconds(1)
    assert bench.observe(20.05, metric="latency") is Verdict.HOLDS
    bench.clock.pass_seconds(1)
    assert bench.observe(20.06, metric="latency") is Verdict.BROKEN
    assert bench.aliases == ("1", "2")


def test_a_model_of_another_alias_is_on_no_probation(bench: Bench) -> None:
    assert probation_of(bench.train(PROBATION, alias="staging")) is None


@pytest.mark.parametrize("calls", range(CALLS + 1))
def test_killed_at_any_call_there_is_a_champion_and_the_sweep_ends_the_move(bench: Bench, calls: int) -> None:
    bench.train(PROBATION)
    bench.gate.calls_until_down = calls
    with suppress(InfrastructureError):
        bench.observe(0.1)
    was_killed = bench.gate.calls_until_down < 0
    assert was_killed == (calls < CALLS)
    assert bench.aliases[0] in ("1", "2")
    bench.gate.calls_until_down = None
    bench.clock.pass_seconds(LEFT_SECONDS + 3600)
    bench.restart()
    bench.sweep()
    is_recorded = bool(bench.store.observations("iris", limit=1))
    assert is_recorded == (calls > 0)
    assert bench.aliases == (("1", "2") if is_recorded else ("2", "1"))
    assert bench.moves_back() == ([Event.DECIDED, Event.MOVED] if is_recorded else [])


def test_of_many_bad_values_at_once_one_moves_the_champion(bench: Bench) -> None:
    bench.train(PROBATION)

    def report_and_sweep(number: int) -> None:
        with suppress(NotChampion):  # another was faster
            bench.observe(0.1, at=bench.clock.now + timedelta(seconds=number))
        bench.sweep()

    at_once(6, report_and_sweep)
    assert (bench.aliases, bench.moves_back()) == (("1", "2"), [Event.DECIDED, Event.MOVED])


def test_what_a_move_that_its_worker_left_made_champion_is_observed(bench: Bench) -> None:
    find_champion(bench.store, bench.gate, "iris")
    new = NewPromotion("iris", "champion", Kind.TRAINING, "2", "1", PromotionState.MOVING, "job j", "better")
    bench.store.propose(new, seen=bench.store.last_event(*CHAMPION))
    bench.gate.aliases[CHAMPION] = "2"
    assert bench.observe(0.9, version="2") is Verdict.NOT_JUDGED


def test_a_rollback_that_comes_first_is_not_undone(bench: Bench) -> None:
    bench.train(PROBATION)
    find_champion(bench.store, bench.gate, "iris")
    bench.store.observe(NewObservation("iris", "accuracy", 0.1, "api"))  # and then its API is killed
    back = NewPromotion("iris", "champion", Kind.ROLLBACK, "7", "2", PromotionState.MOVING, "ann", "rather this")
    bench.store.propose(back, seen=bench.store.last_event(*CHAMPION))
    assert move_back(bench.store, bench.gate, "iris") is None  # carries the rollback out, which somebody had left
    bench.sweep()
    assert (bench.aliases, bench.moves_back()) == (("7", "2"), [])


def test_a_move_by_hand_that_nobody_noticed_yet_is_not_undone(bench: Bench) -> None:
    bench.train(PROBATION)
    bench.store.observe(NewObservation("iris", "accuracy", 0.1, "api"))
    bench.gate.aliases[CHAMPION] = "9"
    bench.sweep()
    assert move_back(bench.store, bench.gate, "iris") is None
    assert (bench.aliases[0], bench.moves_back()) == ("9", [])


def test_a_version_that_is_gone_is_told_once_and_holds_up_nothing(bench: Bench) -> None:
    bench.train(PROBATION)
    bench.gate.gone = {"1"}
    assert bench.observe(0.1) is Verdict.BROKEN
    for _ in range(3):
        bench.sweep()
    assert (bench.aliases[0], bench.moves_back()) == ("2", [Event.DECIDED, Event.IMPOSSIBLE])


def test_the_sweep_forgets_what_is_old(bench: Bench) -> None:
    bench.train(PROBATION)
    bench.observe(0.9)
    bench.clock.pass_seconds(KEPT_DAYS * 86400 + 1)
    bench.sweep()
    assert bench.store.observations("iris", limit=9) == []
