"""Runs slow looks in threads of their own, so that they do not hold up the ticks of other triggers."""

import threading
from collections.abc import Callable

from worker.resilience import survive


class Aside:
    """A few threads. One thread asks whether one is free and starts work; nobody waits for its end."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._lock = threading.Lock()

    @property
    def is_free(self) -> bool:
        """Whether ``start`` would start something now."""
        return self._free > 0

    def start(self, work: Callable[[], object]) -> None:
        """Begin; whoever calls it has seen that one is free."""
        self._count(-1)
        threading.Thread(target=self._run, args=(work,), name="look-aside", daemon=True).start()

    def _run(self, work: Callable[[], object]) -> None:
        try:
            survive("look_at_trigger", work)
        finally:
            self._count(1)

    def _count(self, more: int) -> None:
        with self._lock:
            self._free += more
