"""What the in-memory store does for the supervisor of an attempt, and the limits that it counts for that."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, replace
from datetime import datetime, timedelta

from shared.alerts.model import AlertEvent
from shared.errors import JobNotFound, LeaseLost
from shared.jobs.model import SUPERVISED, WAITING_STATES, Attempt, Job, JobState, not_waiting
from shared.jobs.records import (
    Claim,
    Ending,
    Resolution,
    as_cancelled,
)
from shared.scheduling.gpus import reserved_on
from shared.scheduling.hosts import Host, Machine, QueueCode, with_host
from shared.scheduling.limits import Limits, Usage, allot
from shared.scheduling.waiting import Running, Waiting
from shared.sql.column_types import as_json
from tests.fakes.hosts import MemoryHosts
from tests.fakes.outbox import MemoryOutbox
from tests.fakes.promotions import MemoryPromotions
from tests.fakes.records import Record, began_here, clean, nobody_holds


class MemoryClaims(MemoryOutbox, MemoryPromotions, MemoryHosts):
    """The part of MemoryStore that is about claims; every write is fenced by the claim's token."""

    limits: Limits
    _records: dict[str, Record]

    def _transaction(self) -> AbstractContextManager[datetime]:
        raise NotImplementedError

    def claim(self, job_id: str, *, host: Host, lease_seconds: float) -> Claim | None:
        with self._transaction() as now:
            record = self._records.get(job_id)
            if record is None or not self._has_name(host):
                return None
            job, lease = record.job, {"host": host.name, "lease_expires_at": now + timedelta(seconds=lease_seconds)}
            if job.state is JobState.QUEUED and job.queue in host.queues:
                devices = self._allot(record.waiting, self._as_wanted(host), now)
                if isinstance(devices, QueueCode):
                    record.sent_at = None
                    return None
                machine = host.machine or Machine("")
                attempt = Attempt(
                    len(job.attempts) + 1,
                    host.name,
                    now,
                    machine=machine.id or None,
                    engine=machine.engine,
                    gpu_ids=devices,
                )
                values = {"attempts": (*job.attempts, attempt), "started_at": job.started_at or now, "reason": None}
                record.move(JobState.STARTING, f"claimed by {host.name}", now, next_attempt_at=None, **values, **lease)
            elif record.may_go_on(host) and self._is_here(job, host) and nobody_holds(job, now):
                record.change(**lease)
                record.note(f"taken over by the worker on {host.name}", now)
                if job.state is JobState.RUNNING and job.lease_expires_at is not None:
                    self._record_alert(record, AlertEvent.ADOPTED, now)
            else:
                return None
            record.token += 1
            return Claim(record.job, record.token)

    def _is_here(self, job: Job, host: Host) -> bool:
        return job.host == host.name and began_here(job, host.machine)

    def _allot(self, job: Waiting, host: Host, now: datetime) -> tuple[str, ...] | QueueCode:
        running = self._running()
        usage = Usage(
            of_key=sum(other.key == job.key for other in running),
            total=len(running),
            on_host=[other for other in running if other.host == host.name],
            is_behind=any(other.goes_before(job) and not other.unknown_to(host) for other in self._waiting()),
            reserving=reserved_on(host, self._long_waiting(now), with_host(self._live(now), host)),
        )
        return allot(job, host, usage=usage, limits=self.limits)

    def renew(self, claim: Claim, *, lease_seconds: float) -> None:
        with self._fenced(claim) as (record, now):
            record.job = replace(record.job, lease_expires_at=now + timedelta(seconds=lease_seconds))

    def release(self, claim: Claim) -> None:
        with self._fenced(claim) as (record, _now):
            if record.job.state is JobState.STARTING:
                record.change_attempt(releases=record.job.attempt.releases + 1)
            record.job = replace(record.job, lease_expires_at=None)
            record.token += 1

    def resolve(self, claim: Claim, found: Resolution) -> None:
        with self._fenced(claim) as (record, _now):
            record.change(**{name: value for name, value in asdict(found).items() if value is not None})
            if found.run_id is not None:
                record.change_attempt(run_id=found.run_id)

    def begin_start(self, claim: Claim, *, lease_seconds: float) -> bool:
        with self._fenced(claim) as (record, now):
            if record.job.state is not JobState.STARTING:
                return False
            record.job = replace(record.job, lease_expires_at=now + timedelta(seconds=lease_seconds))
            return True

    def started(self, claim: Claim, *, runner: str, container: str) -> None:
        with self._fenced(claim) as (record, now):
            if record.job.state is not JobState.RUNNING:
                record.change_attempt(runner=runner, container=container)
            if record.job.state is JobState.STARTING:
                record.move(JobState.RUNNING, f"started on {record.job.host}", now)
                self._record_alert(record, AlertEvent.STARTED, now)

    def append_log(self, claim: Claim, data: bytes, *, source_offset: int) -> None:
        with self._fenced(claim) as (record, _now):
            number = len(record.job.attempts)
            record.logs[number] = record.logs.get(number, b"") + data
            record.change_attempt(log_size=len(record.logs[number]), log_source_offset=source_offset)

    def finish(self, claim: Claim, ending: Ending) -> Job:
        with self._fenced(claim) as (record, now):
            asked, ending = ending, as_cancelled(ending) if record.job.state is JobState.CANCELLING else ending
            if ending.leaves_run_open or ending.state is not asked.state:
                record.open_runs.add(record.job.attempt.number)
            message = ending.reason.message if ending.reason else "the attempt succeeded"
            reason = clean(ending.reason)
            values = {"reason": reason, "result": self._as_settled(as_json(ending.result)), "lease_expires_at": None}
            if ending.retry_in_seconds is None:
                record.move(ending.state, message, now, ended_at=now, **values)
                record.secret = None
            else:
                next_at = now + timedelta(seconds=ending.retry_in_seconds)
                record.move(JobState.RETRY_WAIT, message, now, next_attempt_at=next_at, **values)
            record.change_attempt(ended_at=now, exit_code=ending.exit_code, oom_killed=ending.oom_killed, reason=reason)
            record.token += 1
            self._record_alert(record, ending.event, now, retry_in_seconds=ending.retry_in_seconds)
            return record.job

    def secret(self, claim: Claim) -> bytes | None:
        with self._fenced(claim) as (record, _now):
            return record.secret

    @contextmanager
    def _fenced(self, claim: Claim) -> Iterator[tuple[Record, datetime]]:
        with self._transaction() as now:
            if claim.job.id not in self._records:
                raise LeaseLost(f"Job {claim.job.id} was deleted.", job_id=claim.job.id)
            record = self._record(claim.job.id)
            if record.token != claim.token or record.job.state not in SUPERVISED:
                raise LeaseLost(f"Job {record.job.id} no longer belongs to this worker.", job_id=record.job.id)
            yield record, now

    def set_priority(self, job_id: str, priority: int) -> Job:
        with self._transaction() as now:
            record = self._record(job_id)
            if record.job.state not in WAITING_STATES:
                raise not_waiting(job_id, record.job.state)
            if record.job.priority != priority:
                record.change(priority=priority)
                self._record_act(f"job:{job_id}", now)
            return record.job

    def _record(self, job_id: str) -> Record:
        if job_id not in self._records:
            raise JobNotFound.of(job_id)
        return self._records[job_id]

    def _running(self) -> Sequence[Running]:
        supervised = [record for record in self._records.values() if record.is_supervised]
        return [one.running for one in sorted(supervised, key=lambda one: (one.job.created_at, one.job.id))]

    def _waiting(self) -> Sequence[Waiting]:
        queued = [one.waiting for one in self._records.values() if one.job.state is JobState.QUEUED]
        return sorted(queued, key=lambda job: job.order)

    def _long_waiting(self, now: datetime) -> Sequence[Waiting]:
        """Jobs that GPUs may be kept for: none that its key holds back."""
        since, waiting = now - timedelta(seconds=self.limits.reserve_gpus_after_seconds), self._waiting()
        busy = Counter(other.key for other in self._running())
        return [
            job
            for job in waiting
            if job.gpus and job.created_at <= since and busy[job.key] < self.limits.for_key(job.key)
            if not any(other.goes_before(job) for other in waiting)
        ]
