"""Loads Redis's client before anything else does, without what it could report its calls to.

That is OpenTelemetry, which is installed wherever MLflow is. Nothing here sets it up, and it takes 3 MB of a process.
Nor are its 700 overloads kept, which Python remembers for tools that look at types.
"""

import sys
from typing import clear_overloads

UNUSED = "opentelemetry"

_is_first = UNUSED not in sys.modules
if _is_first:
    sys.modules[UNUSED] = None  # type: ignore[assignment]  # whoever imports it is told that it is not installed
try:
    from redis import Redis
    from redis.exceptions import RedisError
finally:
    if _is_first:
        del sys.modules[UNUSED]
clear_overloads()

__all__ = ["Redis", "RedisError"]
