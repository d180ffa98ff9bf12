"""Notes on a trigger that something was sent to it which is not accepted: seldom, however often that is sent."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from shared.errors import TriggerNotFound
from shared.jobs.store import JobStore
from shared.jobs.triggers import Occurrence, Outcome, Verdict

logger = logging.getLogger(__name__)

EVERY_SECONDS = 10  # for one trigger, in one API: each note is a transaction that locks the trigger


OTHER_REASON_SECONDS = 3600  # equal reasons are one event; by two in turn a sender could push out all other events


@dataclass(frozen=True)
class Noted:
    """The last note on a trigger, and since when it is for this reason."""

    at: float
    reason: str
    since: float


class Refusals:
    """Remembers what it noted last, for each trigger."""

    def __init__(self, store: JobStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._noted: dict[str, Noted] = {}
        self._lock = threading.Lock()

    def note(self, trigger: str, occurrence: Occurrence, reason: str) -> None:
        """Record it, unless something was recorded a moment ago."""
        now = self._clock()
        with self._lock:
            last = self._noted.get(trigger)
            is_other = last is None or last.reason != reason
            if last and now < (last.since + OTHER_REASON_SECONDS if is_other else last.at + EVERY_SECONDS):
                return
            self._noted[trigger] = Noted(now, reason, now if last is None or is_other else last.since)
        logger.warning("refused what was sent to a trigger", extra={"trigger": trigger, "cause": reason})
        try:
            self._store.report(trigger, occurrence, noted=Verdict(Outcome.REFUSED, reason))
        except TriggerNotFound:
            self._noted.pop(trigger, None)
