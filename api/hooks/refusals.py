"""Notes on a trigger that something was sent to it which is not accepted: seldom, however often that is sent."""

import logging
import threading
import time
from collections.abc import Callable

from shared.errors import TriggerNotFound
from shared.jobs.store import JobStore
from shared.jobs.triggers import Occurrence, Outcome, Verdict

logger = logging.getLogger(__name__)

EVERY_SECONDS = 10  # for one trigger, in one API: each note is a transaction that locks the trigger


class Refusals:
    """Remembers when it noted something last, for each trigger."""

    def __init__(self, store: JobStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._noted: dict[str, float] = {}
        self._lock = threading.Lock()

    def note(self, trigger: str, occurrence: Occurrence, reason: str) -> None:
        """Record it, unless something was recorded a moment ago."""
        now = self._clock()
        with self._lock:
            if now < self._noted.get(trigger, -EVERY_SECONDS - 1) + EVERY_SECONDS:
                return
            self._noted[trigger] = now
        logger.warning("refused what was sent to a trigger", extra={"trigger": trigger, "cause": reason})
        try:
            self._store.report(trigger, occurrence, noted=Verdict(Outcome.REFUSED, reason))
        except TriggerNotFound:
            self._noted.pop(trigger, None)
