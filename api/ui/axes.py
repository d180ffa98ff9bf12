"""The axes of a chart: which stretch of numbers it shows, and at which round ones there are marks."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

LARGEST, SMALLEST = 1e300, 1e-300  # beyond these, differences and steps would be infinite or nothing
TICKS = 5
PLAIN_FROM, PLAIN_BELOW, PLAIN_DECIMALS = 1e-4, 1e6, 6  # else as 2e-06
FLAT = 1e-9  # values that differ by less, in proportion, are drawn as one
MINUTE, HOUR, DAY = 60, 3600, 24 * 3600
TIME_STEPS = (
    *(1, 5, 15, 30, MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE),
    *(HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 30 * DAY, 90 * DAY, 365 * DAY),
)
LAST_TIME = 253_402_300_799.0  # the end of the year 9999: there is no date after it


@dataclass(frozen=True)
class Axis:
    """A stretch of numbers, from low to high, with its marks."""

    low: float
    high: float
    ticks: Sequence[float]
    label: Callable[[float], str]
    exact: Callable[[float], str]

    def share(self, value: float) -> float:
        """Return where the value is, from 0 (low) to 1 (high)."""
        return min(1.0, max(0.0, (_tame(value) - self.low) / (self.high - self.low)))


def axis_of(values: Sequence[float]) -> Axis:
    """Return an axis that has all these finite values, with marks at round numbers."""
    low, high = _stretch(values)
    are_whole = all(_tame(each).is_integer() for each in values)  # such as steps: none is at 0.2
    step = max(_round_step((high - low) / TICKS), 1.0 if are_whole else 0.0)
    ticks = _multiples(step, low, high)
    decimals, is_plain = max(0, -_magnitude(step)), PLAIN_FROM <= max(abs(low), abs(high)) < PLAIN_BELOW
    digits = min(12, _magnitude(max(abs(low), abs(high))) - _magnitude(step) + 1)
    form = f".{decimals}f" if is_plain and decimals <= PLAIN_DECIMALS else f".{max(1, digits)}g"
    return Axis(low, high, ticks, lambda value: format(value, form) if value else "0", "{:.12g}".format)


def time_axis_of(values: Sequence[float]) -> Axis:
    """Return an axis of times, in seconds since 1970; marks are at round times in UTC."""
    low, high = _stretch([min(LAST_TIME, max(0.0, each)) for each in values])
    low, high = max(0.0, low), max(1.0, min(LAST_TIME, high))
    step = next((each for each in TIME_STEPS if each * TICKS >= high - low), None)
    form = "%Y-%m-%d" if step is None or step >= DAY else "%d %H:%M" if high - low > DAY else "%H:%M"
    form = "%H:%M:%S" if step and step < MINUTE else form
    ticks = _multiples(step or _round_step((high - low) / TICKS), low, high)
    return Axis(
        low, high, ticks, lambda value: f"{_time(value):{form}}", lambda value: f"{_time(value):%Y-%m-%d %H:%M:%S}"
    )


def _time(value: float) -> datetime:
    return datetime.fromtimestamp(min(LAST_TIME, max(0.0, value)), UTC)


def _stretch(values: Sequence[float]) -> tuple[float, float]:
    tame = [_tame(each) for each in values]
    low, high = min(tame, default=0.0), max(tame, default=1.0)
    size = max(abs(low), abs(high))
    if high - low > size * FLAT:
        return low, high
    room = size / 20 or 1.0
    return low - room, high + room


def _tame(value: float) -> float:
    return 0.0 if abs(value) < SMALLEST else max(-LARGEST, min(LARGEST, value))


def _round_step(wanted: float) -> float:
    """Return the smallest of 1, 2, 5 times a power of ten that is at least this."""
    power = _magnitude(wanted)
    candidates = (float(f"{each}e{power}") for each in (1, 2, 5, 10))
    return next((each for each in candidates if each >= wanted), wanted)


def _magnitude(value: float) -> int:
    return math.floor(math.log10(value))


def _multiples(step: float, low: float, high: float) -> list[float]:
    first, last = math.ceil(low / step), math.floor(high / step)
    return [each * step for each in range(first, last + 1)]
