"""A first-come, first-served lock for threads that write to one SQLite file; a plain lock does not guarantee order."""

import threading
from collections import deque


class TicketLock:
    """One thread at a time has the turn; after it, the thread that has waited longest."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._is_taken = False

    def take(self, *, timeout_seconds: float) -> bool:
        """Wait for the turn; return False if it did not come in time."""
        with self._lock:
            if not self._is_taken:
                self._is_taken = True
                return True
            mine = threading.Event()
            self._waiting.append(mine)
        if mine.wait(timeout_seconds):
            return True
        with self._lock:
            if mine.is_set():  # it came while we gave up
                return True
            self._waiting.remove(mine)
            return False

    def end(self) -> None:
        """Pass the turn on."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._is_taken = False
