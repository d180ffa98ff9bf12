"""Decisions one by one, each with its reason, for `make mutants` too. See test_policy for any policy at all."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from pydantic import ValidationError

from shared.jobs.triggers import Kind, Occurrence, Outcome, Verdict
from shared.triggers.fields import Policy, Window
from shared.triggers.policy import Facts, begin_of_day, decide, if_running, opens_at

MINUTE = timedelta(minutes=1)
BERLIN = "Europe/Berlin"


def test_what_a_clock_ahead_told_waits_for_no_jitter() -> None:
    ahead = Occurrence("1", datetime(2031, 1, 1, tzinfo=UTC))
    verdict = decide("t", Kind.GIT, Policy(jitter=60), ahead, Facts(datetime(2030, 1, 1, tzinfo=UTC)))
    assert verdict.outcome is Outcome.FIRED


def test_jitter_spreads_many_triggers() -> None:
    at = datetime(2030, 1, 1, tzinfo=UTC)
    delays = sorted((Occurrence("tick", at).delayed(f"t{n}", 3600) - at).total_seconds() for n in range(200))
    assert delays[0] < 360
    assert delays[-1] > 3240
    assert max(b - a for a, b in pairwise(delays)) < 400


NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
SAME = {"commit": "a", "data": "b"}


@pytest.mark.parametrize(
    ("inputs", "last", "is_skipped"),
    [(SAME, SAME, True), (SAME, {**SAME, "commit": "c"}, False), (SAME, None, False), (None, None, False)],
)
@pytest.mark.parametrize("asks", [True, False])
def test_only_inputs_that_are_known_and_the_same_are_skipped(
    inputs: Any, last: Any, *, is_skipped: bool, asks: bool
) -> None:
    policy = Policy(skip_if_same_inputs=asks)
    verdict = decide("t", Kind.GIT, policy, Occurrence("1", NOW), Facts(NOW, inputs=inputs, last_inputs=last))
    assert (verdict.rule == "skip_if_same_inputs") == (is_skipped and asks)
    assert verdict.outcome is (Outcome.SKIPPED if is_skipped and asks else Outcome.FIRED)


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("chosen", ["skip", "queue", "cancel_older", None])
def test_only_skip_holds_one_back_while_a_job_runs_and_it_is_the_default_of_ticks(kind: Kind, chosen: Any) -> None:
    policy = Policy(if_running=chosen)
    verdict = decide("t", kind, policy, Occurrence("1", NOW), Facts(NOW, unfinished=("job-1", "job-2")))
    skips = (chosen or ("skip" if kind in (Kind.CRON, Kind.EVERY) else "queue")) == "skip"
    assert (if_running(policy, kind) == "skip") is skips
    assert verdict.outcome is (Outcome.SKIPPED if skips else Outcome.FIRED)
    assert ("job-1" in verdict.reason) is skips
    assert decide("t", kind, policy, Occurrence("1", NOW), Facts(NOW)).outcome is Outcome.FIRED


def test_reasons_say_until_when_and_which_rule() -> None:
    def verdict(policy: Policy, **known: Any) -> Verdict:
        return decide("t", Kind.GIT, policy, Occurrence("1", NOW, facts={"branch": "main"}), Facts(NOW, **known))

    assert verdict(Policy(cooldown=60), fired_at=NOW) == Verdict(
        Outcome.WAITING, "cooldown until 2030-01-01 12:01:00 UTC", NOW + MINUTE, "cooldown"
    )
    assert (
        verdict(Policy(window=Window(hours="22:00-06:00"))).reason == "outside its window until 2030-01-01 22:00:00 UTC"
    )
    assert verdict(Policy(max_per_day=2), fired_today=2) == Verdict(
        Outcome.WAITING, "fired 2 times today, and max_per_day is 2", datetime(2030, 1, 2, tzinfo=UTC), "max_per_day"
    )
    assert verdict(Policy(jitter=60)).rule == "jitter"
    assert verdict(Policy()) == Verdict(Outcome.FIRED, "git: branch main")
    assert decide("t", Kind.GIT, Policy(), Occurrence("key 1", NOW), Facts(NOW)).reason == "git: key 1"


def test_a_window_that_a_change_of_clocks_skips_opens_right_after_it() -> None:
    before = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
    for begins in (f"02:{minute:02}:{second:02}" for minute in range(60) for second in (0, 1, 59)):
        opens = opens_at(Window(hours=f"{begins}-03:15", days=frozenset({"sun"})), "Europe/Berlin", before)
        assert opens == datetime(2026, 3, 29, 1, tzinfo=UTC), begins


@pytest.mark.parametrize(
    "hours", ["22:00", "22:00-22:00", "22:00+01:00-06:00", "22:00-06:00+01:00", "25:00-26:00", "-"]
)
def test_hours_that_are_none_are_refused(hours: str) -> None:
    with pytest.raises(ValidationError):
        Window(hours=hours)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


MONDAYS = frozenset({"mon"})
OPENINGS = [  # hours, days, zone, now, when it opens; 2030-01-07 is a Monday
    ("22:00-06:00", None, "UTC", "2030-01-07 21:59:59", "2030-01-07 22:00"),
    ("22:00-06:00", None, "UTC", "2030-01-07 22:00:00", None),
    ("22:00-06:00", None, "UTC", "2030-01-07 23:59:59", None),
    ("22:00-06:00", None, "UTC", "2030-01-07 05:59:59", None),
    ("22:00-06:00", None, "UTC", "2030-01-07 06:00:00", "2030-01-07 22:00"),
    ("22:00-06:00", MONDAYS, "UTC", "2030-01-07 03:00:00", "2030-01-07 22:00"),
    ("22:00-06:00", MONDAYS, "UTC", "2030-01-08 03:00:00", None),
    ("22:00-06:00", MONDAYS, "UTC", "2030-01-08 06:00:00", "2030-01-14 22:00"),
    ("08:00-18:30", None, "UTC", "2030-01-07 18:29:59", None),
    ("08:00-18:30", None, "UTC", "2030-01-07 18:30:00", "2030-01-08 08:00"),
    ("08:00-18:30", None, BERLIN, "2030-01-07 07:00:00", None),
    ("08:00-18:30", None, BERLIN, "2030-07-08 05:59:59", "2030-07-08 06:00"),
    (None, MONDAYS, "UTC", "2030-01-07 00:00:00", None),
    (None, MONDAYS, "UTC", "2030-01-07 23:59:59", None),
    (None, MONDAYS, "UTC", "2030-01-08 00:00:00", "2030-01-14 00:00"),
    (None, MONDAYS, BERLIN, "2030-01-06 22:59:59", "2030-01-06 23:00"),
    (None, None, "UTC", "2030-01-06 22:59:59", None),
    ("02:00-03:00", None, BERLIN, "2026-10-25 00:00:00", None),  # the hour that comes twice
    ("02:00-03:00", None, BERLIN, "2026-10-25 01:59:59", None),
    ("02:00-03:00", None, BERLIN, "2026-10-25 02:00:00", "2026-10-26 01:00"),
    ("00:00-06:00", None, "Asia/Beirut", "2026-03-28 21:59:59", "2026-03-28 22:00"),  # midnight is skipped
]


@pytest.mark.parametrize(("hours", "days", "zone", "now", "expected"), OPENINGS)
def test_a_window_is_open_or_says_when_it_opens(
    hours: str | None, days: Any, zone: str, now: str, expected: str | None
) -> None:
    assert opens_at(Window(hours=hours, days=days), zone, utc(now)) == (expected and utc(expected))


@pytest.mark.parametrize(
    ("zone", "now", "midnight"),
    [
        ("UTC", "2030-01-07 00:00:00", "2030-01-07 00:00"),
        ("UTC", "2030-01-07 23:59:59", "2030-01-07 00:00"),
        (BERLIN, "2030-01-07 23:00:00", "2030-01-07 23:00"),
        (BERLIN, "2030-01-07 22:59:59", "2030-01-06 23:00"),
        ("Asia/Beirut", "2026-03-29 12:00:00", "2026-03-28 22:00"),
    ],
)
def test_a_day_begins_at_midnight_of_the_policys_zone(zone: str, now: str, midnight: str) -> None:
    assert begin_of_day(Policy(time_zone=zone), utc(now)) == utc(midnight)


@pytest.mark.parametrize(
    ("policy", "known", "reason"),
    [
        ({"skip_if_same_inputs": True}, {"inputs": {}, "last_inputs": {}}, "same inputs as the trigger's last success"),
        ({}, {"unfinished": ("job-1", "job-2")}, "still running: job job-1"),
        ({"cooldown": 60}, {"fired_at": utc("2030-01-01 12:00")}, "cooldown until 2030-01-01 12:01:00 UTC"),
        ({"window": Window(hours="22:00-06:00")}, {}, "outside its window until 2030-01-01 22:00:00 UTC"),
        ({"max_per_day": 2}, {"fired_today": 2}, "fired 2 times today, and max_per_day is 2"),
    ],
)
def test_a_tick_is_skipped_with_the_rule_that_decided(
    policy: dict[str, Any], known: dict[str, Any], reason: str
) -> None:
    verdict = decide("t", Kind.CRON, Policy(**policy), Occurrence("1", NOW), Facts(NOW, **known))
    assert verdict == Verdict(Outcome.SKIPPED, reason, None, next(iter(policy), "if_running"))


def test_a_wait_for_jitter_says_until_when() -> None:
    occurrence = Occurrence("1", NOW)
    until = occurrence.delayed("t", 600)
    verdict = decide("t", Kind.GIT, Policy(jitter=600), occurrence, Facts(NOW))
    assert verdict == Verdict(Outcome.WAITING, f"jitter until {until:%Y-%m-%d %H:%M:%S} UTC", until, "jitter")
    assert decide("t", Kind.GIT, Policy(jitter=600), occurrence, Facts(until)).outcome is Outcome.FIRED


@pytest.mark.parametrize(
    ("policy", "known"),
    [
        ({"cooldown": 60}, {"fired_at": utc("2030-01-01 11:59")}),
        ({"max_per_day": 2}, {"fired_today": 1}),
        ({"window": Window(hours="12:00-13:00")}, {}),
    ],
)
def test_at_its_bound_each_rule_lets_one_fire(policy: dict[str, Any], known: dict[str, Any]) -> None:
    occurrence = Occurrence("1", NOW, facts={"a": 1, "b": 2})
    verdict = decide("t", Kind.CRON, Policy(**policy), occurrence, Facts(NOW, **known))
    assert verdict == Verdict(Outcome.FIRED, "cron: a 1, b 2")


@pytest.mark.parametrize("kind", Kind)
def test_without_a_choice_only_ticks_do_not_queue(kind: Kind) -> None:
    assert if_running(Policy(), kind) == ("skip" if kind in (Kind.CRON, Kind.EVERY) else "queue")
