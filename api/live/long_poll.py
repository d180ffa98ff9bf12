"""Lets requests wait for a job to change: a limited number, and none keeps the server from stopping."""

import threading
import time
from collections.abc import Callable

from werkzeug.datastructures import ETags

from api.live.changes import Changes
from api.representation import knows_version
from shared.jobs.store import Submissions

POLL_SECONDS = 0.25
SOON_SECONDS, SOON_POLL_SECONDS = 2.0, 0.05  # of a short job, most of the time would be this wait
SHARE_SECONDS = 0.003  # for one look: however often the store changes, all who wait look 330 times a second at most


class LongPoll:
    """Lets at most ``limit`` requests wait at the same time; the others are answered at once.

    They look now and then or, with ``changes``, as soon as the store has changed.
    """

    def __init__(self, store: Submissions, *, limit: int, changes: Changes | None = None) -> None:
        self._store = store
        self._room = threading.BoundedSemaphore(limit)
        self._changes = changes
        self._waiting: set[int] = set()  # threads
        self._stopping = False

    def wait(self, job_id: str, *, seconds: float, seen: ETags) -> None:
        """Return once the job is terminal, or its version is not one of those seen, or the time is up."""
        self.wait_until(lambda: self._has_news(job_id, seen), seconds=seconds)

    def wait_until(self, condition: Callable[[], bool], *, seconds: float) -> None:
        """Return once the condition is true, or the time is up."""
        if seconds <= 0 or not self._room.acquire(blocking=False):
            return
        me = threading.get_ident()
        self._waiting.add(me)
        try:
            began = time.monotonic()
            while True:
                number = self._changes.number if self._changes else 0
                if condition() or self._stopping or (passed := time.monotonic() - began) >= seconds:
                    return
                self._pause(number, passed=passed, left=seconds - passed)
        finally:
            self._waiting.discard(me)
            self._room.release()

    def _pause(self, number: int, *, passed: float, left: float) -> None:
        if self._changes is None:
            time.sleep(min(SOON_POLL_SECONDS if passed < SOON_SECONDS else POLL_SECONDS, left))
            return
        least = min(SHARE_SECONDS * len(self._waiting), POLL_SECONDS, left)
        time.sleep(least)
        self._changes.wait(number, seconds=min(POLL_SECONDS, left) - least)

    def _has_news(self, job_id: str, seen: ETags) -> bool:
        version, state = self._store.get_version(job_id)
        return state.is_terminal or (bool(seen) and not knows_version(seen, version))

    def stop(self) -> None:
        """Answer all waiting requests, and let none wait any more. Takes no lock, because a signal handler calls it."""
        self._stopping = True
