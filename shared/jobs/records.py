"""The records passed to and from a job store: submissions, filters, claims, and how an attempt ended."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from shared.alerts.model import AlertEvent
from shared.errors import AttemptCancelled
from shared.jobs.model import Attempt, Job, JobState, Reason
from shared.requests.retrain_request import RetrainRequest


@dataclass(frozen=True)
class Submission:
    """The answer to a submit: the job, and whether this call created it."""

    job: Job
    created: bool


@dataclass(frozen=True)
class JobFilter:
    """Which jobs to list; None means any."""

    states: frozenset[JobState] | None = None
    experiment_name: str | None = None
    model_name: str | None = None
    trigger: str | None = None
    submitted_by: str | None = None
    team: str | None = None
    label: tuple[str, str | None] | None = None
    created_after: datetime | None = None
    id_start: str | None = None
    ids: frozenset[str] | None = None
    commit_start: str | None = None  # of the commit that the job's ref stood for
    host: str | None = None  # where its last attempt ran or runs
    any_of: tuple["JobFilter", ...] = ()  # and at least one of these; the states and times in them do not count


@dataclass(frozen=True)
class Cursor:
    """Where the next page begins: after this job, the last one of the previous page."""

    created_at: datetime
    id: str


@dataclass(frozen=True)
class LogSlice:
    """Part of an attempt's log: ``data`` from byte ``offset`` on, of ``size`` bytes so far."""

    attempt: int
    offset: int
    data: bytes
    size: int


@dataclass(frozen=True)
class Claim:
    """The right to supervise a job until the lease ends. ``token`` fences off every earlier holder."""

    job: Job
    token: int

    @property
    def attempt(self) -> Attempt:
        """The attempt that was claimed."""
        return self.job.attempt

    @cached_property
    def request(self) -> RetrainRequest:
        """What the job asks for, read once for the attempt."""
        return RetrainRequest.from_record(self.job.request)


@dataclass(frozen=True)
class ToLookAt:
    """A job that waits and that no worker has looked at, with its encrypted credentials."""

    job: Job
    secret: bytes | None = field(repr=False)


@dataclass(frozen=True)
class Resolution:
    """What an attempt resolved its inputs to; None leaves what is known unchanged."""

    commit_sha: str | None = None
    image: str | None = None
    image_id: str | None = None
    experiment_id: str | None = None
    run_id: str | None = None
    dataset_repo: str | None = None
    base_model_version: str | None = None


@dataclass(frozen=True)
class Ending:
    """How an attempt ended. ``retry_in_seconds`` is set when another one follows."""

    state: JobState
    reason: Reason | None = None
    exit_code: int | None = None
    oom_killed: bool = False
    result: dict[str, Any] | None = None
    retry_in_seconds: float | None = None
    leaves_run_open: bool = False  # possibly; the sweep then looks for the attempt's MLflow run and ends it

    @property
    def event(self) -> AlertEvent:
        """The event to alert about."""
        return AlertEvent(self.state) if self.retry_in_seconds is None else AlertEvent.RETRYING


USER_CANCELLED = Reason.of(AttemptCancelled.on_request())


def as_cancelled(ending: Ending) -> Ending:
    """Return the same ending for a job that was being cancelled."""
    if ending.state is JobState.SUCCEEDED:  # it finished first, and its model may be registered, so this stays true
        return ending
    return replace(ending, state=JobState.CANCELLED, reason=USER_CANCELLED, retry_in_seconds=None)
