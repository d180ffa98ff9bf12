"""Decides whether an occurrence becomes a job. Pure: times and facts in, a verdict with its reason out."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from shared.jobs.triggers import Kind, Occurrence, Outcome, Verdict
from shared.triggers.fields import Day, Policy, Window

DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True)
class Facts:
    """What is known of a trigger's firings when one more may follow."""

    now: datetime
    fired_at: datetime | None = None  # the last time
    fired_today: int = 0  # since the last midnight of the policy's time zone
    unfinished: tuple[str, ...] = ()  # ids of its jobs that have not ended
    last_inputs: Mapping[str, Any] | None = None  # of its last success
    inputs: Mapping[str, Any] | None = None  # of this one; None if nobody looked them up


def decide(name: str, kind: Kind, policy: Policy, occurrence: Occurrence, facts: Facts) -> Verdict:
    """Return FIRED, SKIPPED, or WAITING until when."""
    if policy.skip_if_same_inputs and facts.inputs is not None and facts.inputs == facts.last_inputs:
        return Verdict(Outcome.SKIPPED, "same inputs as the trigger's last success", rule="skip_if_same_inputs")
    if facts.unfinished and if_running(policy, kind) == "skip":
        return Verdict(Outcome.SKIPPED, f"still running: job {facts.unfinished[0]}", rule="if_running")
    for until, rule, reason in _obstacles(name, policy, occurrence, facts):
        if until is not None and until > facts.now:
            if kind.is_tick:
                return Verdict(Outcome.SKIPPED, reason, rule=rule)
            return Verdict(Outcome.WAITING, reason, until, rule)
    return Verdict(Outcome.FIRED, _why(kind, occurrence))


def failed_too_often(most: int, newest: str) -> Verdict:
    """Return what becomes of an occurrence before the sweep pauses a trigger whose last jobs all failed."""
    reason = f"the last {most} jobs failed, the newest is {newest}; disable_after is that many"
    return Verdict(Outcome.SKIPPED, reason, rule="disable_after")


def if_running(policy: Policy, kind: Kind) -> str:
    """Return the policy's choice, or the kind's default."""
    return policy.if_running or ("skip" if kind.is_tick else "queue")


def begin_of_day(policy: Policy, now: datetime) -> datetime:
    """Return the last midnight of the policy's time zone."""
    local = now.astimezone(ZoneInfo(policy.time_zone))
    return _first_at(datetime.combine(local.date(), time.min, local.tzinfo))


def opens_at(window: Window, time_zone: str, now: datetime) -> datetime | None:
    """Return when the window opens next; None while it is open."""
    local = now.astimezone(ZoneInfo(time_zone))
    spans = [_span(window, local, ahead) for ahead in range(-1, 9)]
    known = [span for span in spans if span is not None]
    if any(begins <= now < ends for begins, ends in known):
        return None
    return min((begins for begins, _ in known if begins > now), default=None)


def _span(window: Window, local: datetime, ahead: int) -> tuple[datetime, datetime] | None:
    """Return the window that begins so many days after today, if that is one of its days."""
    date = local.date() + timedelta(days=ahead)
    if window.days is not None and DAYS[date.weekday()] not in window.days:
        return None
    first, _, last = (window.hours or "00:00-00:00").partition("-")
    begins, ends = time.fromisoformat(first), time.fromisoformat(last)
    end_date = date if ends > begins else date + timedelta(days=1)
    end = datetime.combine(end_date, ends, local.tzinfo).astimezone(UTC)
    return _first_at(datetime.combine(date, begins, local.tzinfo)), end


def _first_at(local: datetime) -> datetime:
    """Return that time in UTC: the first of two; of one that a change of clocks skips, the end of the gap."""
    at = local.astimezone(UTC)
    if at.astimezone(local.tzinfo).replace(tzinfo=None) == local.replace(tzinfo=None):
        return at
    before = local.replace(fold=1).astimezone(UTC)  # with the new offset, so that it is not after the change
    seconds = range(int((at - before).total_seconds()) + 1)
    found = bisect_left(seconds, True, key=lambda second: _offset(before, second, local) != _offset(before, 0, local))
    return before + timedelta(seconds=found)


def _offset(before: datetime, seconds: int, local: datetime) -> timedelta | None:
    return (before + timedelta(seconds=seconds)).astimezone(local.tzinfo).utcoffset()


def _obstacles(
    name: str, policy: Policy, occurrence: Occurrence, facts: Facts
) -> list[tuple[datetime | None, str, str]]:
    """Return until when each part of the policy is in the way; None or a time that has passed where it is not."""
    cooled = facts.fired_at and facts.fired_at + timedelta(seconds=policy.cooldown)
    opens = opens_at(policy.window, policy.time_zone, facts.now) if policy.window else None
    tomorrow = None
    if policy.max_per_day is not None and facts.fired_today >= policy.max_per_day:
        tomorrow = begin_of_day(policy, begin_of_day(policy, facts.now) + timedelta(hours=36))
    has_come = occurrence.at <= facts.now  # if not, it was told by a clock that is ahead, and waits for nothing
    delayed = occurrence.delayed(name, policy.jitter) if has_come else None
    return [
        (cooled, "cooldown", f"cooldown until {_shown(cooled)}"),
        (opens, "window", f"outside its window until {_shown(opens)}"),
        (tomorrow, "max_per_day", f"fired {facts.fired_today} times today, and max_per_day is {policy.max_per_day}"),
        (delayed, "jitter", f"jitter until {_shown(delayed)}"),
    ]


def _shown(at: datetime | None) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S UTC") if at else ""


def _why(kind: Kind, occurrence: Occurrence) -> str:
    told = ", ".join(f"{name} {value}" for name, value in occurrence.facts.items())
    return f"{kind}: {told or occurrence.key}"
