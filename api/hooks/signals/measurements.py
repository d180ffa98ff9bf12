"""A number that a program of anybody's sends: {"metric": "drift_share", "value": 0.31}."""

from typing import Any

from api.hooks.sent import text_at
from api.hooks.signals.signal import Quiet, Signal, compared, not_a_signal, number
from shared.triggers.fields import Signalled

LONGEST_NAME = 250


def read(payload: dict[str, Any], when: Signalled, key: str) -> Signal | Quiet:
    """Return it if it lies beyond the trigger's bound, or if the trigger has none."""
    metric, value = text_at(payload, "metric", longest=LONGEST_NAME), number(payload["value"])
    if not metric:
        raise not_a_signal('metric must be a text, as in {"metric": "drift_share", "value": 0.31}.', pointer="/metric")
    if value is None:
        raise not_a_signal('value must be a number, as in {"metric": "drift_share", "value": 0.31}.', pointer="/value")
    if when.metric not in (None, metric):
        return Quiet(f"it is not about {when.metric}")
    not_beyond = compared(when, metric, value)
    return Quiet(not_beyond) if not_beyond else Signal(key, {"metric": metric, "value": value})
