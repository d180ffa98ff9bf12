"""Observations of champions: judged by the probation of the last move, on the store's clock, each once."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.errors import NotChampion, ObservationRefused
from shared.jobs.observations import FAR, KEPT_DAYS, NewObservation, Observation, UnderWay, Verdict
from shared.jobs.promotions import CHAMPION, Event, Kind, NewPromotion, Promotion, PromotionState
from shared.jobs.store import JobStore
from tests.support.clocks import HeldClock
from tests.support.stores import MakeStore
from tests.support.threads import at_once

HOUR = 3600.0
RULE = {
    "seconds": HOUR,
    "metric": "accuracy",
    "lower_is_better": False,
    "max_worsening": 0.05,
    "reference": 0.9,
}
MOVE = NewPromotion("iris", CHAMPION, Kind.TRAINING, "2", "1", PromotionState.MOVING, "job j", "promoted: 0.9 > 0.8")


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture
def store(make_store: MakeStore, clock: HeldClock) -> JobStore:
    """A store on that clock."""
    return make_store(clock=clock)


def moved(store: JobStore, version: str = "2", before: str | None = "1", **values: Any) -> Promotion:
    """Let the version become champion."""
    new = replace(MOVE, version=version, before=before, **values)
    return store.carried_out(store.propose(new, seen=store.last_event(new.model, CHAMPION)).id)


def on_probation(store: JobStore, version: str = "2", before: str | None = "1", **rule: Any) -> Promotion:
    """Let the version become champion on probation."""
    return moved(store, version, before, facts={"probation": {**RULE, **rule}})


def observe(store: JobStore, value: float, **values: Any) -> Observation:
    return store.observe(replace(NewObservation("iris", "accuracy", value, "api"), **values))


def probation(store: JobStore) -> UnderWay:
    found = store.probations("iris")["iris"]
    assert store.probations() == {"iris": found}
    assert store.probations("roses") == {}
    return found


@pytest.mark.parametrize(
    ("value", "verdict", "reason"),
    [
        (0.9, Verdict.HOLDS, "accuracy 0.9 is not worse than 0.9"),
        (0.85, Verdict.HOLDS, "accuracy 0.85 is worse than 0.9 by 0.05, and 0.05 is allowed"),
        (0.8499, Verdict.BROKEN, "accuracy 0.8499 is worse than 0.9 by 0.0501, and 0.05 is allowed"),
    ],
)
def test_a_champion_on_probation_is_judged(store: JobStore, value: float, verdict: Verdict, reason: str) -> None:
    begun = on_probation(store)
    seen = observe(store, value, n=450)
    assert (seen.verdict, seen.reason, seen.promotion_id) == (verdict, reason, begun.id)
    assert (seen.version, seen.n, seen.actor, seen.at) == ("2", 450, "api", seen.received_at)
    assert store.broken() == store.broken("iris") == ([seen] if verdict is Verdict.BROKEN else [])
    assert store.broken("roses") == []


def test_where_lower_is_better_more_is_worse(store: JobStore, clock: HeldClock) -> None:
    on_probation(store, lower_is_better=True, reference=1.0, max_worsening=0.2)
    assert probation(store).bound == 1.2
    assert observe(store, 0.1, at=clock.now).verdict is Verdict.HOLDS
    clock.pass_seconds(1)
    assert observe(store, 1.201).verdict is Verdict.BROKEN


def test_what_the_probation_says_of_itself(store: JobStore, clock: HeldClock) -> None:
    begun = on_probation(store)
    observe(store, 0.9)
    clock.pass_seconds(1)
    observe(store, 0.1)
    observe(store, 0.1, metric="loss")
    found = probation(store)
    assert (found.promotion_id, found.version, found.before, found.reference) == (begun.id, "2", "1", 0.9)
    assert (found.bound, found.observations, found.broken) == (0.85, 2, 1)
    assert found.until - found.since == timedelta(hours=1)


def test_a_probation_ends_by_the_clock_of_the_store(store: JobStore, clock: HeldClock) -> None:
    on_probation(store)
    clock.pass_seconds(HOUR - 1)
    assert observe(store, 0.9).verdict is Verdict.HOLDS
    clock.pass_seconds(1)
    assert store.probations("iris") == {}
    late = observe(store, 0.1)
    assert (late.verdict, late.reason) == (Verdict.NOT_JUDGED, "the champion is not on probation")


def test_what_broke_the_rule_in_time_counts_after_it(store: JobStore, clock: HeldClock) -> None:
    on_probation(store)
    seen = observe(store, 0.1)
    clock.pass_seconds(2 * HOUR)
    assert store.broken("iris") == [seen]


def test_what_is_not_judged_is_recorded_and_says_why(store: JobStore, clock: HeldClock) -> None:
    moved(store, "1", None)
    assert observe(store, 0.1).reason == "the champion is not on probation"
    clock.pass_seconds(60)
    on_probation(store)
    assert observe(store, 0.1, metric="loss").reason == "the probation is about accuracy"
    early = observe(store, 0.1, version="2", at=clock.now - timedelta(seconds=1))
    assert early.reason.startswith("it is from before the probation, which began at 2030-01-01T00:01:00")
    assert {each.verdict for each in store.observations("iris", limit=9)} == {Verdict.NOT_JUDGED}
    assert store.broken() == []


def test_another_metric_is_compared_with_what_was_observed_of_the_version_before(
    store: JobStore, clock: HeldClock
) -> None:
    moved(store, "1", None)
    observe(store, 0.0, metric="clicks")  # longer before the move than the probation takes
    clock.pass_seconds(HOUR + 1)
    observe(store, 0.2, metric="clicks", n=100)
    observe(store, 0.9, metric="sales")
    clock.pass_seconds(1)
    observe(store, 0.4, metric="clicks", n=300)
    on_probation(store, metric="clicks", reference=None)
    found = probation(store)
    assert found.reference == pytest.approx(0.35)
    assert found.bound == pytest.approx(0.30)
    assert observe(store, 0.31, metric="clicks").verdict is Verdict.HOLDS
    clock.pass_seconds(1)
    assert observe(store, 0.29, metric="clicks").verdict is Verdict.BROKEN


def test_the_least_number_that_there_is_has_a_mean(store: JobStore, clock: HeldClock) -> None:
    moved(store, "1", None)
    observe(store, 5e-324, metric="clicks")
    clock.pass_seconds(1)
    observe(store, 0.0, metric="clicks")
    on_probation(store, metric="clicks", reference=None)
    assert probation(store).reference == 0.0


def test_with_nothing_to_compare_with_nothing_is_judged(store: JobStore, clock: HeldClock) -> None:
    moved(store, "1", None)
    on_probation(store, metric="clicks", reference=None)
    assert probation(store).bound is None
    seen = observe(store, 0.1, metric="clicks")
    assert (seen.verdict, seen.reason) == (
        Verdict.NOT_JUDGED,
        "there is nothing to compare it with: the gate did not decide on clicks, and nobody reported it of version 1 "
        "in the 1 h before the move",
    )
    clock.pass_seconds(1)
    on_probation(store, "3", None, metric="clicks", reference=None)
    assert "no version was before" in observe(store, 0.1, metric="clicks").reason


def test_a_first_champion_has_nothing_to_go_back_to(store: JobStore) -> None:
    on_probation(store, before=None)
    seen = observe(store, 0.1)
    assert (seen.verdict, store.broken()) == (Verdict.BROKEN, [])
    assert seen.reason.endswith("there is no version to go back to")


def test_another_version_than_the_champion_is_not_observed(store: JobStore) -> None:
    with pytest.raises(NotChampion) as refusal:
        observe(store, 0.9)
    assert refusal.value.facts["champion"] is None
    on_probation(store)
    assert observe(store, 0.9, version="2").version == "2"
    for version in ("1", "3"):
        with pytest.raises(NotChampion) as refusal:
            observe(store, 0.9, version=version)
        assert refusal.value.facts["champion"] == "2"


def test_the_same_observation_twice_is_one(store: JobStore, clock: HeldClock) -> None:
    on_probation(store)
    at = clock.now
    clock.pass_seconds(5)
    seen = observe(store, 0.1, at=at)
    clock.pass_seconds(5)
    assert observe(store, 0.1, at=at) == seen
    assert store.observations("iris", limit=9) == [seen]
    for value, n in ((0.2, 1), (0.1, 7)):
        with pytest.raises(ObservationRefused):
            observe(store, value, at=at, n=n)
    assert observe(store, 0.1, at=at, metric="loss").number != seen.number


def test_a_known_observation_stays_known_when_its_version_is_champion_no_more(
    store: JobStore, clock: HeldClock
) -> None:
    on_probation(store)
    at = clock.now + FAR / 2  # by another clock
    seen = observe(store, 0.1, at=at)
    clock.pass_seconds(1)
    moved(store, "1", "2", kind=Kind.PROBATION)
    assert observe(store, 0.1, at=at) == observe(store, 0.1, at=at, version="2") == seen
    with pytest.raises(ObservationRefused):
        observe(store, 0.2, at=at)
    assert store.observations("iris", limit=9) == [seen]


def test_a_late_report_is_not_taken_for_one_about_the_next_champion(store: JobStore, clock: HeldClock) -> None:
    before = clock.now
    clock.pass_seconds(1)
    moved(store, "1", None)
    first = clock.now
    clock.pass_seconds(1)
    on_probation(store)
    with pytest.raises(NotChampion) as refusal:
        observe(store, 0.1, at=first)
    assert (refusal.value.facts["champion"], "version 1" in str(refusal.value)) == ("2", True)
    assert observe(store, 0.1, at=before).version == "2"  # from before the history began
    assert observe(store, 0.1, at=clock.now).version == "2"


def test_of_many_reports_of_one_observation_one_is_recorded(store: JobStore, clock: HeldClock) -> None:
    on_probation(store)
    numbers = set[int]()
    at_once(8, lambda _: numbers.add(observe(store, 0.1, at=clock.now).number))
    assert len(numbers) == len(store.observations("iris", limit=9)) == 1


@pytest.mark.parametrize("away", [FAR + timedelta(seconds=1), timedelta(days=-KEPT_DAYS, seconds=-1)])
def test_a_time_that_is_too_far_away_is_refused(store: JobStore, clock: HeldClock, away: timedelta) -> None:
    on_probation(store)
    with pytest.raises(ObservationRefused):
        observe(store, 0.9, at=clock.now + away)
    assert store.observations("iris", limit=9) == []
    assert observe(store, 0.9, at=clock.now + FAR).verdict is Verdict.HOLDS


@pytest.mark.parametrize("kind", [Kind.ROLLBACK, Kind.FOREIGN, Kind.TRAINING])
def test_an_old_probation_moves_nobody(store: JobStore, kind: Kind) -> None:
    on_probation(store)
    seen = observe(store, 0.1)
    assert store.broken() == [seen]
    moved(store, "1", "2", kind=kind)
    moved(store, "2", "1", kind=kind)  # even the same version: somebody wanted it after all
    assert (store.broken(), store.probations()) == ([], {})
    assert observe(store, 0.2, at=seen.at + timedelta(seconds=1)).verdict is Verdict.NOT_JUDGED


def test_a_move_back_that_the_registry_refused_is_not_tried_again(store: JobStore, clock: HeldClock) -> None:
    begun = on_probation(store)
    seen = observe(store, 0.1)
    back = replace(MOVE, version="1", before="2", kind=Kind.PROBATION)
    made = store.propose(back, seen=store.last_event("iris", CHAMPION))
    assert store.broken() == [seen]
    gone = PromotionState.IMPOSSIBLE
    store.settle(made.id, gone, event=Event.IMPOSSIBLE, actor="probation", reason="there is no version 1")
    assert store.broken() == []
    assert probation(store).promotion_id == begun.id
    moved(store, "3", "2")
    clock.pass_seconds(1)
    on_probation(store, "4", "3")
    other = observe(store, 0.1)
    assert store.broken() == [other]


def test_pages_of_observations(store: JobStore, clock: HeldClock) -> None:
    on_probation(store)
    for value in (0.9, 0.8, 0.7):
        clock.pass_seconds(1)
        observe(store, value)
    observe(store, 0.1, metric="loss")
    every = store.observations("iris", limit=9)
    assert [each.value for each in every] == [0.1, 0.7, 0.8, 0.9]
    assert store.observations("iris", limit=2, before_number=every[1].number) == every[2:]
    assert store.observations("iris", metric="loss", limit=9) == every[:1]
    assert store.observations("iris", version="1", limit=9) == store.observations("roses", limit=9) == []


def test_old_observations_and_all_but_the_newest_are_forgotten(store: JobStore, clock: HeldClock) -> None:
    on_probation(store)
    for value in (0.9, 0.91, 0.92, 0.93):
        clock.pass_seconds(HOUR / 4)
        observe(store, value)
    assert store.forget_observations(older_than_days=1, most=9) == 0
    assert store.forget_observations(older_than_days=0.025, most=9) == 1
    assert store.forget_observations(older_than_days=1, most=2) == 1
    assert [each.value for each in store.observations("iris", limit=9)] == [0.93, 0.92]


def test_many_reports_of_a_champion_do_not_push_out_what_it_is_compared_with(store: JobStore, clock: HeldClock) -> None:
    moved(store, "1", None)
    observe(store, 0.4, metric="clicks")
    clock.pass_seconds(1)
    on_probation(store, metric="clicks", reference=None)
    for _ in range(4):
        clock.pass_seconds(1)
        observe(store, 0.4, metric="clicks")
    assert store.forget_observations(older_than_days=1, most=3) == 1
    assert probation(store).reference == 0.4


def test_a_probation_in_the_form_of_a_later_version_is_none(store: JobStore) -> None:
    moved(store, facts={"probation": {"rules": []}})
    assert store.probations("iris") == {}
    on_probation(store, "3", "2", shadow=True)
    assert probation(store).rule.metric == "accuracy"
