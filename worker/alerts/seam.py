"""The interface of an alert channel in the worker: what it is given, and how it reports the outcome."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol, Self

from shared.alerts.destinations import Destination
from shared.alerts.model import Alert, AlertEvent, Trial
from shared.jobs.model import Attempt, Job, Reason
from shared.links import Links
from shared.secrets.redactor import Redactor
from worker.findings.finding import Finding


class Verdict(Enum):
    """What an answer means for the alert."""

    SENT = auto()
    LATER = auto()  # a temporary problem: worth another try
    REFUSED = auto()  # this alert will never get through
    CLOSED = auto()  # no alert will get through at this address


@dataclass(frozen=True)
class Answer:
    """A verdict; ``pause_seconds`` is how long a pause the receiver asks for."""

    verdict: Verdict
    cause: str = ""
    pause_seconds: float | None = None


@dataclass(frozen=True)
class News:
    """The content of an alert: the job as it is now, and the end of the attempt's log if that failed."""

    alert: Alert
    job: Job
    output: str = ""

    @property
    def attempt(self) -> Attempt | None:
        """The attempt that it is about; None if the job ended before its first one."""
        return next((each for each in self.job.attempts if each.number == self.alert.attempt), None)

    @property
    def reason(self) -> Reason | None:
        """Why the attempt failed, or the job did."""
        if self.alert.event is AlertEvent.RETRYING:  # the job's own reason is cleared once the next attempt begins
            return self.attempt.reason if self.attempt else None
        return self.job.reason


class Delivers(Protocol):
    """What the sender needs from a channel."""

    def send(self, news: News) -> Answer:
        """Send it once, and return the outcome."""

    def send_trial(self, trial: Trial) -> Answer:
        """Send a test message in the same way."""


class AlertChannel(Delivers, Protocol):
    """A channel that tells people or programs about jobs. Its kind's settings name the class (``delivered_by``)."""

    @classmethod
    def from_settings(cls, destination: Destination, *, links: Links, redactor: Redactor) -> Self:
        """Create the channel, without contacting the receiver yet."""

    @classmethod
    def check(cls, destination: Destination) -> Finding:
        """Check for the doctor whether alerts can get there, without sending any."""
