"""No store fires anything twice or falls silent where the clock jumps ahead, and back."""

from datetime import timedelta

import pytest

from shared.errors import LeaseLost
from shared.jobs.store import JobStore
from shared.jobs.triggers import Outcome, Settled
from shared.triggers.records import policy_of, when_of
from shared.triggers.ticks import CLOCK_WENT_BACK, due_ticks, occurrence_at
from tests.support.clocks import HeldClock
from tests.support.kept_triggers import (
    BY_THE_MINUTE,
    NAME,
    a_trigger,
    add,
    entry,
    events,
    keys_of_jobs,
    look,
    nothing_is_due,
    report,
    send,
    settle,
    take,
)

AHEAD_SECONDS = 30 * 86400.0


def tick(store: JobStore, name: str = NAME) -> list[Settled]:
    """Do what a worker does with a trigger of the clock that is due."""
    due = take(store)
    found = due_ticks(due.trigger, when_of(due.trigger.when), policy_of(due.trigger.policy), due.now)
    noted = [entry(about, name=name, verdict=verdict) for about, verdict in found.missed]
    fires = [entry(found.fires, name=name)] if found.fires else []
    look_in = (found.next_at - due.now).total_seconds() if found.next_at else None
    return settle(store, due, *noted, *fires, since=found.since, look_in=look_in)


def test_each_tick_fires_once_also_when_the_clock_jumps_ahead_and_back(store: JobStore, clock: HeldClock) -> None:
    add(store, when=BY_THE_MINUTE, policy={"if_running": "queue"})
    store.change_trigger(NAME, a_trigger(when=BY_THE_MINUTE, policy={"if_running": "queue"}))
    right = clock.now
    tick(store)
    for minutes in (1, 2):
        clock.now = right + timedelta(minutes=minutes)
        tick(store)
    clock.now = right + timedelta(seconds=AHEAD_SECONDS)
    ahead = tick(store)
    assert [each.event.outcome for each in ahead] == [*[Outcome.MISSED] * 100, Outcome.FIRED]
    clock.now = right + timedelta(seconds=61)  # back, to what has fired already
    for _ in range(3):
        tick(store)
        clock.pass_seconds(60)
    assert store.forget_trigger_events(older_than_days=1, most=1) == 0  # these times are yet to come
    clock.now = right + timedelta(seconds=AHEAD_SECONDS)
    tick(store)
    keys = keys_of_jobs(store)
    expected = [*(right + timedelta(minutes=number) for number in (1, 2, 3)), right + timedelta(seconds=AHEAD_SECONDS)]
    assert sorted(keys) == sorted(occurrence_at(at).key for at in expected)
    assert max(each.times for each in events(store)) == 1


def test_a_clock_that_was_ahead_holds_no_trigger_and_no_wait_until_then(store: JobStore, clock: HeldClock) -> None:
    add(store, policy={"cooldown": 60})
    right = clock.now
    clock.pass_seconds(AHEAD_SECONDS)
    send(store, "signal 1")
    assert send(store, "signal 2").event.outcome is Outcome.WAITING
    clock.now = right
    [settled] = look(store)
    assert (settled.event.key, settled.event.outcome) == ("signal 2", Outcome.FIRED)
    clock.pass_seconds(1)
    assert nothing_is_due(store)
    assert send(store, "signal 3").event.reason.startswith("cooldown until 2030-01-01 00:01:00")


def test_a_clock_that_goes_back_a_little_shortens_no_cooldown(store: JobStore, clock: HeldClock) -> None:
    add(store, policy={"cooldown": 60})
    seconds = CLOCK_WENT_BACK.total_seconds()
    clock.pass_seconds(seconds)
    send(store, "signal 1")
    clock.pass_seconds(-seconds)
    assert send(store, "signal 2").event.until == clock.now + timedelta(seconds=60 + seconds)


@pytest.mark.parametrize("seconds", [120, 3600])
def test_a_trigger_of_the_clock_goes_on_at_once_when_the_clock_is_set_back(
    store: JobStore, clock: HeldClock, seconds: int
) -> None:
    policy = {"if_running": "queue"}
    store.create_trigger(a_trigger(when=BY_THE_MINUTE, policy=policy))
    tick(store)
    clock.pass_seconds(seconds)
    tick(store)
    clock.pass_seconds(-seconds)
    tick(store)
    clock.pass_seconds(60)
    [settled] = [each for each in tick(store) if each.event.at == clock.now]
    assert settled.event.outcome in (Outcome.FIRED, Outcome.MISSED)  # missed, where it was told so while it was ahead


def test_a_lease_of_a_clock_that_was_ahead_is_over(store: JobStore, clock: HeldClock) -> None:
    add(store)
    report(store, "signal 1")
    clock.pass_seconds(AHEAD_SECONDS)
    lost = take(store)
    clock.pass_seconds(-AHEAD_SECONDS)
    assert [each.event.outcome for each in look(store)] == [Outcome.FIRED]
    with pytest.raises(LeaseLost):
        settle(store, lost)
