"""What the in-memory store keeps of a job and of a host, and the questions that are asked of one of them."""

from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any

from shared.jobs.model import FOLLOWING, SUPERVISED, Job, JobState, NewJob, Reason, Transition
from shared.jobs.records import JobFilter
from shared.jobs.statistics import Refused
from shared.requests.fields import fields_of
from shared.scheduling.hosts import Drain, Host, Machine
from shared.scheduling.leases import CLOCK_SLACK, ends_of_lease
from shared.scheduling.waiting import Running, Waiting
from shared.sql.column_types import as_json, as_text


@dataclass
class Record:
    """A job, and what nobody is shown of it."""

    job: Job
    secret: bytes | None
    deadline_at: datetime | None
    sent_at: datetime | None
    token: int = 0
    was_looked_at: bool = False
    logs: dict[int, bytes] = field(default_factory=dict)
    open_runs: set[int] = field(default_factory=set)  # by attempt

    def change(self, **values: Any) -> None:
        """Change what is shown."""
        self.job = replace(self.job, version=self.job.version + 1, **values)

    def change_attempt(self, **values: Any) -> None:
        """Change the attempt under way; the version stays, as it does in SQL."""
        attempt = replace(self.job.attempt, **values)
        self.job = replace(self.job, attempts=(*self.job.attempts[:-1], attempt))

    def move(self, state: JobState, why: str, now: datetime, **values: Any) -> None:
        """Change the state and write the transition."""
        if state not in FOLLOWING[self.job.state]:
            raise AssertionError(f"{state} cannot follow {self.job.state} (job {self.job.id})")
        before = self.job.state
        self.change(state=state, **values)
        self.add_transition(Transition(before, state, now, len(self.job.attempts), as_text(why)))

    def note(self, why: str, now: datetime) -> None:
        """Write a line of the job's history that changes no state."""
        self.add_transition(Transition(self.job.state, self.job.state, now, len(self.job.attempts), why))

    def add_transition(self, transition: Transition) -> None:
        """Write one line of the job's history."""
        self.job = replace(self.job, transitions=(*self.job.transitions, transition))

    @property
    def is_supervised(self) -> bool:
        """Whether a worker has it, or had it when it was last heard of."""
        return self.job.state in SUPERVISED

    def may_go_on(self, host: Host) -> bool:
        """Whether the host's worker may take the attempt over."""
        return self.is_supervised and not (self.job.state is JobState.STARTING and self.waiting.unknown_to(host))

    @property
    def waiting(self) -> Waiting:
        """A queued job, as limits look at it."""
        job = self.job
        wanted = (job.wanted_host, job.wanted_labels)
        order = (job.priority, job.created_at)
        return Waiting(job.id, job.queue, job.concurrency_key, job.gpus, *order, *wanted, fields_of(job.request))

    @property
    def running(self) -> Running:
        """A supervised job, as limits look at it."""
        return Running(self.job.id, self.job.concurrency_key, self.job.host or "", self.job.attempt.gpu_ids)


@dataclass(frozen=True)
class Beat:
    """What a host last said of itself, and what a person wants of it."""

    said: Host
    seen_at: datetime
    watching_since: datetime
    has_left: bool = False
    drain: Drain | None = None
    machine_since: datetime | None = None
    refused: Refused | None = None

    @property
    def host(self) -> Host:
        """Both together."""
        return self.said.drained(self.drain)

    @property
    def is_earlier(self) -> bool:
        """Whether there is a worker that does not say what it knows."""
        return self.said.knows is None and not self.has_left


def new_record_job(new: NewJob, now: datetime) -> Job:
    values = {item.name: getattr(new, item.name) for item in fields(NewJob)}
    hidden = {"secret": None, "queue_timeout_seconds": None}
    values["had_secret"] = new.secret is not None
    copied = {"request": as_json(new.request), "labels": dict(new.labels), "triggered_by": as_json(new.triggered_by)}
    return Job(**{**values, **hidden, **copied}, created_at=now, queued_at=now)


def clean(reason: Reason | None) -> Reason | None:
    return replace(reason, message=as_text(reason.message)) if reason else None


def matches(job: Job, where: JobFilter) -> bool:
    name, value = where.label or (None, None)
    return (
        (where.states is None or job.state in where.states)
        and where.experiment_name in (None, job.experiment_name)
        and where.model_name in (None, job.model_name)
        and where.trigger in (None, job.trigger_name)
        and where.submitted_by in (None, job.submitted_by)
        and where.team in (None, job.team)
        and (where.ids is None or job.id in where.ids)
        and job.id.startswith(where.id_start or "")
        and where.host in (None, job.host)
        and (where.commit_start is None or (job.commit_sha or "").startswith(where.commit_start))
        and (not where.any_of or any(matches(job, each) for each in where.any_of))
        and (where.created_after is None or job.created_at > where.created_after)
        and (name is None or (name in job.labels and value in (None, job.labels[name])))
    )


def began_here(job: Job, machine: Machine | None) -> bool:
    if machine is None:
        return job.attempt.machine is None
    return machine.runs(machine=job.attempt.machine, engine=job.attempt.engine)


def nobody_holds(job: Job, now: datetime) -> bool:
    first, last = ends_of_lease(now)
    return job.lease_expires_at is None or not first < job.lease_expires_at <= last


def is_due(job: Job, now: datetime) -> bool:
    if job.state is not JobState.RETRY_WAIT:
        return False
    ended_at, next_at = job.attempt.ended_at, job.next_attempt_at
    assert ended_at is not None
    assert next_at is not None
    return next_at <= now or ended_at > now + CLOCK_SLACK
