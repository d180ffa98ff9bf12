"""Looks at the clock: triggers of the kinds cron and every."""

from shared.triggers.ticks import due_ticks
from worker.triggers.seam import Around, Found, Look


def look(at: Look, _around: Around) -> Found:
    """Return the tick that is due, and those that were missed."""
    found = due_ticks(at.due.trigger, at.when, at.policy, at.due.now)
    fires = (found.fires,) if found.fires else ()
    return Found(occurrences=fires, noted=found.missed, since=found.since, look_at=found.next_at)
