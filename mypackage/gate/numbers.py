"""Numbers of the gate: which can be compared, by how much they differ, and how a person writes them. Pure."""

import math
import sys
from decimal import Decimal


def is_better(value: float, than: float, *, lower_is_better: bool) -> bool:
    """Return whether the value is strictly better."""
    return value < than if lower_is_better else value > than


def is_comparable(value: float) -> bool:
    """Return whether the value is a real number. MLflow's SQL store keeps infinity as the largest float."""
    return math.isfinite(value) and abs(value) < sys.float_info.max


def known(value: float | None) -> float | None:
    """Return the value if it is a real number."""
    return value if value is not None and is_comparable(value) else None


def exact(value: float) -> Decimal:
    """Return the number as written in decimal, so that 0.3 is better than 0.2 by 0.1 and not by slightly less."""
    return Decimal(repr(float(value)))


def gain(value: float, than: float, *, lower_is_better: bool) -> Decimal:
    """Return by how much the value is better; negative if it is worse."""
    difference = exact(value) - exact(than)
    return -difference if lower_is_better else difference


def show(value: float | Decimal, *, digits: int = 4) -> str:
    """Return the number as a person would write it."""
    return f"{float(value):.{digits}g}"


def telling_digits(one: float | Decimal, other: float | Decimal) -> int:
    """Return how many digits it takes to see that the two differ."""
    return next((d for d in (4, 6, 9, 17) if show(one, digits=d) != show(other, digits=d)), 17)
