"""Lets requests wait for a job to change: a limited number, and none keeps the server from stopping."""

import threading
import time
from collections.abc import Callable

from werkzeug.datastructures import ETags

from api.representation import knows_version
from shared.jobs.store import Submissions

POLL_SECONDS = 0.25
SOON_SECONDS, SOON_POLL_SECONDS = 2.0, 0.05  # of a short job, most of the time would be this wait


class LongPoll:
    """Lets at most ``limit`` requests wait at the same time; the others are answered at once."""

    def __init__(self, store: Submissions, *, limit: int) -> None:
        self._store = store
        self._room = threading.BoundedSemaphore(limit)
        self._stopping = False

    def wait(self, job_id: str, *, seconds: float, seen: ETags) -> None:
        """Return once the job is terminal, or its version is not one of those seen, or the time is up."""
        self.wait_until(lambda: self._has_news(job_id, seen), seconds=seconds)

    def wait_until(self, condition: Callable[[], bool], *, seconds: float) -> None:
        """Return once the condition is true, or the time is up."""
        if seconds <= 0 or not self._room.acquire(blocking=False):
            return
        try:
            began = time.monotonic()
            while not condition() and not self._stopping and (passed := time.monotonic() - began) < seconds:
                pause = SOON_POLL_SECONDS if passed < SOON_SECONDS else POLL_SECONDS
                time.sleep(min(pause, seconds - passed))
        finally:
            self._room.release()

    def _has_news(self, job_id: str, seen: ETags) -> bool:
        version, state = self._store.get_version(job_id)
        return state.is_terminal or (bool(seen) and not knows_version(seen, version))

    def stop(self) -> None:
        """Answer all waiting requests, and let none wait any more. Takes no lock, because a signal handler calls it."""
        self._stopping = True
