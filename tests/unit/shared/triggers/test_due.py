"""What is due at a look, case by case, for `make mutants` too. See test_ticks for years, outages and clocks."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import islice

import pytest

from shared.jobs.triggers import Occurrence, Outcome, Verdict
from shared.triggers.fields import Policy, When
from shared.triggers.ticks import CLOCK_WENT_BACK, STOOD_FOR, Ticks, due_ticks, occurrence_at, times_after
from tests.support.triggers import trigger_of

BEGIN = datetime(2030, 1, 1, tzinfo=UTC)
HOURLY = When(every=3600)
ONCE, NONE = Policy(catch_up="once"), Policy()
MISSED = "no worker looked at that time"


def at(hours: float, seconds: float = 0) -> datetime:
    return BEGIN + timedelta(hours=hours, seconds=seconds)


def due(now: datetime, policy: Policy = NONE, *, since: datetime = BEGIN, is_held_up: bool = False) -> Ticks:
    trigger = trigger_of(HOURLY, policy, created_at=BEGIN, since=since)
    return due_ticks(trigger, HOURLY, policy, now, is_held_up=is_held_up)


def tick(hours: float) -> Occurrence:
    shown = at(hours).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Occurrence(f"tick {shown}", at(hours), facts={"at": shown})


@pytest.fixture
def _in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_in_tokyo")
def test_a_tick_is_named_by_its_time_in_utc() -> None:
    elsewhere = datetime(2030, 12, 31, 23, 4, 5, tzinfo=timezone(timedelta(hours=-2)))
    expected = Occurrence("tick 2031-01-01T01:04:05Z", elsewhere, facts={"at": "2031-01-01T01:04:05Z"})
    assert occurrence_at(elsewhere) == expected


def test_before_the_first_tick_nothing_is_due() -> None:
    assert due(at(0.5)) == Ticks(None, (), BEGIN, at(1))


@pytest.mark.parametrize("policy", [NONE, ONCE])
@pytest.mark.parametrize("late", [0, 60])
def test_a_tick_fires_up_to_a_minute_late(late: float, policy: Policy) -> None:
    assert due(at(1, late), policy) == Ticks(tick(1), (), at(1), at(2))


def test_later_it_fires_only_to_catch_up_or_if_looks_at_it_failed() -> None:
    missed = ((tick(1), Verdict(Outcome.MISSED, MISSED)),)
    assert due(at(1, 60.1)) == Ticks(None, missed, at(1), at(2))
    assert due_ticks(trigger_of(HOURLY, created_at=BEGIN), HOURLY, NONE, at(1, 75)).fires is None
    late = replace(tick(1), facts={**tick(1).facts, "late by": "75 s"})
    assert due(at(1, 75), ONCE) == due(at(1, 75), is_held_up=True) == Ticks(late, (), at(1), at(2))


def test_of_several_the_newest_fires_and_the_others_were_missed() -> None:
    missed = tuple((tick(hour), Verdict(Outcome.MISSED, MISSED)) for hour in (1, 2))
    assert due(at(3)) == Ticks(tick(3), missed, at(3), at(4))


@pytest.mark.parametrize(("fires", "hours"), [(True, 101), (True, 102), (True, 105), (False, 100), (False, 103)])
def test_a_hundred_have_a_verdict_of_their_own_and_the_first_counts_the_rest(fires: bool, hours: int) -> None:
    found = due(at(hours, 0 if fires else 600))
    rest = hours - 100 - fires
    assert bool(found.fires) is fires
    assert [occurrence for occurrence, _ in found.missed] == [tick(n + 1) for n in range(rest, rest + 100)]
    first, *others = [verdict.reason for _, verdict in found.missed]
    assert first == (f"{MISSED}, nor at the {rest} times before it" if rest else MISSED)
    assert set(others) == {MISSED}


def jittered(hours: int, jitter: float = 86400) -> tuple[Policy, list[datetime]]:
    """A policy, and when each tick is due: not before those that came before it."""
    delays = [tick(n).delayed("nightly", jitter) for n in range(1, hours + 1)]
    return Policy(jitter=jitter), [max(delays[: n + 1]) for n in range(hours)]


def test_ticks_that_come_due_together_are_one_firing() -> None:
    policy, dues = jittered(60)
    first = dues[0]
    together = dues.count(first)
    assert together > 1
    assert due(first - timedelta(microseconds=1), policy) == Ticks(None, (), BEGIN, first)
    found = due(first, policy)
    skipped = tuple((tick(n), Verdict(Outcome.SKIPPED, STOOD_FOR, rule="jitter")) for n in range(1, together))
    assert found == Ticks(tick(together), skipped, at(together), dues[together])
    assert due(first + timedelta(seconds=60), policy).missed == skipped
    assert {verdict.outcome for _, verdict in due(first + timedelta(seconds=61), policy).missed} == {Outcome.MISSED}


def test_those_of_a_long_jitter_that_have_no_verdict_of_their_own_are_counted() -> None:
    when, policy = When(every=10), Policy(jitter=86400)
    trigger, now, count = trigger_of(when, policy, created_at=BEGIN), BEGIN, 0
    while count <= 101:  # until one's delay was so long that so many others came due with it
        found = due_ticks(trigger, when, policy, now)
        count = (found.since - trigger.since) // timedelta(seconds=10)
        trigger, now = replace(trigger, since=found.since), found.next_at or now
    assert found.fires is not None
    assert found.missed[0][1].reason == f"{STOOD_FOR}, as of the {count - 101} times before it"
    assert found.missed[1][1].reason == STOOD_FOR


def test_after_a_clock_was_ahead_it_goes_on_from_now() -> None:
    ahead = at(10) + CLOCK_WENT_BACK
    assert due(at(10), since=ahead + timedelta(seconds=1)) == Ticks(None, (), at(10), at(11))
    assert due(at(10), since=ahead) == Ticks(None, (), ahead, at(11))  # so much is waited for


def test_every_counts_on_from_its_creation() -> None:
    assert [*islice(times_after(HOURLY, at(5.5), anchor=BEGIN), 2)] == [at(6), at(7)]
    assert [*islice(times_after(HOURLY, at(5), anchor=BEGIN), 1)] == [at(6)]
    assert [*islice(times_after(HOURLY, at(-5), anchor=BEGIN), 1)] == [at(1)]


def test_a_zone_is_that_of_the_times() -> None:
    when = When(cron="30 2 * * *", time_zone="Europe/Berlin")
    assert [*islice(times_after(when, BEGIN, anchor=BEGIN), 2)] == [at(1.5), at(25.5)]
    assert next(times_after(When(cron="30 2 * * *"), BEGIN, anchor=BEGIN)) == at(2.5)


def test_the_second_time_of_an_hour_that_comes_twice_is_not_before_the_look() -> None:
    when = When(cron="45 2 * * *", time_zone="Europe/Berlin")
    since = datetime(2026, 10, 25, 1, 15, tzinfo=UTC)  # 02:15 for the second time
    assert next(times_after(when, since, anchor=since)) == datetime(2026, 10, 26, 1, 45, tzinfo=UTC)
