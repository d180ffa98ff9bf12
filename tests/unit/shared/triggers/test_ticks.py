"""The times of cron and every against an oracle that knows the rule and not the library, and looks that come late."""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.jobs.triggers import Outcome, Trigger
from shared.triggers.fields import Policy, When
from shared.triggers.policy import Facts, decide
from shared.triggers.ticks import MISSED_SHOWN, Ticks, due_ticks, occurrence_at, times_after
from tests.support.length import IS_LONG, rounds
from tests.support.triggers import trigger_of

ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe")  # the last one's clocks change by half an hour
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
YEARS = 10
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def local_of(at: datetime, zone: str) -> datetime:
    return at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def fires_at(day: date, hour: int, minute: int, zone: str) -> datetime:
    """When a clock on the wall first shows that time or, if it shows it never on that day, a later one."""
    wall = datetime.combine(day, time(hour, minute))
    at = wall.replace(tzinfo=UTC) - 14 * timedelta(hours=1)
    at += (wall - timedelta(hours=1, minutes=30)) - local_of(at, zone)  # before it, by either offset
    while local_of(at, zone) < wall:
        at += MINUTE
    return at


def days(years: int) -> Iterator[date]:
    return (BEGIN.date() + timedelta(days=number) for number in range(years * 365))


def changes_of_clocks(zone: str, years: int) -> list[datetime]:
    """The days on which the offset changes."""
    noons = [BEGIN + timedelta(days=number) for number in range(years * 365)]
    at = ZoneInfo(zone)
    return [noon for noon in noons if noon.astimezone(at).utcoffset() != (noon + DAY).astimezone(at).utcoffset()]


def looked_at_in_time(when: When, policy: Policy, until: datetime, *, since: datetime = BEGIN) -> Iterator[Ticks]:
    """All looks of a worker that looks whenever the last look told it to."""
    trigger = trigger_of(when, policy, created_at=since)
    now: datetime | None = since
    while now is not None and now <= until:
        found = due_ticks(trigger, when, policy, now)
        yield found
        trigger, now = replace(trigger, since=found.since), found.next_at


def fired(when: When, until: datetime, *, since: datetime = BEGIN) -> list[datetime]:
    return [found.fires.at for found in looked_at_in_time(when, Policy(), until, since=since) if found.fires]


@pytest.mark.parametrize("zone", ZONES)
def test_daily_at_half_past_two_comes_once_a_day_for_ten_years(zone: str) -> None:
    expected = [fires_at(day, 2, 30, zone) for day in days(YEARS)]
    got = fired(When(cron="30 2 * * *", time_zone=zone), expected[-1], since=expected[0] - MINUTE)
    assert got == expected
    assert all(DAY / 2 < after - before < 2 * DAY for before, after in itertools.pairwise(got))


@pytest.mark.parametrize("zone", ZONES)
def test_the_last_day_of_each_month_for_ten_years(zone: str) -> None:
    lasts = [day for day in days(YEARS) if (day + DAY).day == 1]
    expected = [fires_at(day, 2, 15, zone) for day in lasts]
    assert fired(When(cron="15 2 L * *", time_zone=zone), expected[-1]) == expected


@pytest.mark.parametrize("zone", ZONES)
def test_every_minute_is_one_of_real_time_also_while_clocks_change(zone: str) -> None:
    """The whole ten years in the long form."""
    spans = [(BEGIN, BEGIN + YEARS * 365 * DAY)] if IS_LONG else [(at, at + DAY) for at in changes_of_clocks(zone, 2)]
    assert len(spans) == (1 if IS_LONG else 4)
    when = When(cron="* * * * *", time_zone=zone)
    for begins, ends in spans:
        before = begins
        for at in times_after(when, begins, anchor=begins):
            assert at == before + MINUTE
            before = at
            if at >= ends:
                break
        assert fired(when, begins + 3 * DAY / 24, since=begins) == [begins + n * MINUTE for n in range(1, 181)]


@pytest.mark.parametrize("zone", ZONES)
def test_a_look_in_the_hour_that_comes_twice_finds_no_time_before_it(zone: str) -> None:
    when = When(cron="45 1 * * *", time_zone=zone)
    for change in changes_of_clocks(zone, 2):
        for minutes in range(0, 24 * 60, 5):
            since = change + minutes * MINUTE
            assert next(times_after(when, since, anchor=since)) > since


def test_every_counts_from_its_creation_whenever_looked_at() -> None:
    when = When(every=3600)
    begin = BEGIN + timedelta(seconds=17.25)
    late = begin + timedelta(hours=5, minutes=59)
    assert next(times_after(when, late, anchor=begin)) == begin + timedelta(hours=6)
    assert next(times_after(when, begin - DAY, anchor=begin)) == begin + timedelta(hours=1)


OUTAGES = [1, 59, 60, 61, 600, 3600, 86400, 30 * 86400]
MINUTELY, HOURLY = When(cron="* * * * *"), When(every=3600)
NIGHTLY = When(cron="30 2 * * *", time_zone="Europe/Berlin")


