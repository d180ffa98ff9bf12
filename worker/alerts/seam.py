"""The seam of alert channels as the worker sees it: what is told, by whom, and what came of it."""

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
    LATER = auto()  # nobody is at fault: it is worth another try
    REFUSED = auto()  # this alert never gets through
    CLOSED = auto()  # no alert gets through at this address


@dataclass(frozen=True)
class Answer:
    """A verdict; ``pause_seconds`` is how long the other side asks to be left alone."""

    verdict: Verdict
    cause: str = ""
    pause_seconds: float | None = None


@dataclass(frozen=True)
class News:
    """What an alert tells: the job as it stands now, and the end of the attempt's log where that failed."""

    alert: Alert
    job: Job
    output: str = ""

    @property
    def attempt(self) -> Attempt | None:
        """The attempt that it is about; None where the job ended before its first one."""
        return next((each for each in self.job.attempts if each.number == self.alert.attempt), None)

    @property
    def reason(self) -> Reason | None:
        """Why the attempt failed, or the job did."""
        if self.alert.event is AlertEvent.RETRYING:  # the job itself has none any more once the next attempt begins
            return self.attempt.reason if self.attempt else None
        return self.job.reason


class Delivers(Protocol):
    """What the sender needs of a channel."""

    def send(self, news: News) -> Answer:
        """Send it once, and say what came of that."""

    def send_trial(self, trial: Trial) -> Answer:
        """Likewise with a test message."""


class AlertChannel(Delivers, Protocol):
    """A place where people, or programs, hear of jobs. Its kind's settings name the class (``delivered_by``)."""

    @classmethod
    def from_settings(cls, destination: Destination, *, links: Links, redactor: Redactor) -> Self:
        """Make the channel; nothing is asked of the other side yet."""

    @classmethod
    def check(cls, destination: Destination) -> Finding:
        """Look whether alerts can get there, without sending any. For the doctor."""
