"""Many threads that do one thing at the same moment, for tests of races."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
PATIENCE_SECONDS = 60


def at_once(count: int, call: Callable[[int], T]) -> list[T]:
    """Call with 0, 1, 2, … in as many threads, all let go together; the first error is raised."""
    gate = threading.Barrier(count, timeout=PATIENCE_SECONDS)

    def wait_and_call(number: int) -> T:
        gate.wait()
        return call(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(wait_and_call, range(count), timeout=PATIENCE_SECONDS))
