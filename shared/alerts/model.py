"""Defines alerts: an event of a job or a model, and its channel. Each waits in the store's outbox until it is over."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from shared.words import read_word

LONGEST_WAIT_SECONDS = 600.0  # until an alert's next try; one due later was written before the clock was set back
TRIAL_SECONDS = 15.0  # a test message that no worker has taken by then is not sent: nobody is waiting for it by then


class AlertEvent(StrEnum):
    """What can be reported: about an attempt, or about a model."""

    STARTED = "started"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ADOPTED = "adopted"  # its worker died while it ran, and another one supervises it now
    CHAMPION_CHANGED = "champion_changed"  # an alias moved, whoever or whatever did it
    APPROVAL_WANTED = "approval_wanted"  # a better model waits for a person
    TRIGGER_PAUSED = "trigger_paused"  # the job was the last of so many failures that its trigger fires no more


class AlertState(StrEnum):
    """The outcome of an alert."""

    WAITING = "waiting"
    SENT = "sent"
    GIVEN_UP = "given_up"


@dataclass(frozen=True)
class Alerting:
    """Which events are recorded, and for which channels; by default nothing."""

    events: frozenset[AlertEvent] = frozenset()
    channels: frozenset[str] = frozenset()

    def of(self, request: Mapping[str, Any]) -> "Alerting":
        """Return what a job's own request asks for, with the service's defaults for the rest."""
        asked = request.get("alerts") or {}  # jobs of older versions have none
        events, channels = asked.get("events"), asked.get("to")
        return Alerting(
            self.events if events is None else frozenset(read_word(AlertEvent, event) for event in events),
            self.channels if channels is None else frozenset(channels),
        )


@dataclass(frozen=True)
class ModelLine:
    """Which line of a model's history an alert tells."""

    number: int
    promotion_id: str
    model: str
    alias: str


@dataclass(frozen=True)
class Alert:
    """An alert that a sender has taken. ``tries`` counts how often it was taken, and fences off earlier senders."""

    job_id: str | None  # None if a model's alias moved without one
    attempt: int  # 0 if the job ended before its first one, or the alert is about a model
    event: AlertEvent
    channel: str
    at: datetime
    taken_at: datetime
    tries: int
    retry_in_seconds: float | None = None  # for RETRYING: when the next attempt was to follow
    line: ModelLine | None = None  # for what happened to a model

    @property
    def id(self) -> str:
        """An id that stays the same whenever this alert is sent, so that a receiver can recognise a repetition."""
        if self.line is not None:
            return f"{self.line.promotion_id}-{self.line.number}-{self.event}"
        return f"{self.job_id}-{self.attempt}-{self.event}"

    @property
    def age_seconds(self) -> float:
        """How old the event was when the alert was taken."""
        return (self.taken_at - self.at).total_seconds()


class TrialState(StrEnum):
    """The outcome of a test message."""

    WAITING = "waiting"
    TAKEN = "taken"
    SENT = "sent"
    REFUSED = "refused"  # until somebody acts
    NOT_NOW = "not_now"  # the receiver does not answer, or asks for a pause


@dataclass(frozen=True)
class Trial:
    """A test message for one channel: it belongs to no job, is tried once, and deleted soon."""

    id: str
    channel: str
    at: datetime
    state: TrialState = TrialState.WAITING
    cause: str = ""
