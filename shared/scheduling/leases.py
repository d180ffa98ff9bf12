"""Computes when a lease is held or a message is under way, on clocks that may be set back. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

LONGEST_LEASE_SECONDS = 600.0
CLOCK_SLACK = timedelta(minutes=1)  # a time this much later than now was written before the clock was set back


def ends_of_lease(now: datetime) -> tuple[datetime, datetime]:
    """Return two times: a lease is held if it ends after the first and not after the second.

    One that ends later was written before the clock was set back; waiting for it could take hours.
    """
    return now, now + timedelta(seconds=LONGEST_LEASE_SECONDS) + CLOCK_SLACK


@dataclass(frozen=True)
class Span:
    """When a message may be under way. One sent later than now is not: the machine's clock was set back."""

    since: datetime
    until: datetime

    @classmethod
    def around(cls, now: datetime, seconds: float) -> "Span":
        """Return that many seconds before and after now; after, because another PostgreSQL transaction may be ahead."""
        return cls(now - timedelta(seconds=seconds), now + timedelta(seconds=seconds))

    def holds(self, sent_at: datetime | None) -> bool:
        """Return whether a message sent at that time may be under way."""
        return sent_at is not None and self.since <= sent_at <= self.until
