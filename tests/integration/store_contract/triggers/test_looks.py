"""How every store lets one worker look at a trigger, and records what it found in one transaction, once."""

import time
from contextlib import suppress
from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from shared.errors import LeaseLost
from shared.jobs.model import JobState
from shared.jobs.records import JobFilter
from shared.jobs.store import JobStore
from shared.jobs.triggers import Entry, Kind, Occurrence, Outcome, Settlement, Verdict
from shared.sql import SqlStore
from tests.support.clocks import HeldClock
from tests.support.jobs import SUCCEEDED, claim
from tests.support.kept_triggers import (
    BY_THE_MINUTE,
    LEASE_SECONDS,
    NAME,
    a_trigger,
    add,
    entry,
    events,
    keys_of_jobs,
    look,
    nothing_is_due,
    occurrence,
    outcomes,
    report,
    send,
    settle,
    take,
)
from tests.support.threads import at_once


def test_a_new_trigger_is_looked_at_at_once_and_then_when_its_worker_says(store: JobStore, clock: HeldClock) -> None:
    made = store.create_trigger(a_trigger(secret=b"sealed"))
    due = take(store)
    assert (due.trigger, due.now, due.secret, due.waiting) == (made, clock.now, b"sealed", ())
    assert "sealed" not in repr(due)
    settle(store, due, look_in=90)
    after = store.get_trigger(NAME)
    assert (after.look_at, after.looked_at) == (clock.now + timedelta(seconds=90), clock.now)
    clock.pass_seconds(89)
    assert nothing_is_due(store)
    clock.pass_seconds(1)
    look(store)
    assert store.get_trigger(NAME).look_at is None
    clock.pass_seconds(1e8)
    assert nothing_is_due(store)


def test_the_trigger_that_has_been_due_longest_comes_first_and_only_of_the_kinds_asked_for(
    store: JobStore, clock: HeldClock
) -> None:
    for name, when in (("slow", BY_THE_MINUTE), ("first", {"signal": {}}), ("second", {"signal": {}})):
        store.create_trigger(a_trigger(name, when=when))
        clock.pass_seconds(1)
    assert take(store, kinds=[Kind.SIGNAL]).trigger.name == "first"
    assert take(store, kinds=[Kind.SIGNAL, Kind.GIT]).trigger.name == "second"
    assert store.take_due_trigger(lease_seconds=LEASE_SECONDS, kinds=[Kind.SIGNAL]) is None
    assert take(store).trigger.name == "slow"
    assert nothing_is_due(store)


def test_what_is_reported_is_looked_at_at_once_also_during_a_look(store: JobStore) -> None:
    add(store)
    report(store, "signal 1")
    due = take(store)
    report(store, "signal 2")
    settle(store, due, look_in=3600)
    [settled] = look(store, look_in=3600)
    assert settled.event.key == "signal 2"
    assert outcomes(store) == [("signal 1", "fired"), ("signal 2", "fired")]
    assert nothing_is_due(store)


def test_nobody_else_gets_a_trigger_before_the_lease_ends_and_then_the_first_has_lost_it(
    store: JobStore, clock: HeldClock
) -> None:
    add(store)
    about = report(store, "signal 1").occurrence
    first = take(store)
    clock.pass_seconds(LEASE_SECONDS - 1)
    assert nothing_is_due(store)
    clock.pass_seconds(1)
    second = take(store)
    assert second.token > first.token
    with pytest.raises(LeaseLost):
        settle(store, first)
    assert outcomes(store) == [("signal 1", "waiting")]
    assert [each.event.outcome for each in settle(store, second)] == [Outcome.FIRED]
    assert store.report(NAME, about).outcome is Outcome.FIRED
    with pytest.raises(LeaseLost):
        settle(store, first)
    assert keys_of_jobs(store) == ["signal 1"]


def test_a_late_worker_may_settle_while_nobody_has_taken_it(store: JobStore, clock: HeldClock) -> None:
    add(store)
    report(store, "signal 1")
    due = take(store)
    clock.pass_seconds(LEASE_SECONDS * 10)
    assert [each.event.outcome for each in settle(store, due)] == [Outcome.FIRED]


