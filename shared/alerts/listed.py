"""Defines an alert as people look at it: what was told to whom, and what became of that."""

from dataclasses import dataclass
from datetime import datetime

from shared.alerts.model import AlertEvent, AlertState


@dataclass(frozen=True)
class ToldAlert:
    """One alert for one channel, which may still wait."""

    id: str  # the same for every channel, as receivers know it
    event: AlertEvent
    channel: str
    job_id: str | None
    attempt: int  # 0 if the job ended before its first one, or it is about a model
    model: str | None  # that it is about; else the one that the job trains
    alias: str | None  # of a model; None if it is about a job
    at: datetime
    state: AlertState
    tries: int
    due_at: datetime  # the next try of one that waits
    cause: str | None  # why the last try failed; None if none did, or a worker of an older version tried

    @property
    def place(self) -> "AlertCursor":
        """Where it is in the list."""
        return AlertCursor(self.at, f"{self.id} {self.channel}")


@dataclass(frozen=True, order=True)
class AlertCursor:
    """A place in the list, from which on it is read."""

    at: datetime
    key: str


@dataclass(frozen=True)
class AlertFilter:
    """Which alerts; None means any."""

    job_id: str | None = None
    model: str | None = None
    channel: str | None = None
    state: AlertState | None = None
    team: str | None = None  # of the job, or of the model
