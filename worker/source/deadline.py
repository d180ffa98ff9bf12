"""The time that all commands of one checkout share, and what may end them sooner."""

import time
from collections.abc import Callable

from worker.interruption import NEVER, Interruption


class Deadline:
    """The time that all commands of one checkout share, and what may end them sooner."""

    def __init__(
        self,
        timeout_seconds: float,
        interruption: Interruption = NEVER,
        *,
        check_room: Callable[[], None] = lambda: None,
    ) -> None:
        self.timeout_seconds = timeout_seconds
        self.interruption = interruption
        self._check_room = check_room
        self._ends_at = time.monotonic() + timeout_seconds

    @property
    def remaining_seconds(self) -> float:
        """The time that is left; never negative."""
        return max(0.0, self._ends_at - time.monotonic())

    def check(self) -> float:
        """Return the time left, or raise what interrupts the checkout; every wait calls this every LOOK_SECONDS."""
        self.interruption.check()
        self._check_room()
        return self.remaining_seconds

    def half(self) -> "Deadline":
        """Return a deadline with half of the time left, for optional work."""
        return Deadline(self.remaining_seconds / 2, self.interruption, check_room=self._check_room)
