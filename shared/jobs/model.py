"""Defines a job: its states and which may follow which, its attempts, and the record that every part reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from shared.errors import AttemptError, Code, FailureType, JobNotWaiting


class JobState(StrEnum):
    """Where a job is in its life."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    RETRY_WAIT = "retry_wait"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Nothing follows a terminal state."""
        return self in TERMINAL


TERMINAL = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})
WAITING_STATES = frozenset({JobState.QUEUED, JobState.RETRY_WAIT})
SUPERVISED = frozenset({JobState.STARTING, JobState.RUNNING, JobState.CANCELLING})  # a worker holds a lease

FOLLOWING: Mapping[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.STARTING, JobState.FAILED, JobState.CANCELLED}),
    JobState.STARTING: frozenset(
        {JobState.RUNNING, JobState.RETRY_WAIT, JobState.CANCELLING, JobState.SUCCEEDED, JobState.FAILED}
    ),
    JobState.RUNNING: frozenset({JobState.RETRY_WAIT, JobState.CANCELLING, JobState.SUCCEEDED, JobState.FAILED}),
    JobState.RETRY_WAIT: frozenset({JobState.QUEUED, JobState.FAILED, JobState.CANCELLED}),
    JobState.CANCELLING: frozenset({JobState.CANCELLED, JobState.SUCCEEDED, JobState.FAILED}),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}


@dataclass(frozen=True)
class Reason:
    """Why a job or an attempt ended as it did."""

    code: Code
    type: FailureType
    message: str

    @classmethod
    def of(cls, error: AttemptError) -> "Reason":
        """Return the reason that an error gives."""
        return cls(error.code, error.type, error.message)


def not_waiting(job_id: str, state: JobState) -> JobNotWaiting:
    """Return the error of a job whose priority somebody wants to change too late."""
    what = f"has ended as {state}" if state in TERMINAL else f"is {state}"
    return JobNotWaiting(f"Job {job_id} {what}; only a job that waits has a priority to change.", job_id=job_id)


@dataclass(frozen=True)
class RetryPolicy:
    """When another attempt follows a failed one. Delays are the bounds of a full-jitter exponential backoff."""

    max_attempts: int
    on: frozenset[FailureType]
    initial_delay_seconds: float
    max_delay_seconds: float

    def delay_seconds(self, attempt: int, reason: Reason, jitter: float) -> float | None:
        """Return the seconds until the next attempt, None for no more; ``jitter`` is uniform in [0, 1)."""
        if attempt >= self.max_attempts or reason.type not in self.on:
            return None
        bound: float = min(self.max_delay_seconds, self.initial_delay_seconds * 2.0 ** (attempt - 1))
        return bound * jitter


@dataclass(frozen=True)
class Attempt:
    """One try at a job: one container."""

    number: int
    host: str
    started_at: datetime
    ended_at: datetime | None = None
    runner: str | None = None
    container: str | None = None
    run_id: str | None = None
    machine: str | None = None  # as in shared.scheduling.hosts.Machine; None if an older worker began it
    engine: str | None = None  # likewise
    releases: int = 0  # how often a stopping worker released it during preparation
    gpu_ids: tuple[str, ...] = ()
    exit_code: int | None = None
    oom_killed: bool = False
    reason: Reason | None = None
    log_size: int = 0  # bytes kept
    log_source_offset: int = 0  # bytes of the container's output that were read

    @property
    def failure(self) -> Reason | None:
        """Why it failed; None for a success, whose reason may say of a step of its command that that failed."""
        return None if self.reason and self.reason.code is Code.STEP_FAILED else self.reason


@dataclass(frozen=True)
class Transition:
    """One change of state."""

    from_state: JobState | None
    to_state: JobState
    at: datetime
    attempt: int
    reason: str


@dataclass(frozen=True)
class NewJob:
    """A request that was accepted. ``request`` contains no credentials; ``secret`` is their encrypted form."""

    id: str
    experiment_name: str
    model_name: str | None
    queue: str
    priority: int
    concurrency_key: str
    request: Mapping[str, Any]
    labels: Mapping[str, str] = field(default_factory=dict)
    queue_timeout_seconds: float | None = None
    secret: bytes | None = None
    gpus: int = 0
    wanted_host: str | None = None  # None: any
    wanted_labels: tuple[str, ...] = ()  # labels that the host must have, sorted
    retry_of: str | None = None  # the job that this one repeats
    request_id: str | None = None  # of the HTTP request; None for jobs of an older version
    trigger_name: str | None = None  # what fired it; None if a person or a program sent the request
    triggered_by: Mapping[str, Any] | None = None  # which occurrence, for people: its kind, key, time and facts
    submitted_by: str | None = None  # the caller's name; of a trigger's job, who made the trigger; None in old records
    team: str | None = None  # that caller's
    roles: tuple[str, ...] = ()  # likewise, sorted
    commit_sha: str | None = None  # the pinned commit, else what the first attempt resolved
    image_id: str | None = None  # likewise
    dataset_repo: str | None = None  # likewise, with the full revision in it; None if it is not a git repository
    base_model_version: str | None = None  # likewise; None if base_model is not a registered model


@dataclass(frozen=True)
class Job(NewJob):
    """The current record of one request. Times are from the database's clock."""

    state: JobState = JobState.QUEUED
    version: int = 1  # grows with every change
    reason: Reason | None = None
    attempts: tuple[Attempt, ...] = ()
    transitions: tuple[Transition, ...] = ()
    had_secret: bool = False  # credentials came with the request; they are deleted when the job ends
    image: str | None = None
    run_id: str | None = None
    experiment_id: str | None = None
    result: Mapping[str, Any] | None = None  # metrics, model versions and decision of the last attempt
    host: str | None = None
    lease_expires_at: datetime | None = None
    next_attempt_at: datetime | None = None
    cancel_forced: bool = False  # do not wait for the training to end on its own
    created_at: datetime = field(kw_only=True)
    queued_at: datetime = field(kw_only=True)
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def attempt(self) -> Attempt:
        """The attempt under way, or the last one."""
        return self.attempts[-1]
