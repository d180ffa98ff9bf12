"""A clock that stands still until a test moves it."""

from datetime import UTC, datetime, timedelta


class HeldClock:
    """The time, for stores that take a clock."""

    def __init__(self) -> None:
        self.now = datetime(2030, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.now

    def monotonic(self) -> float:
        """Tell it as a machine's own clock does."""
        return self.now.timestamp()

    def pass_seconds(self, seconds: float) -> None:
        """Let time go by."""
        self.now += timedelta(seconds=seconds)
