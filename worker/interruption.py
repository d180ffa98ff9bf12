"""Interrupts the preparation of an attempt: every wait in it checks here, and so does the start itself.

Code that waits for something slow calls `check` at least every LOOK_SECONDS, and so learns within that time about a
cancel, a lost lease or a stopping worker. Code that cannot check, such as a request to a server, is left behind in its
thread: `begin`, right before the container starts, refuses to go on after an interruption.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any, Generic, TypeVar, cast

from shared.errors import AttemptCancelled, LeaseLost

T = TypeVar("T")

LOOK_SECONDS = 0.5  # between two checks of a wait


class WorkerStopping(Exception):
    """The worker was told to stop: leave the attempt for the next one."""


class Interruption:
    """Why one preparation must end, once there is a reason. ``permit`` asks the store whether it may still start."""

    def __init__(self, permit: Callable[[], bool] = lambda: True) -> None:
        self._permit = permit
        self._error: Exception | None = None
        self._has_begun = False
        self._is_left_behind = False
        self._stops: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    def check(self) -> None:
        """Raise the reason, if there is one: AttemptCancelled, LeaseLost, WorkerStopping or another."""
        if self._error is not None:
            raise self._error

    def begin(self) -> None:
        """Permit the start, after which no interruption is accepted; raise if it may no longer start."""
        self.check()
        try:
            is_permitted = self._permit()
        except LeaseLost as error:
            self.interrupt(error)
            raise
        if not is_permitted:
            self.interrupt(AttemptCancelled.on_request())
        with self._lock:
            self.check()
            self._has_begun = True

    def interrupt(self, error: Exception) -> bool:
        """Set the reason; return False if it is too late, because the attempt is already being started."""
        with self._lock:
            if self._has_begun:
                return False
            self._error = self._error or error
            stops = tuple(self._stops)
        for stop in stops:
            stop()
        return True

    def leave_behind(self) -> None:
        """Record that nobody waits for the interrupted work any more: another worker may have the attempt by now."""
        self._is_left_behind = True

    @property
    def is_cancelled(self) -> bool:
        """Whether it ended because the job is being cancelled."""
        return isinstance(self._error, AttemptCancelled)

    @property
    def leaves_all(self) -> bool:
        """Whether what was created so far must stay, as another worker may use it; never so for a cancelled job."""
        is_elsewhere = isinstance(self._error, LeaseLost) or self._is_left_behind
        return is_elsewhere and not self.is_cancelled

    @contextmanager
    def cleaning(self, clean: Callable[[], None]) -> Iterator[None]:
        """Call ``clean`` if the interruption ends the block, unless ``leaves_all``."""
        try:
            yield
        except Exception:
            if self._error is not None and not self.leaves_all:
                clean()
            raise

    @contextmanager
    def stopping(self, stop: Callable[[], None]) -> Iterator[None]:
        """Call ``stop`` if the interruption comes during the block, to break off work that cannot check itself."""
        with self._lock:
            self.check()
            self._stops.append(stop)
        try:
            yield
        finally:
            with self._lock:
                self._stops.remove(stop)


NEVER = Interruption()


class UntilStopping(Interruption):
    """Ends a look when the worker stops."""

    def __init__(self, stopping: threading.Event) -> None:
        super().__init__()
        self._stopping = stopping

    def check(self) -> None:
        """Raise if it does."""
        if self._stopping.is_set():
            raise WorkerStopping


class SideWork(Generic[T]):
    """Work in its own thread, which whoever waits for it may leave behind."""

    def __init__(self, work: Callable[[], T], *, name: str) -> None:
        self._work = work
        self._result: T | None = None
        self._error: Exception | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=copy_context().run, args=(self._run,), name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait for that long; return whether it has ended."""
        return self._done.wait(seconds)

    def result(self) -> T:
        """Return its result, or raise its error; only once it has ended."""
        if self._error is not None:
            raise self._error
        return cast(T, self._result)

    def _run(self, *_: Any) -> None:
        try:
            self._result = self._work()
        except Exception as error:  # noqa: BLE001 - raised again in the thread that waits
            self._error = error
        finally:
            self._done.set()