@pytest.mark.parametrize("what", ["paused", "all paused", "changed", "deleted", "made anew", "paused and resumed"])
def test_what_was_found_before_a_change_is_not_recorded(store: JobStore, what: str) -> None:
    add(store)
    report(store, "signal 1")
    due = take(store)
    if what in ("paused", "paused and resumed"):
        store.pause_trigger(NAME, reason="")
    if what == "paused and resumed":
        store.resume_trigger(NAME)
    if what == "all paused":
        store.pause_triggers(reason="")
    if what == "changed":
        store.change_trigger(NAME, a_trigger(policy={"cooldown": 1}))
    if what in ("deleted", "made anew"):
        store.delete_trigger(NAME)
    if what == "made anew":
        store.create_trigger(a_trigger())
    with pytest.raises(LeaseLost):
        settle(store, due)
    assert store.list(JobFilter(trigger=NAME), limit=1) == []


def test_a_pause_of_all_and_its_end_take_back_what_was_taken_before(store: JobStore) -> None:
    add(store)
    report(store, "signal 1")
    due = take(store)
    store.pause_triggers(reason="")
    store.resume_triggers()
    with pytest.raises(LeaseLost):
        settle(store, due)
    assert outcomes(store) == [("signal 1", "skipped")]


def test_a_changed_trigger_is_looked_at_again_at_once(store: JobStore) -> None:
    add(store)
    report(store, "signal 1")
    take(store)
    store.change_trigger(NAME, a_trigger(policy={"cooldown": 1}))
    assert [each.event.outcome for each in look(store)] == [Outcome.FIRED]


def test_of_many_workers_that_look_each_occurrence_fires_for_one(store: JobStore) -> None:
    names = [f"trigger-{number}" for number in range(5)]
    for name in names:
        add(store, name)
    for name in names:
        for number in range(3):
            report(store, f"signal {number}", name=name, subject=str(number))

    def work(_number: int) -> int:
        fired = 0
        while (due := store.take_due_trigger(lease_seconds=LEASE_SECONDS)) is not None:
            fired += len(settle(store, due))
        return fired

    assert sum(at_once(6, work)) == 15
    for name in names:
        jobs = store.list(JobFilter(trigger=name), limit=99)
        assert sorted((job.triggered_by or {})["key"] for job in jobs) == ["signal 0", "signal 1", "signal 2"]
        assert {each.job_id for each in events(store, name)} == {job.id for job in jobs}


def test_when_a_pause_of_all_is_answered_nothing_fires_any_more(store: JobStore) -> None:
    add(store)
    for number in range(60):
        report(store, f"signal {number}", subject=str(number))
    paused: list[list[str]] = []

    def fire_or_pause(who: int) -> None:
        if who == 0:
            while not keys_of_jobs(store):
                time.sleep(0.005)
            store.pause_triggers(reason="")
            paused.append(keys_of_jobs(store))
        while (due := store.take_due_trigger(lease_seconds=LEASE_SECONDS)) is not None:
            with suppress(LeaseLost):
                first = entry(due.waiting[0].occurrence)  # the others wait for the next look
                store.settle_trigger(due, Settlement(entries=(first,), look_at=None))

    at_once(4, fire_or_pause)
    assert paused == [keys_of_jobs(store)]


def test_a_settlement_that_fails_leaves_nothing(sql_store: SqlStore) -> None:
    add(sql_store)
    report(sql_store, "signal 1")
    due, before = take(sql_store), sql_store.get_trigger(NAME)
    good = entry(occurrence(sql_store, "a"))
    with pytest.raises(IntegrityError):
        settle(sql_store, due, good, Entry(occurrence=occurrence(sql_store, "b"), new=good.new))  # the same job again
    assert sql_store.list(JobFilter(trigger=NAME), limit=1) == []
    assert outcomes(sql_store) == [("signal 1", "waiting")]
    assert sql_store.get_trigger(NAME) == before


def test_a_job_and_its_row_point_at_each_other(store: JobStore, clock: HeldClock) -> None:
    add(store)
    fired = send(store, "signal 1", facts={"value": 0.3})
    assert fired.job is not None
    assert (fired.job.state, fired.job.trigger_name, fired.job.created_at) == (JobState.QUEUED, NAME, clock.now)
    assert store.get(fired.job.id) == fired.job
    event = fired.event
    assert (event.job_id, event.outcome, event.reason, event.until) == (
        fired.job.id,
        "fired",
        "signal: value 0.3",
        None,
    )
    assert events(store) == [event]
    assert store.get_trigger(NAME).fired_at == clock.now


