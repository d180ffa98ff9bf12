"""What a signal comes to, and whether a number in it lies beyond a trigger's bound."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from api.http.errors import FieldError, InvalidRequest
from shared.triggers.fields import Signalled


@dataclass(frozen=True)
class Signal:
    """A reason to fire. ``besides`` are the keys of what was told with it."""

    key: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    besides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Quiet:
    """No reason to fire, and why: the same text for the same cause, so that repetitions are counted up."""

    reason: str


def not_a_signal(message: str, *, pointer: str = "") -> InvalidRequest:
    """Return the refusal of a body in which something is missing or wrong."""
    return InvalidRequest([FieldError("body", pointer, message, "VALUE_ERROR")])


def number(value: Any) -> float | None:
    """Return the value if it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def compared(when: Signalled, metric: str, value: float) -> str:
    """Return an empty text if the value lies beyond the bound, or if there is none; otherwise why not."""
    if when.is_broken_by(value) or (when.below is None and when.above is None):
        return ""
    return f"{metric} is not {f'below {when.below:g}' if when.below is not None else f'above {when.above:g}'}"
