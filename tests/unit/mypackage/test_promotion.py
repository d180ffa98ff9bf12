"""Gates that decide at the same time, in every order that their calls may come in."""

import math
import random
from collections.abc import Sequence
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.tracking import MlflowClient

from mypackage.gate.alias_moves import AliasMove, promote
from mypackage.gate.champions import find_champion
from mypackage.gate.decision import Challenger, Decision, decide
from mypackage.gate.open_gates import ABANDONED_SECONDS, OpenGates
from mypackage.gate.rules import Rules
from tests.fakes.model_registry import METRIC, FakeRegistry, take_turns

MODEL = "iris"


class Gates:
    """Gates before one registry."""

    def __init__(self, *, lower_is_better: bool = False, champion: float | None = 0.0) -> None:
        self.registry = FakeRegistry()
        self.rules = Rules(lower_is_better=lower_is_better)
        self.decisions: dict[str, Decision] = {}
        self.offered = [] if champion is None else [champion]
        if champion is not None:
            self.registry.aliases["champion"] = self.registry.register(self.sign(champion))

    @property
    def client(self) -> MlflowClient:
        return cast(MlflowClient, self.registry)

    @property
    def champion(self) -> str:
        return self.registry.aliases["champion"]

    @property
    def best(self) -> float:
        """The value of the best model that came, registered or not."""
        return max(self.offered)

    def sign(self, value: float) -> float:
        return -value if self.rules.lower_is_better else value

    def quality(self, version: str) -> float:
        return self.sign(self.registry.values[version])

    def decide(self, value: float | None, *, require_not_fenced: Any = lambda: None) -> None:
        """Pass the gate as mypackage.gate.promotion does."""
        self.offered += [value] if value is not None and math.isfinite(value) else []
        challenger = Challenger(MODEL, METRIC, None if value is None else self.sign(value))
        if not decide(challenger, find_champion(self.client, MODEL, METRIC), self.rules).promoted:
            return
        assert challenger.value is not None
        version = self.registry.register(challenger.value)
        contest = AliasMove(self.client, challenger, version, self.rules, "champion", require_not_fenced)
        self.decisions[version] = promote(contest).decision


def run(gates: Gates, values: Sequence[float | None], choose: Any) -> None:
    take_turns([lambda value=value: gates.decide(value) for value in values], choose)  # type: ignore[misc]


@given(
    values=st.lists(st.integers(0, 4) | st.sampled_from([None, math.nan, math.inf]), min_size=2, max_size=4),
    champion=st.none() | st.integers(0, 4) | st.just(math.nan),
    lower_is_better=st.booleans(),
    schedule=st.data(),
)
@settings(max_examples=300, deadline=None)
def test_whatever_the_order_of_calls_the_best_model_ends_as_champion(
    values: list[float | None], champion: float | None, lower_is_better: bool, schedule: st.DataObject
) -> None:
    gates = Gates(lower_is_better=lower_is_better, champion=champion)
    run(gates, values, lambda count: schedule.draw(st.integers(0, count - 1)))
    check(gates)