@pytest.mark.parametrize("outcome", [each for each in Outcome if each is not Outcome.FIRED])
def test_what_is_only_noted_is_kept_with_its_reason(store: JobStore, clock: HeldClock, outcome: Outcome) -> None:
    add(store)
    report(store, "signal 1")
    until = clock.now + timedelta(hours=1) if outcome is Outcome.WAITING else None
    about = occurrence(store, "key", after=-5, subject="main", facts={"revision": "4f2a"})
    due = take(store)
    [_, settled] = settle(store, due, entry(about, verdict=Verdict(outcome, "because \x00", until)))
    event = settled.event
    assert settled.job is None
    assert (event.key, event.subject, event.outcome, event.until) == ("key", "main", outcome, until)
    assert (event.at, event.recorded_at, event.last_at) == (about.at, clock.now, clock.now)
    assert (event.reason, event.facts) == ("because \ufffd", {"revision": "4f2a"})
    assert events(store)[0] == event


def test_the_same_look_again_and_again_is_one_event(store: JobStore, clock: HeldClock) -> None:
    add(store)
    unchanged = Verdict(Outcome.UNCHANGED, "revision is still 4f2a")
    away = Verdict(Outcome.UNREACHABLE, "unreachable: no answer")
    for verdict in (unchanged, unchanged, unchanged, away, away, unchanged):
        store.change_trigger(NAME, a_trigger())  # so that it is due
        look(store, entry(Occurrence("", clock.now), verdict=verdict))
        clock.pass_seconds(60)
    found = [(each.outcome, each.times, (each.last_at - each.recorded_at).total_seconds()) for each in events(store)]
    assert found == [("unchanged", 1, 0.0), ("unreachable", 2, 60.0), ("unchanged", 3, 120.0)]


def test_looks_are_counted_up_only_if_nothing_came_between(store: JobStore, clock: HeldClock) -> None:
    add(store)
    unchanged = Verdict(Outcome.UNCHANGED, "revision is still 4f2a")
    store.change_trigger(NAME, a_trigger())
    look(store, entry(Occurrence("", clock.now), verdict=unchanged))
    send(store, "signal 1")
    store.change_trigger(NAME, a_trigger())
    look(store, entry(Occurrence("", clock.now), verdict=unchanged))
    assert outcomes(store) == [(None, "unchanged"), ("signal 1", "fired"), (None, "unchanged")]


def test_the_newest_event_of_each_trigger_is_known_by_its_name(store: JobStore) -> None:
    add(store)
    add(store, "weekly")
    add(store, "nothing-yet")
    send(store, "signal 1")
    send(store, "signal 2", name="weekly")
    last = report(store, "signal 3")
    found = store.newest_trigger_events()
    assert {name: each.key for name, each in found.items()} == {NAME: "signal 3", "weekly": "signal 2"}
    assert found[NAME] == last


def test_what_the_last_look_found_is_there_for_the_next_one(store: JobStore) -> None:
    add(store)
    store.change_trigger(NAME, a_trigger())
    look(store, seen={"etag": '"a"', "value": float("nan")}, look_in=0)
    assert take(store).trigger.seen == {"etag": '"a"', "value": "NaN"}


def test_more_than_a_look_goes_through_waits_for_the_next_look(store: JobStore) -> None:
    add(store)
    for number in range(105):
        report(store, f"signal {number}", subject=str(number))
    first, second = take(store), None
    settle(store, first)
    second = take(store)
    settle(store, second)
    assert (len(first.waiting), len(second.waiting)) == (100, 5)
    assert nothing_is_due(store)
    assert len(set(keys_of_jobs(store))) == 105


def test_a_finished_job_of_another_name_is_not_of_this_trigger(store: JobStore) -> None:
    add(store)
    fired = send(store, "signal 1")
    assert fired.job is not None
    store.finish(claim(store, fired.job.id), SUCCEEDED)
    assert [each.job_id for each in store.succeeded_since(fired.job.created_at - timedelta(1), trigger=NAME, limit=9)]
    assert store.succeeded_since(fired.job.created_at - timedelta(1), trigger="other", limit=9) == []
