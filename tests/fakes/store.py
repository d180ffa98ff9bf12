"""An in-memory JobStore with a clock that a test may hold, held to the same contract suite as SqlStore.

Every method runs under one lock, which stands for the transaction: what may raise comes before what changes.
"""

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.errors import IdempotencyKeyReused, JobEnded, JobNotFound, LeaseLost, StoreUnavailable
from shared.jobs import FOLLOWING, SUPERVISED, Attempt, Job, JobState, NewJob, Reason, Transition
from shared.sql.column_types import as_json, as_text
from shared.store import (
    USER_CANCELLED,
    Claim,
    Cursor,
    Ending,
    JobFilter,
    LogSlice,
    Resolved,
    Submission,
    WorkerBeat,
    as_cancelled,
)


@dataclass
class Record:
    """A job, and what nobody is shown of it."""

    job: Job
    secret: bytes | None
    deadline_at: datetime | None
    sent_at: datetime | None
    token: int = 0
    logs: dict[int, bytes] = field(default_factory=dict)

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

    def add_transition(self, transition: Transition) -> None:
        """Write one line of the job's history."""
        self.job = replace(self.job, transitions=(*self.job.transitions, transition))


class MemoryStore:
    """A JobStore without a database; ``down`` makes every call fail as a database that is away does."""

    def __init__(self, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC), limit_per_key: int = 1) -> None:
        self.down = False
        self._clock = clock
        self._limit_per_key = limit_per_key
        self._lock = threading.Lock()
        self._records: dict[str, Record] = {}
        self._keys: dict[str, tuple[str, str]] = {}
        self._beats: dict[str, datetime] = {}

    def submit(self, new: NewJob, *, idempotency_key: str | None = None, payload_hash: str = "") -> Submission:
        with self._transaction() as now:
            if idempotency_key in self._keys:
                job_id, known_hash = self._keys[idempotency_key]
                if known_hash != payload_hash:
                    raise IdempotencyKeyReused(f"This Idempotency-Key was used for job {job_id}.", job_id=job_id)
                return Submission(self._records[job_id].job, created=False)
            seconds = new.queue_timeout_seconds
            deadline = now + timedelta(seconds=seconds) if seconds is not None else None
            record = Record(_new_job(new, now), new.secret, deadline, sent_at=now)
            record.add_transition(Transition(None, JobState.QUEUED, now, 0, "submitted"))
            self._records[new.id] = record
            if idempotency_key is not None:
                self._keys[idempotency_key] = (new.id, payload_hash)
            return Submission(record.job, created=True)

    def get(self, job_id: str) -> Job:
        with self._transaction():
            return self._record(job_id).job

    def cancel(self, job_id: str, *, force: bool) -> Job:
        with self._transaction() as now:
            record = self._record(job_id)
            state = record.job.state
            if state.is_terminal:
                raise JobEnded(f"Job {job_id} has ended as {state}.", job_id=job_id)
            if state not in SUPERVISED:
                record.move(JobState.CANCELLED, USER_CANCELLED.message, now, ended_at=now, reason=USER_CANCELLED)
                record.secret = None
            elif state is not JobState.CANCELLING:
                record.move(JobState.CANCELLING, "cancel requested", now, cancel_forced=force)
            elif force and not record.job.cancel_forced:
                record.change(cancel_forced=True)
            return record.job

    def get_version(self, job_id: str) -> tuple[int, JobState]:
        job = self.get(job_id)
        return job.version, job.state

    def list(self, where: JobFilter, *, limit: int, after: Cursor | None = None) -> Sequence[Job]:
        with self._transaction():
            found = [record.job for record in self._records.values() if _matches(record.job, where)]
            if after is not None:
                found = [job for job in found if (job.created_at, job.id) < (after.created_at, after.id)]
            found.sort(key=lambda job: (job.created_at, job.id), reverse=True)
            return [replace(job, transitions=()) for job in found[:limit]]

    def read_log(self, job_id: str, *, attempt: int | None, offset: int, limit: int) -> LogSlice:
        with self._transaction():
            record = self._record(job_id)
            number = attempt or len(record.job.attempts)
            log = record.logs.get(number, b"")
            start = max(0, len(log) + offset) if offset < 0 else min(offset, len(log))
            return LogSlice(number, start, log[start : start + limit], len(log))

    def claim(self, job_id: str, *, host: str, queues: Collection[str], lease_seconds: float) -> Claim | None:
        with self._transaction() as now:
            record = self._records.get(job_id)
            if record is None:
                return None
            job, lease = record.job, {"host": host, "lease_expires_at": now + timedelta(seconds=lease_seconds)}
            if job.state is JobState.QUEUED and job.queue in queues:
                if self._running(job.concurrency_key) >= self._limit_per_key:
                    record.sent_at = None
                    return None
                attempts = (*job.attempts, Attempt(len(job.attempts) + 1, host, now))
                values = {"attempts": attempts, "started_at": job.started_at or now, "reason": None}
                record.move(JobState.STARTING, f"claimed by {host}", now, next_attempt_at=None, **values, **lease)
            elif job.state in SUPERVISED and job.host == host and _is_over(job.lease_expires_at, now):
                record.change(**lease)
                message = f"taken over by the worker on {host}"
                record.add_transition(Transition(job.state, job.state, now, len(job.attempts), message))
            else:
                return None
            record.token += 1
            return Claim(record.job, record.token)

    def renew(self, claim: Claim, *, lease_seconds: float) -> None:
        with self._fenced(claim) as (record, now):
            record.job = replace(record.job, lease_expires_at=now + timedelta(seconds=lease_seconds))

    def release(self, claim: Claim) -> None:
        with self._fenced(claim) as (record, _now):
            record.job = replace(record.job, lease_expires_at=None)
            record.token += 1

    def resolve(self, claim: Claim, found: Resolved) -> None:
        with self._fenced(claim) as (record, _now):
            record.change(**{name: value for name, value in asdict(found).items() if value is not None})
            if found.run_id is not None:
                record.change_attempt(run_id=found.run_id)

    def started(self, claim: Claim, *, runner: str, container: str) -> None:
        with self._fenced(claim) as (record, now):
            if record.job.state is not JobState.RUNNING:
                record.change_attempt(runner=runner, container=container)
            if record.job.state is JobState.STARTING:
                record.move(JobState.RUNNING, f"started on {record.job.host}", now)

    def append_log(self, claim: Claim, data: bytes, *, source_offset: int) -> None:
        with self._fenced(claim) as (record, _now):
            number = len(record.job.attempts)
            record.logs[number] = record.logs.get(number, b"") + data
            record.change_attempt(log_size=len(record.logs[number]), log_source_offset=source_offset)

    def finish(self, claim: Claim, ending: Ending) -> Job:
        with self._fenced(claim) as (record, now):
            ending = as_cancelled(ending) if record.job.state is JobState.CANCELLING else ending
            message = ending.reason.message if ending.reason else "the attempt succeeded"
            reason = _clean(ending.reason)
            values = {"reason": reason, "result": as_json(ending.result), "lease_expires_at": None}
            if ending.retry_in_seconds is None:
                record.move(ending.state, message, now, ended_at=now, **values)
                record.secret = None
            else:
                next_at = now + timedelta(seconds=ending.retry_in_seconds)
                record.move(JobState.RETRY_WAIT, message, now, next_attempt_at=next_at, **values)
            record.change_attempt(ended_at=now, exit_code=ending.exit_code, oom_killed=ending.oom_killed, reason=reason)
            record.token += 1
            return record.job

    def fail_unsupervised(self, job_id: str, reason: Reason) -> bool:
        with self._transaction() as now:
            record = self._record(job_id)
            if record.job.state not in (JobState.QUEUED, JobState.RETRY_WAIT):
                return False
            record.move(JobState.FAILED, reason.message, now, ended_at=now, reason=_clean(reason))
            record.secret = None
            return True

    def secret(self, claim: Claim) -> bytes | None:
        with self._fenced(claim) as (record, _now):
            return record.secret

    def take_sendable(self, *, queues: Collection[str], limit: int, resend_after_seconds: float) -> Sequence[Job]:
        with self._transaction() as now:
            since = now - timedelta(seconds=resend_after_seconds)
            waiting = [record for record in self._records.values() if record.job.state is JobState.QUEUED]
            busy = Counter(record.job.concurrency_key for record in waiting if not _is_over(record.sent_at, since))
            chosen: list[Record] = []
            for record in sorted(waiting, key=_sending_order):
                key = record.job.concurrency_key
                room = self._running(key) + busy[key] < self._limit_per_key
                if len(chosen) < limit and room and record.job.queue in queues and _is_over(record.sent_at, since):
                    busy[key] += 1
                    record.sent_at = now
                    chosen.append(record)
            return [replace(record.job, transitions=()) for record in chosen]

    def unmark_sent(self, job_id: str) -> None:
        with self._transaction():
            if record := self._records.get(job_id):
                record.sent_at = None

    def wake_retries(self) -> int:
        with self._transaction() as now:
            due = [record for record in self._records.values() if _is_due(record.job, now)]
            for record in due:
                values = {"queued_at": now, "next_attempt_at": None}
                record.move(JobState.QUEUED, "the wait before the next attempt is over", now, **values)
                record.sent_at = None
            return len(due)

    def find_orphans(self, *, host: str) -> Sequence[str]:
        with self._transaction() as now:
            mine = sorted(self._supervised_on(host), key=lambda job: job.queued_at)
            return [job.id for job in mine if _is_over(job.lease_expires_at, now)]

    def find_overdue(self) -> Sequence[str]:
        with self._transaction() as now:
            waiting = (r for r in self._records.values() if r.job.state is JobState.QUEUED and not r.job.attempts)
            return [r.job.id for r in waiting if r.deadline_at is not None and r.deadline_at <= now]

    def running_on(self, host: str) -> Sequence[Job]:
        with self._transaction():
            return [replace(job, transitions=()) for job in self._supervised_on(host)]

    def beat(self, worker: WorkerBeat) -> None:
        with self._transaction() as now:
            self._beats[worker.host] = now

    def leave(self, host: str) -> None:
        with self._transaction():
            self._beats.pop(host, None)

    def live_workers(self, *, within_seconds: float) -> int:
        with self._transaction() as now:
            return sum(seen_at > now - timedelta(seconds=within_seconds) for seen_at in self._beats.values())

    def ping(self) -> None:
        with self._transaction():
            return

    @contextmanager
    def _transaction(self) -> Iterator[datetime]:
        with self._lock:
            if self.down:
                raise StoreUnavailable("The job store does not answer: the test took it down")
            yield self._clock()

    @contextmanager
    def _fenced(self, claim: Claim) -> Iterator[tuple[Record, datetime]]:
        with self._transaction() as now:
            record = self._record(claim.job.id)
            if record.token != claim.token or record.job.state not in SUPERVISED:
                raise LeaseLost(f"Job {record.job.id} is not this worker's any more.", job_id=record.job.id)
            yield record, now

    def _record(self, job_id: str) -> Record:
        if job_id not in self._records:
            raise JobNotFound(f"There is no job {job_id!r}.", job_id=job_id)
        return self._records[job_id]

    def _running(self, key: str) -> int:
        jobs = (record.job for record in self._records.values())
        return sum(job.concurrency_key == key and job.state in SUPERVISED for job in jobs)

    def _supervised_on(self, host: str) -> Sequence[Job]:
        jobs = (record.job for record in self._records.values())
        return [job for job in jobs if job.host == host and job.state in SUPERVISED]


def _new_job(new: NewJob, now: datetime) -> Job:
    values = {item.name: getattr(new, item.name) for item in fields(NewJob)}
    hidden = {"secret": None, "queue_timeout_seconds": None}
    copied = {"request": as_json(new.request), "labels": dict(new.labels)}
    return Job(**{**values, **hidden, **copied}, created_at=now, queued_at=now)


def _clean(reason: Reason | None) -> Reason | None:
    return replace(reason, message=as_text(reason.message)) if reason else None


def _matches(job: Job, where: JobFilter) -> bool:
    name, value = where.label or (None, None)
    return (
        (where.states is None or job.state in where.states)
        and where.experiment_name in (None, job.experiment_name)
        and where.model_name in (None, job.model_name)
        and (where.created_after is None or job.created_at > where.created_after)
        and (name is None or (name in job.labels and value in (None, job.labels[name])))
    )


def _is_over(at: datetime | None, now: datetime) -> bool:
    return at is None or at <= now


def _is_due(job: Job, now: datetime) -> bool:
    return job.state is JobState.RETRY_WAIT and _is_over(job.next_attempt_at, now)


def _sending_order(record: Record) -> tuple[int, datetime, str]:
    return -record.job.priority, record.job.queued_at, record.job.id
