"""The times at which a trigger of the kinds cron and every fires. Pure."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from shared.jobs.triggers import Occurrence, Outcome, Trigger, Verdict
from shared.scheduling.leases import CLOCK_SLACK
from shared.triggers.fields import Policy, When

ON_TIME_SECONDS = 60  # a tick that is older was missed: no worker looked
MISSED_SHOWN = 100  # ticks that have an event each; those before share one
STOOD_FOR = "a later tick's jitter was over as soon, and it stands for this"
CLOCK_WENT_BACK = CLOCK_SLACK


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
        if (at := each.astimezone(UTC)) > since:  # begun in an hour that comes twice, it goes back to the first one
            yield at


def occurrence_at(at: datetime) -> Occurrence:
    """Return the tick of that time."""
    shown = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Occurrence(f"tick {shown}", at, facts={"at": shown})


def due_ticks(trigger: Trigger, when: When, policy: Policy, now: datetime, *, is_held_up: bool = False) -> Ticks:
    """Return what is due. Of several, only the newest can fire: on time, to catch up, or if looks at it failed.

    A tick is not due before those that came before it, whatever jitter they draw.
    """
    since = trigger.since
    if since - now > CLOCK_WENT_BACK:  # it was ahead once; what fired meanwhile is known by its key
        since = now
    recent: deque[_Tick] = deque(maxlen=MISSED_SHOWN + 1)
    count, due_at, next_at = 0, since, None
    for at in times_after(when, since, anchor=trigger.created_at):
        delayed = occurrence_at(at).delayed(trigger.name, policy.jitter) if policy.jitter else at
        if (ready := max(due_at, delayed)) > now:
            next_at = ready
            break
        count, due_at = count + 1, ready
        recent.append(_Tick(at, ready))
    if not recent:
        return Ticks(None, (), since, next_at)
    newest, late = occurrence_at(recent[-1].at), (now - due_at).total_seconds()
    fires = late <= ON_TIME_SECONDS or is_held_up or policy.catch_up == "once"
    missed = [*recent][: -1 if fires else None][-MISSED_SHOWN:]
    unshown = count - len(missed) - fires
    if fires and late > ON_TIME_SECONDS:
        newest = replace(newest, facts={**newest.facts, "late by": f"{late:.0f} s"})
    noted = tuple(_noted(missed, unshown, due_at if late <= ON_TIME_SECONDS and policy.jitter else None))
    return Ticks(newest if fires else None, noted, recent[-1].at, next_at)


@dataclass(frozen=True)
class _Tick:
    at: datetime
    due_at: datetime


def _noted(missed: Sequence[_Tick], unshown: int, due_at: datetime | None) -> Iterator[tuple[Occurrence, Verdict]]:
    """Yield what becomes of each; those that came due with the one that fires were not missed by anybody."""
    for tick in missed:
        before = f", nor at the {unshown} times before it" if unshown and tick is missed[0] else ""
        verdict = Verdict(Outcome.MISSED, f"no worker looked at that time{before}")
        if tick.due_at == due_at:
            before = before.replace("nor at", "as of")
            verdict = Verdict(Outcome.SKIPPED, f"{STOOD_FOR}{before}", rule="jitter")
        yield occurrence_at(tick.at), verdict
