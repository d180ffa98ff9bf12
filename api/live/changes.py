"""Wakes those who wait once anything in the store has changed: one look, every few milliseconds, for all of them."""

import threading
import time
from collections.abc import Callable

LOOK_SECONDS = 0.006


class Changes:
    """A hint: what has changed, and whether that is what one waits for, each sees for itself.

    ``look`` returns another value once the store was written to; it must cost next to nothing.
    """

    def __init__(self, look: Callable[[], object]) -> None:
        self._look = look
        self._found: object = None
        self._number = 0
        self._waiting = 0
        self._changed = threading.Condition()
        self._somebody_waits = threading.Event()
        threading.Thread(target=self._watch, name="sees-changes", daemon=True).start()

    @property
    def number(self) -> int:
        """How many changes were seen. Read it before looking at the store, and wait for another one after that."""
        return self._number

    def wait(self, number: int, *, seconds: float) -> None:
        """Return once more than that number of changes were seen, or the time is up."""
        with self._changed:
            self._waiting += 1
            self._somebody_waits.set()
            try:
                self._changed.wait_for(lambda: self._number != number, seconds)
            finally:
                self._waiting -= 1

    def _watch(self) -> None:
        while True:
            self._somebody_waits.wait()
            time.sleep(LOOK_SECONDS)
            found = self._look()
            with self._changed:
                if found != self._found:
                    self._found = found
                    self._number += 1
                    self._changed.notify_all()
                if not self._waiting:
                    self._somebody_waits.clear()
