"""Runs what is slow in threads of its own, so that what comes next need not wait for it."""

import threading
from collections.abc import Callable
from contextvars import copy_context

from worker.resilience import survive


class Aside:
    """A few threads for one kind of ``step``. Nobody waits for the end of what is started."""

    def __init__(self, most: int, *, step: str) -> None:
        self._most = self._free = most
        self._step = step
        self._changed = threading.Condition()

    @property
    def is_free(self) -> bool:
        """Whether ``start`` would start something now."""
        return self._free > 0

    def start(self, work: Callable[[], object]) -> None:
        """Begin it; only one thread may call this, which has seen that one is free."""
        self._count(-1)
        self._begin(work)

    def run(self, work: Callable[[], object]) -> None:
        """Begin it, or do it here and now if all are busy; any thread may call this."""
        with self._changed:
            is_free = self._free > 0
            self._free -= is_free
        if is_free:
            self._begin(work)
        else:
            survive(self._step, work)

    def wait(self, seconds: float) -> None:
        """Wait until all of them have ended, or for that long."""
        with self._changed:
            self._changed.wait_for(lambda: self._free == self._most, seconds)

    def _begin(self, work: Callable[[], object]) -> None:
        target, name = copy_context().run, self._step.replace("_", "-")
        threading.Thread(target=target, args=(self._run, work), name=name, daemon=True).start()

    def _run(self, work: Callable[[], object]) -> None:
        try:
            survive(self._step, work)
        finally:
            self._count(1)

    def _count(self, more: int) -> None:
        with self._changed:
            self._free += more
            self._changed.notify_all()
