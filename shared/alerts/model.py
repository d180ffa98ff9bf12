"""Alerts: what is told about jobs, and where. Each is a row in the store's outbox until it is sent or given up."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from shared.words import read_word

LONGEST_WAIT_SECONDS = 600.0  # of an alert, for its next try; what is due later was dated by a clock that was set back
TRIAL_SECONDS = 15.0  # a test message that no worker has taken by then is not sent: nobody waits for it any more


class AlertEvent(StrEnum):
    """What can be told of an attempt."""

    STARTED = "started"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ADOPTED = "adopted"  # its worker died while it ran, and another one watches over it now


class AlertState(StrEnum):
    """What became of an alert."""

    WAITING = "waiting"
    SENT = "sent"
    GIVEN_UP = "given_up"


@dataclass(frozen=True)
class Alerting:
    """Which events are recorded, and for which channels; by default nothing."""

    events: frozenset[AlertEvent] = frozenset()
    channels: frozenset[str] = frozenset()

    def of(self, request: Mapping[str, Any]) -> "Alerting":
        """What a job's own request asks for, and the service's defaults for the rest."""
        asked = request.get("alerts") or {}  # jobs of older versions have none
        events, channels = asked.get("events"), asked.get("to")
        return Alerting(
            self.events if events is None else frozenset(read_word(AlertEvent, event) for event in events),
            self.channels if channels is None else frozenset(channels),
        )


@dataclass(frozen=True)
class Alert:
    """An alert that a sender has taken. ``tries`` counts how often that was done, and fences out earlier takers."""

    job_id: str
    attempt: int  # 0 where the job ended before its first one
    event: AlertEvent
    channel: str
    at: datetime
    taken_at: datetime
    tries: int
    retry_in_seconds: float | None = None  # of retrying: when the next attempt was to follow

    @property
    def id(self) -> str:
        """The same whenever this alert is sent, so that a receiver can tell that it comes again."""
        return f"{self.job_id}-{self.attempt}-{self.event}"

    @property
    def age_seconds(self) -> float:
        """How long ago it happened, when the alert was taken."""
        return (self.taken_at - self.at).total_seconds()


class TrialState(StrEnum):
    """What became of a test message."""

    WAITING = "waiting"
    TAKEN = "taken"
    SENT = "sent"
    REFUSED = "refused"  # and will be until somebody acts
    NOT_NOW = "not_now"  # nobody answers there, or asks to be left alone for a while


@dataclass(frozen=True)
class Trial:
    """A test message for one channel: about no job, tried once, and forgotten soon."""

    id: str
    channel: str
    at: datetime
    state: TrialState = TrialState.WAITING
    cause: str = ""