@pytest.mark.parametrize("seed", range(20))
def test_many_gates_in_random_orders_end_with_the_best(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    for _ in range(100):
        gates = Gates(champion=chance.choice([None, 0.5]))
        weights = [chance.random() ** 3 for _ in range(6)]  # some are much slower than others

        def choose(count: int, weights: list[float] = weights) -> int:
            return chance.choices(range(count), weights[:count])[0]

        run(gates, [round(chance.random(), 1) for _ in weights], choose)
        check(gates)


def check(gates: Gates) -> None:
    champion = gates.registry.aliases.get("champion")
    if champion is not None and math.isnan(gates.quality(champion)):
        assert gates.registry.moves == []  # nothing can be compared with it
    elif gates.offered:
        assert gates.quality(gates.champion) == gates.best, gates.registry.moves
    promoted = {version for version, decision in gates.decisions.items() if decision.promoted}
    assert champion in promoted or not gates.registry.moves
    assert gates.registry.tags == {}
    assert champion is None or gates.registry.aliases.get("previous") != champion


def test_the_one_that_lost_the_race_says_so() -> None:
    gates = Gates(champion=0.5)
    turns = iter([0] * 3 + [1] * 50 + [0] * 50)
    run(gates, [0.7, 0.9], lambda count: min(next(turns), count - 1))
    assert gates.decisions["3"].promoted
    assert gates.decisions["2"].reason == (
        "not promoted: 0.7 < 0.9: another champion came meanwhile; version 2 stays without the alias"
    )


def test_a_model_whose_attempt_was_given_up_is_not_put_back() -> None:
    gates = Gates(champion=0.5)
    # The first announces its move and stops there; it is fenced; the second promotes, and looks at what it overwrote.
    slow = OpenGates(gates.client, MODEL, "champion", gates.registry.register(0.9))
    slow.announce_move("2")
    gates.registry.fenced.add("2")
    gates.decide(0.7)
    assert gates.champion == "3"


def test_gates_of_another_alias_are_no_rivals() -> None:
    gates = Gates(champion=0.5)
    OpenGates(gates.client, MODEL, "edge", gates.registry.register(0.9)).announce_move("2")
    gates.decide(0.7)
    assert gates.champion == "3"


def test_an_attempt_that_is_given_up_while_it_decides_moves_nothing() -> None:
    class GivenUp(Exception):
        pass

    def refuse() -> None:
        raise GivenUp

    gates = Gates(champion=0.5)
    with pytest.raises(GivenUp):
        gates.decide(0.9, require_not_fenced=refuse)
    assert gates.champion == "1"
    assert gates.registry.moves == []


def test_what_a_killed_gate_left_is_forgotten_after_a_while() -> None:
    gates, now = Gates(champion=0.5), 1_000_000.0
    OpenGates(gates.client, MODEL, "champion", gates.registry.register(0.9), now=lambda: now)
    later = OpenGates(
        gates.client, MODEL, "champion", gates.registry.register(0.7), now=lambda: now + ABANDONED_SECONDS - 5
    )
    later.close()
    assert set(gates.registry.tags) == {"retrain.gate.champion.2", "retrain.gate.champion.3"}
    last = OpenGates(
        gates.client, MODEL, "champion", gates.registry.register(0.8), now=lambda: now + ABANDONED_SECONDS + 5
    )
    last.close()
    assert gates.registry.tags == {}


def test_a_mark_from_the_future_does_not_stay_for_ever() -> None:
    gates = Gates(champion=0.5)
    gates.registry.tags["retrain.gate.champion.7"] = "open 999999999999 7"
    gates.decide(0.9)
    assert gates.champion == "2"
    assert gates.registry.tags == {}


def test_marks_that_others_wrote_are_left_alone() -> None:
    gates = Gates(champion=0.5)
    strange = {"retrain.gate.champion.x": "what?", "retrain.gate.champion.9": "open yesterday 7", "team": "vision"}
    gates.registry.tags.update(strange)
    gates.decide(0.9)
    assert gates.champion == "2"
    assert gates.registry.tags == strange


def test_a_champion_that_somebody_chose_without_a_value_stays() -> None:
    gates = Gates(champion=0.5)
    chosen = gates.registry.register(float("nan"))

    class Somebody(FakeRegistry):
        def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
            super().set_registered_model_alias(name, alias, version)
            self.aliases["champion"] = chosen

    gates.registry.__class__ = Somebody
    gates.decide(0.9)
    assert gates.champion == chosen
    assert not gates.decisions["3"].promoted


def test_gates_that_contradict_each_other_end_and_say_so() -> None:
    gates = Gates(champion=None)

    class Contrary(FakeRegistry):
        def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
            super().set_registered_model_alias(name, alias, version)
            self.aliases.pop("champion", None)

    gates.registry.__class__ = Contrary
    gates.decide(0.9)
    assert "moved to and fro 100 times" in gates.decisions["1"].reason
