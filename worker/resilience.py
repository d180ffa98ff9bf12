"""What a thread of the worker does with a step that fails: it says so, and goes on with the next one."""

import logging
from collections.abc import Callable
from typing import TypeVar

from shared.errors import AttemptError, StoreUnavailable

logger = logging.getLogger(__name__)
T = TypeVar("T")


def survive(name: str, step: Callable[[], T]) -> T | None:
    """Return what the step returns, or None where it failed; whoever calls comes back to it in a later round."""
    try:
        return step()
    except (StoreUnavailable, AttemptError) as error:  # the store, an engine or a server is away now
        logger.warning("put off", extra={"step": name, "cause": error.message})
    except Exception:  # a thread's outermost frame: without its sweep or heartbeat a worker would look well and is not
        logger.exception("step broke", extra={"step": name})
    return None
