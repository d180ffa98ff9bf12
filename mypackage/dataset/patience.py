"""Resumes an interrupted transfer, after longer and longer pauses, for as long as it makes progress."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from .errors import PassingError

LONGEST_PAUSE_SECONDS = 300.0
PASSING_STATUSES = (408, 425, 429)  # and everything from 500 on
T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """How many failures in a row without progress are too many, and the pause after the first."""

    failures: int = 6
    first_pause_seconds: float = 1.0
    sleep: Callable[[float], None] = time.sleep

    def persist(self, call: Callable[[], T], *, size: Callable[[], int] = lambda: 0) -> T:
        """Call until it succeeds; ``size`` tells its progress. An error that would recur is raised at once."""
        failures, reached = 0, size()
        while True:
            try:
                return call()
            except PassingError as error:
                failures, reached = (1, size()) if size() > reached else (failures + 1, reached)
                if failures >= self.failures:
                    raise
                pause = self.first_pause_seconds * 2 ** (failures - 1)
                self.sleep(min(error.after_seconds or pause, LONGEST_PAUSE_SECONDS))


def may_pass(status: int) -> bool:
    """Return whether the server may answer differently in a moment."""
    return status >= 500 or status in PASSING_STATUSES
