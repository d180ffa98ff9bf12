"""How long the end of an attempt waits for what is away; time is the test's own."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from shared.errors import Code, InfrastructureError
from worker.attempt.patience import PATIENCE_SECONDS, patiently

HOUR_SECONDS = 3600.0


@dataclass
class Time:
    """A clock, and an event whose waits only move it."""

    now: float = 0.0
    stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.stopping.wait = self.wait  # type: ignore[assignment,method-assign]

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        return False

    def clock(self) -> float:
        return self.now

    def run(self, *calls: float | None) -> None:
        """Call what takes these seconds and fails, and at the last one, None, does not."""
        durations = iter(calls)
        patiently(lambda: self.call(durations), stopping=self.stopping, clock=self.clock)

    def call(self, durations: Iterator[float | None]) -> None:
        if (seconds := next(durations)) is not None:
            self.now += seconds
            raise InfrastructureError(Code.TRACKING_UNAVAILABLE, "away")


def test_what_is_away_for_longer_is_given_up() -> None:
    time = Time()
    with pytest.raises(InfrastructureError):
        time.run(*[30.0] * 100)
    assert PATIENCE_SECONDS < time.now < PATIENCE_SECONDS + 60


def test_two_short_outages_with_hours_of_evaluation_between_them_are_survived() -> None:
    time = Time()
    time.run(1.0, 1.0, HOUR_SECONDS, 1.0, HOUR_SECONDS, 1.0, None)
    assert time.now > 2 * HOUR_SECONDS
