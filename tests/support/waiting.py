"""The one way for a test to wait: poll with a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
LONG_SECONDS = 30  # a deadline this long promises nothing: it ends what hangs, and a slow machine gets more of it
PATIENCE = 3


def wait_until(
    predicate: Callable[[], T], *, timeout_seconds: float = 30, every_seconds: float = 0.05, what: str = ""
) -> T:
    """Return the predicate's first true value; fail the test after the deadline."""
    timeout_seconds *= PATIENCE if timeout_seconds >= LONG_SECONDS else 1
    deadline = time.monotonic() + timeout_seconds
    while not (value := predicate()):
        assert time.monotonic() < deadline, f"not within {timeout_seconds} s: {what or predicate}"
        time.sleep(every_seconds)
    return value
