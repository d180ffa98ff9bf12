"""The interface of an alert channel in the worker: what it is given, and how it reports the outcome."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol, Self

from shared.alerts.destinations import Destination
from shared.alerts.model import Alert, AlertEvent, Trial
from shared.jobs.model import Attempt, Job, Reason
from shared.jobs.promotions import HistoryLine, Promotion
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
class ModelNews:
    """What happened to a model: a line of its history, and the promotion as it is now, with a person's approval."""

    line: HistoryLine
    promotion: Promotion
    approval: HistoryLine | None = None


@dataclass(frozen=True)
class News:
    """The content of an alert: the job as it is now, and the end of the attempt's log if that failed.

    An alert about a ``model`` may have no job: people move aliases without one, and jobs are deleted.
    """

    alert: Alert
    job: Job | None
    output: str = ""
    model: ModelNews | None = None

    @property
    def is_decided(self) -> bool:
        """Whether a model of the job was decided about; of a champion that changed, the job may not have ended yet."""
        decision = (self.job.result or {}).get("decision") if self.job else None
        return self.model is not None or bool(decision and decision.get("id"))

    @property
    def attempt(self) -> Attempt | None:
        """The attempt that it is about; None if the job ended before its first one, or there is none."""
        number = self.model.promotion.attempt if self.model else self.alert.attempt
        attempts = self.job.attempts if self.job else ()
        return next((each for each in attempts if each.number == number), None)

    @property
    def reason(self) -> Reason | None:
        """Why the attempt failed, or the job did."""
        if self.alert.event is AlertEvent.RETRYING:  # the job's own reason is cleared once the next attempt begins
            return self.attempt.reason if self.attempt else None
        return self.job.reason if self.job else None


class Delivers(Protocol):
    """What the sender needs from a channel."""

    def send(self, news: News) -> Answer:
        """Send it once, and return the outcome."""

    def send_trial(self, trial: Trial) -> Answer:
        """Send a test message in the same way."""


class AlertChannel(Delivers, Protocol):
    """A channel that tells people or programs. Its kind's settings name the class (``delivered_by``)."""

    @classmethod
    def from_settings(cls, destination: Destination, *, links: Links, redactor: Redactor) -> Self:
        """Create the channel, without contacting the receiver yet."""

    @classmethod
    def check(cls, destination: Destination) -> Finding:
        """Check for the doctor whether alerts can get there, without sending any."""