@pytest.mark.parametrize("catch_up", ["none", "once"])
@pytest.mark.parametrize("when", [MINUTELY, HOURLY, NIGHTLY], ids=["minutely", "hourly", "nightly"])
def test_after_an_outage_each_tick_has_one_verdict_or_is_counted_in_one(when: When, catch_up: str) -> None:
    policy = Policy(catch_up=catch_up)
    first = next(times_after(when, BEGIN, anchor=BEGIN))
    for seconds in OUTAGES:
        for before in (0.5, 30, 59)[: 1 if seconds > 86400 else 3]:
            begins = first - timedelta(seconds=before)
            now = begins + timedelta(seconds=seconds)
            trigger = trigger_of(when, policy, created_at=BEGIN, since=begins)
            expected = times_until(when, begins, now)
            found = due_ticks(trigger, when, policy, now)
            assert accounted_for(found) == len(expected), (seconds, before)
            assert_right(found, expected, now, catches_up=catch_up == "once")


def times_until(when: When, since: datetime, now: datetime) -> list[datetime]:
    if when is NIGHTLY:
        nights = [fires_at(since.date() + n * DAY, 2, 30, "Europe/Berlin") for n in range((now - since).days + 3)]
        return [at for at in nights if since < at <= now]
    step = MINUTE if when is MINUTELY else timedelta(hours=1)
    begin = BEGIN + step * ((since - BEGIN) // step + 1)
    return [begin + n * step for n in range((now - begin) // step + 1)]


def accounted_for(found: Ticks) -> int:
    counted = [int(number) for _, verdict in found.missed for number in re.findall(r"the (\d+) ", verdict.reason)]
    return len(found.missed) + sum(counted) + bool(found.fires)


def assert_right(found: Ticks, expected: Sequence[datetime], now: datetime, *, catches_up: bool) -> None:
    keys = [occurrence.key for occurrence, _ in found.missed] + ([found.fires.key] if found.fires else [])
    assert keys == [occurrence_at(at).key for at in expected][-len(keys) :] if keys else not expected
    assert len(found.missed) <= MISSED_SHOWN
    assert {verdict.outcome for _, verdict in found.missed} <= {Outcome.MISSED}
    is_late = bool(expected) and (now - expected[-1]).total_seconds() > 60
    assert bool(found.fires) == (bool(expected) and (catches_up or not is_late))
    assert ("late by" in (found.fires.facts if found.fires else {})) == (bool(found.fires) and is_late)
    if expected:
        assert found.since == expected[-1]


@settings(deadline=None)
@given(
    every=st.integers(10, 7200),
    jitter=st.one_of(st.just(0.0), st.floats(0.1, 86400)),
    name=st.sampled_from(["nightly", "weekly", "a", "b"]),
)
def test_with_any_jitter_each_tick_has_one_verdict_and_none_is_missed(every: int, jitter: float, name: str) -> None:
    when, policy = When(every=every), Policy(jitter=jitter)
    trigger = trigger_of(when, policy, name=name, created_at=BEGIN)
    now, seen, fires = BEGIN, 0, 0
    for _ in range(12):
        found = due_ticks(trigger, when, policy, now)
        seen, fires = seen + accounted_for(found), fires + bool(found.fires)
        assert {verdict.outcome for _, verdict in found.missed} <= {Outcome.SKIPPED}
        if found.fires:
            assert found.fires.at <= now <= found.fires.at + timedelta(seconds=jitter)
            assert decide(name, when.kind, policy, found.fires, Facts(now)).outcome is Outcome.FIRED
        assert found.since == BEGIN + seen * timedelta(seconds=every)
        assert found.next_at is not None
        assert found.next_at > now
        trigger, now = replace(trigger, since=found.since), found.next_at
    assert fires >= 11  # all but the first look, which was at the creation


@settings(deadline=None)
@given(seconds=st.lists(st.integers(-3 * 86400, 3 * 86400), min_size=1, max_size=rounds(30, long=100)))
def test_a_clock_that_jumps_fires_no_tick_twice_and_goes_on(seconds: list[int]) -> None:
    when, policy = When(every=3600), Policy(catch_up="once")
    trigger: Trigger = trigger_of(when, policy, created_at=BEGIN)
    now = BEGIN
    keys: set[str] = set()
    for jump in (*seconds, 3601, 3600, 3600):
        now = max(BEGIN, now + timedelta(seconds=jump))
        found = due_ticks(trigger, when, policy, now)
        fired_now = {found.fires.key} - keys if found.fires else set()  # the store knows the others by their key
        keys |= fired_now | {occurrence.key for occurrence, _ in found.missed}
        assert found.since <= now + timedelta(hours=1)
        assert found.fires is None or found.fires.at <= now
        trigger = replace(trigger, since=found.since)
    assert found.fires is not None
