"""The times at which a trigger of the kinds cron and every fires. Pure."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from shared.jobs.triggers import Occurrence, Outcome, Trigger, Verdict
from shared.triggers.fields import Policy, When

ON_TIME_SECONDS = 60  # a tick that is older was missed: no worker looked
MISSED_SHOWN = 100  # ticks that have an event each; those before share one
CLOCK_WENT_BACK = timedelta(hours=1)


@dataclass(frozen=True)
class Ticks:
    """The ticks that are due: the newest, if it may fire, and the verdicts of those that may not."""

    fires: Occurrence | None
    missed: tuple[tuple[Occurrence, Verdict], ...]
    since: datetime  # the newest tick, from which the next look goes on
    next_at: datetime | None  # when the next tick is due


def times_after(when: When, since: datetime, *, anchor: datetime) -> Iterator[datetime]:
    """Yield the times after ``since``, in UTC. ``anchor`` is where the count of ``every`` begins."""
    if when.every is not None:
        step = timedelta(seconds=when.every)
        count = max(0, (since - anchor) // step)
        while True:
            count += 1
            yield anchor + count * step
    for each in CronSim(when.cron or "", since.astimezone(ZoneInfo(when.time_zone))):
        yield each.astimezone(UTC)


def occurrence_at(at: datetime) -> Occurrence:
    """Return the tick of that time."""
    shown = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Occurrence(f"tick {shown}", at, facts={"at": shown})


def due_ticks(trigger: Trigger, when: When, policy: Policy, now: datetime) -> Ticks:
    """Return what is due. Of several, only the newest can fire: on time, or to catch up."""
    since = trigger.since
    if since - now > CLOCK_WENT_BACK:  # it was ahead once; what fired meanwhile is known by its key
        since = now
    recent: deque[datetime] = deque(maxlen=MISSED_SHOWN + 1)
    count, next_at = 0, None
    for at in times_after(when, since, anchor=trigger.created_at):
        if (ready := occurrence_at(at).delayed(trigger.name, policy.jitter)) > now:
            next_at = ready
            break
        count += 1
        recent.append(at)
    if not recent:
        return Ticks(None, (), since, next_at)
    newest = occurrence_at(recent[-1])
    late = (now - newest.delayed(trigger.name, policy.jitter)).total_seconds()
    fires = late <= ON_TIME_SECONDS or policy.catch_up == "once"
    missed = [*recent][: -1 if fires else None][-MISSED_SHOWN:]
    unshown = count - len(missed) - fires
    if fires and late > ON_TIME_SECONDS:
        newest = replace(newest, facts={**newest.facts, "late by": f"{late:.0f} s"})
    return Ticks(newest if fires else None, tuple(_noted(missed, unshown)), recent[-1], next_at)


def _noted(missed: Sequence[datetime], unshown: int) -> Iterator[tuple[Occurrence, Verdict]]:
    for at in missed:
        before = f", nor at the {unshown} times before it" if unshown and at == missed[0] else ""
        yield occurrence_at(at), Verdict(Outcome.MISSED, f"no worker looked at that time{before}")
