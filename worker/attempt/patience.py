"""Waits at the end of an attempt for a store, server or engine that is away, for hours of training depend on it."""

import logging
import math
import threading
from collections.abc import Callable
from typing import TypeVar

from shared.errors import InfrastructureError, StoreUnavailable
from worker.interruption import WorkerStopping

logger = logging.getLogger(__name__)
T = TypeVar("T")

PATIENCE_SECONDS = 600
FIRST_PAUSE_SECONDS = 0.5
LAST_PAUSE_SECONDS = 10


def patiently(call: Callable[[], T], *, stopping: threading.Event, clock: Callable[[], float]) -> T:
    """Call again while something is unavailable, up to a limit. Raise WorkerStopping if the worker is told to stop."""
    deadline, pause = math.inf, FIRST_PAUSE_SECONDS
    while True:
        began_at = clock()
        try:
            return call()
        except (StoreUnavailable, InfrastructureError) as error:
            if clock() - began_at > PATIENCE_SECONDS / 2:  # it was there meanwhile: models were evaluated
                deadline, pause = math.inf, FIRST_PAUSE_SECONDS
            deadline = min(deadline, clock() + PATIENCE_SECONDS)
            if clock() > deadline:
                raise
            logger.warning("waiting to report the end", extra={"cause": error.message})
            if stopping.wait(pause):
                raise WorkerStopping from error
            pause = min(LAST_PAUSE_SECONDS, pause * 2)
