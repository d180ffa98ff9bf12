"""Looks at the clock: triggers of the kinds cron and every."""

from shared.triggers.ticks import due_ticks
from worker.triggers.seam import FAILURES, Around, Found, Look


def look(at: Look, _around: Around) -> Found:
    """Return the tick that is due, and those that were missed."""
    is_held_up = FAILURES in at.due.trigger.seen
    found = due_ticks(at.due.trigger, at.when, at.policy, at.due.now, is_held_up=is_held_up)
    fires = (found.fires,) if found.fires else ()
    return Found(occurrences=fires, noted=found.missed, since=found.since, look_at=found.next_at)
