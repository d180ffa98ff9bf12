"""What a trigger's cooldown and looks count from, also where the clock was wrong for a time."""

from shared.jobs.model import NewJob
from shared.jobs.store import JobStore
from shared.jobs.triggers import Entry, Kind, NewTrigger, Occurrence, Outcome, Settled, Settlement
from tests.support.clocks import HeldClock
from tests.support.jobs import new_job
from tests.support.stores import MakeStore
from tests.support.triggers import REQUEST

LEASE_SECONDS = 60
HOUR = 3600
WHEN = {"git": {"repository": "github.com/user/iris"}}


def make_trigger(store: JobStore, **policy: object) -> None:
    store.create_trigger(NewTrigger(name="push", template=REQUEST, when=WHEN, policy=policy, kind=Kind.GIT))
    look(store)


def look(store: JobStore, *found: Occurrence) -> list[Settled]:
    """A look that finds these, and what waited."""
    due = store.take_due_trigger(lease_seconds=LEASE_SECONDS)
    assert due is not None
    waiting = tuple(event.occurrence for event in due.waiting)
    entries = tuple(Entry(occurrence=each, new=a_job()) for each in (*waiting, *found))
    return list(store.settle_trigger(due, Settlement(entries=entries, look_at=None)))


def a_job() -> NewJob:
    return new_job(trigger_name="push", triggered_by={"trigger": "push"})


def push(store: JobStore, clock: HeldClock, key: str) -> Outcome:
    """Report it and look at it."""
    store.report("push", Occurrence(key, clock.now))
    [settled] = look(store)
    return settled.event.outcome


def test_a_cooldown_counts_from_the_firing_not_from_what_had_waited_for_it(make_store: MakeStore) -> None:
    clock = HeldClock()
    store = make_store(clock=clock)
    make_trigger(store, cooldown=2 * HOUR)
    assert push(store, clock, "1") is Outcome.FIRED
    clock.pass_seconds(HOUR)
    assert push(store, clock, "2") is Outcome.WAITING
    clock.pass_seconds(HOUR)
    assert [settled.event.outcome for settled in look(store)] == [Outcome.FIRED]
    clock.pass_seconds(HOUR + 60)  # more than two hours after the second was reported, not after it fired
    assert push(store, clock, "3") is Outcome.WAITING


def test_firings_of_a_day_are_those_that_fired_in_it(make_store: MakeStore) -> None:
    clock = HeldClock()
    store = make_store(clock=clock)
    make_trigger(store, max_per_day=1)
    assert push(store, clock, "1") is Outcome.FIRED
    assert push(store, clock, "2") is Outcome.WAITING
    clock.pass_seconds(24 * HOUR)
    assert [settled.event.outcome for settled in look(store)] == [Outcome.FIRED]
    assert push(store, clock, "3") is Outcome.WAITING


def test_a_clock_that_was_ahead_keeps_no_trigger_from_being_looked_at(make_store: MakeStore) -> None:
    clock = HeldClock()
    store = make_store(clock=clock)
    make_trigger(store, cooldown=HOUR)
    right = clock.now
    clock.pass_seconds(365 * 24 * HOUR)
    store.fire_trigger("push", Occurrence("by hand", clock.now), a_job())
    assert push(store, clock, "while ahead") is Outcome.WAITING
    clock.now = right
    [settled] = look(store)
    assert (settled.event.key, settled.event.outcome) == ("while ahead", Outcome.FIRED)
    assert push(store, clock, "later") is Outcome.WAITING
    assert store.take_due_trigger(lease_seconds=LEASE_SECONDS) is None
