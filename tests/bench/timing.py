"""How long a call takes."""

import time
from collections.abc import Callable


def milliseconds(call: Callable[[], object]) -> float:
    """Call it, and return how long that took."""
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000
