"""How the cost of a call grows with its input: a ratio of this process's own times, the same on any machine."""

import time
from collections.abc import Callable

SIZE = 2000
TIMES = 4
LINEAR = 8.0  # below: twice what four times the input costs; a square would cost 16 times as much
LEAST_SECONDS = 0.004  # what costs less than this at the larger size tells nothing, and hurts nobody
TRIES = 5


def grows_faster_than_its_input(call: Callable[[str], object], shape: str, *, size: int = SIZE) -> bool:
    """Whether four times the text costs much more than four times the time."""
    small, large = repeated(shape, size), repeated(shape, TIMES * size)
    if _seconds(call, large) < LEAST_SECONDS:
        return False
    return all(_seconds(call, large) > LINEAR * _seconds(call, small) for _ in range(TRIES))


def repeated(shape: str, size: int) -> str:
    """The shape's middle so often that the text has the size: its first and last character stand once, at the ends."""
    first, middle, last = shape.split("…")
    return first + (middle * (size // len(middle) + 1))[:size] + last


def _seconds(call: Callable[[str], object], text: str) -> float:
    began = time.process_time()
    call(text)
    return time.process_time() - began
