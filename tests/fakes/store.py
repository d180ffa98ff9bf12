"""An in-memory JobStore with a clock that a test may hold, held to the same contract suite as SqlStore.

Every method runs under one lock, which stands for the transaction: what may raise comes before what changes.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from shared.access.audit import AuditEntry
from shared.access.sessions import NewSession
from shared.alerts.model import AlertEvent, Alerting, Trial
from shared.errors import IdempotencyKeyReused, JobEnded, StoreUnavailable
from shared.jobs.model import SUPERVISED, WAITING_STATES, Job, JobState, NewJob, Reason, Transition
from shared.jobs.observations import Observation
from shared.jobs.promotions import HistoryLine, Promotion
from shared.jobs.records import (
    USER_CANCELLED,
    Cursor,
    JobFilter,
    LogSlice,
    Submission,
    ToLookAt,
)
from shared.jobs.triggers import Pause
from shared.requests.fields import is_for_newer_workers
from shared.scheduling.gpus import reserved_on
from shared.scheduling.hosts import Host, Machine, with_host
from shared.scheduling.leases import Span
from shared.scheduling.limits import Limits, Sending
from shared.scheduling.queue_position import QueuePosition, Scene, is_known_to_any, position_of
from shared.scheduling.waiting import NEWER_WORKER
from tests.fakes.access.sessions import MemorySessions
from tests.fakes.access.tokens import KeptToken, MemoryModelTeams, MemoryQueues, MemoryTokens
from tests.fakes.claims import MemoryClaims
from tests.fakes.observations import MemoryObservations
from tests.fakes.outbox import Kept
from tests.fakes.records import Beat, Record, began_here, clean, is_due, matches, new_record_job, nobody_holds
from tests.fakes.reports.monthly_usage import MemoryUsage
from tests.fakes.reports.told_alerts import MemoryToldAlerts
from tests.fakes.trials import MemoryTrials
from tests.fakes.trigger_looks import MemoryLooks
from tests.fakes.triggers import Kept as KeptTrigger
from tests.fakes.watching import MemoryWatching

ANY_LIMITS = Limits()
NO_ALERTS = Alerting()


class MemoryStore(
    MemoryModelTeams,
    MemoryQueues,
    MemoryClaims,
    MemoryObservations,
    MemoryLooks,
    MemoryTrials,
    MemoryTokens,
    MemorySessions,
    MemoryUsage,
    MemoryToldAlerts,
    MemoryWatching,
):
    """A JobStore without a database; ``down`` makes every call fail as a database that is away does."""

    def __init__(
        self,
        *,
        clock: Callable[[], datetime] | None = None,
        limits: Limits = ANY_LIMITS,
        alerting: Alerting = NO_ALERTS,
        teams_isolated: bool = False,
    ) -> None:
        self.down = False
        self.limits = limits
        self.alerting = alerting
        self.teams_isolated = teams_isolated
        self._clock = clock or (lambda: datetime.now(UTC))
        self._lock = threading.Lock()
        self._records: dict[str, Record] = {}
        self._deleted: list[Record] = []
        self._alerts: dict[str, list[Kept]] = {}
        self._keys: dict[str, tuple[str, str]] = {}
        self._beats: dict[str, Beat] = {}
        self._trials: dict[str, Trial] = {}
        self._promotions: dict[str, Promotion] = {}
        self._events: list[HistoryLine] = []
        self._open_notes: set[str] = set()
        self._observations: list[Observation] = []
        self._triggers: dict[str, KeptTrigger] = {}
        self._pause: Pause | None = None
        self._last_trigger_event = 0
        self._tokens: dict[str, KeptToken] = {}
        self._sessions: dict[str, tuple[NewSession, datetime, datetime]] = {}
        self._model_teams: dict[str, str | None] = {}
        self._audit: list[AuditEntry] = []

    def submit(self, new: NewJob, *, idempotency_key: str | None = None, payload_hash: str = "") -> Submission:
        with self._transaction() as now:
            if idempotency_key in self._keys:
                job_id, known_hash = self._keys[idempotency_key]
                if known_hash != payload_hash:
                    raise IdempotencyKeyReused(f"This Idempotency-Key was used for job {job_id}.", job_id=job_id)
                return Submission(self._records[job_id].job, created=False)
            self._require_room(new)
            self._take_model(new)
            job = self._insert_job(new, now)
            if idempotency_key is not None:
                self._keys[idempotency_key] = (new.id, payload_hash)
            self._record_act(f"job:{new.id}", now)
            return Submission(job, created=True)

    def get(self, job_id: str) -> Job:
        with self._transaction():
            return self._record(job_id).job

    def cancel(self, job_id: str, *, force: bool) -> Job:
        with self._transaction() as now:
            record = self._record(job_id)
            before = record.job.version
            self._cancel_record(record, now, force=force)
            if record.job.version != before:
                self._record_act(f"job:{job_id}", now)
            return record.job

    def get_version(self, job_id: str) -> tuple[int, JobState]:
        job = self.get(job_id)
        return job.version, job.state

    def list(self, where: JobFilter, *, limit: int, after: Cursor | None = None) -> Sequence[Job]:
        with self._transaction():
            found = [record.job for record in self._records.values() if matches(record.job, where)]
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

    def fail_unsupervised(self, job_id: str, reason: Reason) -> bool:
        with self._transaction() as now:
            record = self._record(job_id)
            if record.job.state not in WAITING_STATES:
                return False
            record.move(JobState.FAILED, reason.message, now, ended_at=now, reason=clean(reason))
            record.secret = None
            self._record_alert(record, AlertEvent.FAILED, now)
            return True

    def take_sendable(self, host: Host, *, resend_after_seconds: float) -> Sequence[Job]:
        with self._transaction() as now:
            span, host = Span.around(now, resend_after_seconds), self._as_wanted(host)
            waiting = [record for record in self._records.values() if record.job.state is JobState.QUEUED]
            under_way = [record.waiting for record in waiting if span.holds(record.sent_at)]
            running = self._running()
            sending = Sending(
                host,
                self.limits,
                on_host=[other for other in running if other.host == host.name],
                busy=Counter([other.key for other in running] + [other.key for other in under_way]),
                total=len(running) + len(under_way),
                reserving=reserved_on(host, self._long_waiting(now), with_host(self._live(now), host)),
            )
            for record in sorted(waiting, key=lambda one: one.waiting.order):
                if record.job.queue in host.queues and not span.holds(record.sent_at):
                    sending.offer(record.waiting)
            chosen = [self._records[job_id] for job_id in sending.chosen]
            for record in chosen:
                record.sent_at = now
            return [replace(record.job, transitions=()) for record in chosen]

    def find_queue_position(self, job_id: str) -> QueuePosition | None:
        with self._transaction() as now:
            record = self._record(job_id)
            if record.job.state is not JobState.QUEUED:
                return None
            job, waiting, live = record.waiting, self._waiting(), self._live(now)
            scene = Scene(
                position=1 + sum(other.queue == job.queue and other.order < job.order for other in waiting),
                running=self._running(),
                first=[other.id for other in waiting if other.goes_before(job) and is_known_to_any(other, live)],
                live=live,
                long_waiting=self._long_waiting(now),
            )
            return position_of(job, scene, self.limits)

    def unmark_sent(self, job_id: str) -> None:
        with self._transaction():
            if record := self._records.get(job_id):
                record.sent_at = None

    def wake_retries(self) -> int:
        with self._transaction() as now:
            due = [record for record in self._records.values() if is_due(record.job, now)]
            for record in due:
                if record.deadline_at is not None:
                    record.deadline_at = now + (record.deadline_at - record.job.queued_at)
                values = {"queued_at": now, "next_attempt_at": None}
                record.move(JobState.QUEUED, "the wait before the next attempt is over", now, **values)
                record.sent_at = None
            return len(due)

    def find_orphans(self, *, host: str, machine: Machine | None = None) -> Sequence[str]:
        with self._transaction() as now:
            mine = sorted(self._supervised_on(host), key=lambda job: job.queued_at)
            return [job.id for job in mine if nobody_holds(job, now) and began_here(job, machine)]

    def recognise(self, job_id: str, *, host: Host) -> bool:
        with self._transaction() as now:
            record = self._records.get(job_id)
            if record is None or not record.is_supervised or record.job.host != host.name or host.machine is None:
                return False
            began = record.job.attempt
            may_be = host.machine.may_have_run(machine=began.machine, engine=began.engine)
            if not nobody_holds(record.job, now) or not may_be:
                return False
            record.change_attempt(machine=host.machine.id)
            return True

    def take_to_look_at(self, host: Host, *, after_seconds: float) -> ToLookAt | None:
        with self._transaction() as now:
            host, since = self._as_wanted(host), now - timedelta(seconds=after_seconds)
            for record in sorted(self._records.values(), key=lambda one: one.waiting.order):
                job = record.job
                is_new = job.state is JobState.QUEUED and not job.attempts and not record.was_looked_at
                is_here = job.queue in host.queues and record.waiting.may_run_on(host) and not host.closed_because
                if is_new and is_here and job.created_at <= since:
                    record.was_looked_at = True
                    return ToLookAt(job, record.secret)
            return None

    def find_overdue(self) -> Sequence[str]:
        with self._transaction() as now:
            waiting = (r for r in self._records.values() if r.job.state is JobState.QUEUED)
            return [r.job.id for r in waiting if r.deadline_at is not None and r.deadline_at <= now]

    def running_on(self, host: str) -> Sequence[Job]:
        with self._transaction():
            return [replace(job, transitions=()) for job in self._supervised_on(host)]

    def find_open_runs(self) -> Sequence[tuple[str, int]]:
        with self._transaction():
            return sorted((one.job.id, number) for one in self._records.values() for number in one.open_runs)

    def note_run_ended(self, job_id: str, *, attempt: int) -> None:
        with self._transaction():
            if record := self._records.get(job_id):
                record.open_runs.discard(attempt)

    def delete_ended(self, *, older_than_seconds: float, limit: int) -> int:
        with self._transaction() as now:
            until = now - timedelta(seconds=older_than_seconds)
            old = [(job.ended_at, job.id) for job in self._jobs() if job.ended_at and job.ended_at <= until]
            gone = {job_id for _, job_id in sorted(old)[:limit]}
            self._deleted += [self._records[job_id] for job_id in gone]
            self._records = {job_id: one for job_id, one in self._records.items() if job_id not in gone}
            self._keys = {key: known for key, known in self._keys.items() if known[0] not in gone}
            self._alerts = {job_id: kept for job_id, kept in self._alerts.items() if job_id not in gone}
            return len(gone)

    def ping(self) -> None:
        with self._transaction():
            return

    @contextmanager
    def _transaction(self) -> Iterator[datetime]:
        with self._lock:
            if self.down:
                raise StoreUnavailable("The job store does not answer: the test took it down")
            yield self._clock()

    def _insert_job(self, new: NewJob, now: datetime) -> Job:
        if is_for_newer_workers(new.request) and any(beat.is_earlier for beat in self._beats.values()):
            new = replace(new, wanted_labels=(*new.wanted_labels, NEWER_WORKER))
        seconds = new.queue_timeout_seconds
        deadline = now + timedelta(seconds=seconds) if seconds is not None else None
        record = Record(new_record_job(new, now), new.secret, deadline, sent_at=now)
        record.add_transition(Transition(None, JobState.QUEUED, now, 0, "submitted"))
        self._records[new.id] = record
        return record.job

    def _cancel_record(self, record: Record, now: datetime, *, force: bool) -> None:
        job_id = record.job.id
        state = record.job.state
        if state.is_terminal:
            raise JobEnded(f"Job {job_id} has ended as {state}.", job_id=job_id)
        if state not in SUPERVISED:
            record.move(JobState.CANCELLED, USER_CANCELLED.message, now, ended_at=now, reason=USER_CANCELLED)
            record.secret = None
            self._record_alert(record, AlertEvent.CANCELLED, now)
        elif state is not JobState.CANCELLING:
            record.move(JobState.CANCELLING, "cancel requested", now, cancel_forced=force)
        elif force and not record.job.cancel_forced:
            record.change(cancel_forced=True)

    def _jobs(self) -> Sequence[Job]:
        return [record.job for record in self._records.values()]

    def _supervised_on(self, host: str) -> Sequence[Job]:
        return [job for job in self._jobs() if job.host == host and job.state in SUPERVISED]
