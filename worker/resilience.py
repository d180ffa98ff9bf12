"""Keeps the worker's threads going: a step that fails is logged, and the next one follows."""

import logging
from collections.abc import Callable
from typing import TypeVar

from shared.errors import AttemptError, StoreUnavailable

logger = logging.getLogger(__name__)
T = TypeVar("T")


def survive(name: str, step: Callable[[], T]) -> T | None:
    """Return the step's result, or None if it failed; the caller tries again in a later round."""
    try:
        return step()
    except (StoreUnavailable, AttemptError) as error:  # the store, an engine or a server is unavailable now
        logger.warning("put off", extra={"step": name, "cause": error.message})
    except Exception:  # a thread's outermost frame: a worker without its sweep or heartbeat only looks healthy
        logger.exception("step broke", extra={"step": name})
    return None
