"""Runs slow looks in threads of their own, so that they do not hold up the ticks of other triggers."""

import threading
from collections.abc import Callable

from worker.resilience import survive


class Aside:
    """A few threads. One thread asks whether one is free and starts work; nobody waits for its end."""

    def __init__(self, most: int) -> None:
        self._most = self._free = most
        self._changed = threading.Condition()

    @property
    def is_free(self) -> bool:
        """Whether ``start`` would start something now."""
        return self._free > 0

    def start(self, work: Callable[[], object]) -> None:
        """Begin; whoever calls it has seen that one is free."""
        self._count(-1)
        threading.Thread(target=self._run, args=(work,), name="look-aside", daemon=True).start()

    def wait(self, seconds: float) -> None:
        """Wait until all of them have ended, or for that long."""
        with self._changed:
            self._changed.wait_for(lambda: self._free == self._most, seconds)

    def _run(self, work: Callable[[], object]) -> None:
        try:
            survive("look_at_trigger", work)
        finally:
            self._count(1)

    def _count(self, more: int) -> None:
        with self._changed:
            self._free += more
            self._changed.notify_all()
