"""What an attempt's supervisor does in the store: claim, renew, record, finish. Writes carry the claim's token."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from shared.alerts.model import AlertEvent
from shared.errors import JobNotFound, LeaseLost
from shared.jobs.model import SUPERVISED, Job, JobState
from shared.jobs.records import Claim, Ending, Resolution, as_cancelled
from shared.scheduling.gpus import free_gpus
from shared.scheduling.hosts import Host, Machine, QueueCode
from shared.scheduling.leases import ends_of_lease
from shared.scheduling.limits import Usage, allot
from shared.scheduling.waiting import Waiting
from shared.sql.engine import Database, Lock, Transaction
from shared.sql.history_lines import as_settled
from shared.sql.outbox import record_alert
from shared.sql.rows import add_transition, change_job, complete, mark_job, move_job, read_job, reason_columns
from shared.sql.tables import attempts, log_chunks, open_runs, workers
from shared.sql.usage import (
    as_wanted,
    began_here,
    count_running,
    count_running_of_key,
    is_behind,
    reserving,
    running_on,
    to_waiting,
)

MACHINE = sa.select(workers.c.machine).where(workers.c.host == sa.bindparam("of_host", type_=workers.c.host.type))
INSERT_ATTEMPT = sa.insert(attempts)


class Claiming(Database):
    """The part of the JobStore that needs a claim."""

    def claim(self, job_id: str, *, host: Host, lease_seconds: float) -> Claim | None:
        """Take the job by compare-and-set, or return None."""
        with self.writing() as transaction:
            try:
                row = read_job(transaction, job_id, for_update=True)
            except JobNotFound:
                return None
            lease = {
                "host": host.name,
                "lease_token": row.lease_token + 1,
                "lease_expires_at": transaction.now + timedelta(seconds=lease_seconds),
            }
            if not _has_name(transaction, host):
                return None
            if row.state == JobState.QUEUED and row.queue in host.queues:
                devices = self._allot(transaction, to_waiting(row), host)
                if isinstance(devices, QueueCode):
                    mark_job(transaction, row, sent_at=None)
                    return None
                _begin_attempt(transaction, row, lease, devices, host.machine)
            elif _may_go_on(row, host) and _is_here(transaction, row, host) and _lease_is_over(transaction, row):
                change_job(transaction, row, **lease)
                message = f"taken over by the worker on {host.name}"
                add_transition(transaction, row, row.state, message, attempt=row.attempt)
                if (
                    row.state == JobState.RUNNING and row.lease_expires_at is not None
                ):  # its supervisor did not release it
                    record_alert(transaction, row, AlertEvent.ADOPTED, self.alerting)
            else:
                return None
            return Claim(complete(transaction, read_job(transaction, job_id)), row.lease_token + 1)

    def _allot(self, transaction: Transaction, job: Waiting, host: Host) -> tuple[str, ...] | QueueCode:
        """Count under locks, which are always taken in this order, after the lock of the job's row."""
        if self.limits.total is not None:
            transaction.lock("", Lock.TOTAL)
        transaction.lock(job.key)
        transaction.lock(host.name, Lock.HOST)
        host = as_wanted(transaction, host)
        return allot(job, host, usage=self._read_usage(transaction, job, host), limits=self.limits)

    def _read_usage(self, transaction: Transaction, job: Waiting, host: Host) -> Usage:
        on_host = running_on(transaction, host)
        needs = max(job.gpus, len(free_gpus(host, on_host)) - job.gpus)
        ahead = reserving(transaction, host, limits=self.limits, more_than=needs, ahead_of=job) if job.gpus else []
        return Usage(
            of_key=count_running_of_key(transaction, job.key),
            total=count_running(transaction) if self.limits.total is not None else 0,
            on_host=on_host,
            is_behind=is_behind(transaction, job, host),
            reserving=ahead,
        )

    def renew(self, claim: Claim, *, lease_seconds: float) -> None:
        """Extend the lease to that long from now."""
        with self._fenced(claim) as (transaction, row):
            mark_job(transaction, row, lease_expires_at=transaction.now + timedelta(seconds=lease_seconds))

    def release(self, claim: Claim) -> None:
        """Give the lease up."""
        with self._fenced(claim) as (transaction, row):
            if row.state == JobState.STARTING:
                _change_attempt(transaction, row, releases=attempts.c.releases + 1)
            mark_job(transaction, row, lease_expires_at=None, lease_token=row.lease_token + 1)

    def resolve(self, claim: Claim, found: Resolution) -> None:
        """Record what the attempt resolved its inputs to."""
        with self._fenced(claim) as (transaction, row):
            change_job(transaction, row, **{name: value for name, value in asdict(found).items() if value is not None})
            if found.run_id is not None:
                _change_attempt(transaction, row, run_id=found.run_id)

    def begin_start(self, claim: Claim, *, lease_seconds: float) -> bool:
        """Extend the lease to that long, if the job is still starting."""
        with self._fenced(claim) as (transaction, row):
            if row.state != JobState.STARTING:
                return False
            mark_job(transaction, row, lease_expires_at=transaction.now + timedelta(seconds=lease_seconds))
            return True

    def started(self, claim: Claim, *, runner: str, container: str) -> None:
        """Record the container and move the job to running."""
        with self._fenced(claim) as (transaction, row):
            if row.state != JobState.RUNNING:
                _change_attempt(transaction, row, runner=runner, container=container)
            if row.state == JobState.STARTING:
                move_job(transaction, row, JobState.RUNNING, f"started on {row.host}")
                record_alert(transaction, row, AlertEvent.STARTED, self.alerting)

    def append_log(self, claim: Claim, data: bytes, *, source_offset: int) -> None:
        """Append to the attempt's log and record how far its source was read."""
        with self._fenced(claim) as (transaction, row):
            mine = (attempts.c.job_id == row.id, attempts.c.number == row.attempt)
            size = transaction.execute(sa.select(attempts.c.log_size).where(*mine)).scalar_one()
            if data:
                chunk = {"job_id": row.id, "attempt": row.attempt, "offset": size, "data": data}
                transaction.execute(sa.insert(log_chunks).values(**chunk))
            _change_attempt(transaction, row, log_size=size + len(data), log_source_offset=source_offset)

    def finish(self, claim: Claim, ending: Ending) -> Job:
        """End the attempt and its lease; the job ends too, or waits for its next attempt."""
        with self._fenced(claim) as (transaction, row):
            asked, ending = ending, as_cancelled(ending) if row.state == JobState.CANCELLING else ending
            if ending.leaves_run_open or ending.state is not asked.state:  # the run was ended as what was asked
                transaction.execute(sa.insert(open_runs).values(job_id=row.id, attempt=row.attempt))
            reason = reason_columns(ending.reason)
            now = transaction.now
            _change_attempt(
                transaction, row, ended_at=now, exit_code=ending.exit_code, oom_killed=ending.oom_killed, **reason
            )
            result = as_settled(transaction, ending.result)
            values = {**reason, "result": result, "lease_expires_at": None, "lease_token": row.lease_token + 1}
            message = ending.reason.message if ending.reason else "the attempt succeeded"
            if ending.retry_in_seconds is None:
                move_job(transaction, row, ending.state, message, ended_at=now, secret=None, **values)
            else:
                next_at = now + timedelta(seconds=ending.retry_in_seconds)
                move_job(transaction, row, JobState.RETRY_WAIT, message, next_attempt_at=next_at, **values)
            seconds = ending.retry_in_seconds
            record_alert(transaction, row, ending.event, self.alerting, retry_in_seconds=seconds)
            return complete(transaction, read_job(transaction, row.id))

    def secret(self, claim: Claim) -> bytes | None:
        """Return the job's encrypted credentials."""
        with self._fenced(claim) as (_transaction, row):
            return bytes(row.secret) if row.secret is not None else None

    @contextmanager
    def _fenced(self, claim: Claim) -> Iterator[tuple[Transaction, sa.Row[Any]]]:
        with self.writing() as transaction:
            yield transaction, held_row(transaction, claim)


def held_row(transaction: Transaction, claim: Claim) -> sa.Row[Any]:
    """Return the claimed job's row, locked; raise LeaseLost if the claim is over."""
    try:
        row = read_job(transaction, claim.job.id, for_update=True)
    except JobNotFound as error:  # it ended while its holder was cut off, and has been deleted since
        raise LeaseLost(f"Job {claim.job.id} was deleted.", job_id=claim.job.id) from error
    if row.lease_token != claim.token or row.state not in SUPERVISED:
        raise LeaseLost(f"Job {row.id} no longer belongs to this worker (it is {row.state}).", job_id=row.id)
    return row


def _may_go_on(row: sa.Row[Any], host: Host) -> bool:
    """Return whether the host's worker may take the attempt over; in preparation, only if it knows all its fields."""
    return row.state in SUPERVISED and not (row.state == JobState.STARTING and to_waiting(row).unknown_to(host))


def _lease_is_over(transaction: Transaction, row: sa.Row[Any]) -> bool:
    first, last = ends_of_lease(transaction.now)
    return row.lease_expires_at is None or not first < row.lease_expires_at <= last


def _has_name(transaction: Transaction, host: Host) -> bool:
    """Return whether this machine has the host's name: a machine that lost it may not know yet."""
    known = transaction.one(MACHINE, of_host=host.name)
    return known is None or host.machine is None or known.machine in (None, host.machine.id)


def _is_here(transaction: Transaction, row: sa.Row[Any], host: Host) -> bool:
    """Return whether the job's attempt runs on this machine: the host's name alone does not tell."""
    if row.host != host.name:
        return False
    mine = (attempts.c.job_id == row.id, attempts.c.number == row.attempt)
    began = transaction.one(sa.select(attempts.c.machine, attempts.c.engine).where(*mine))
    return began is None or began_here(began, host.machine)


def _begin_attempt(
    transaction: Transaction,
    row: sa.Row[Any],
    lease: dict[str, Any],
    devices: tuple[str, ...],
    machine: Machine | None,
) -> None:
    number, now = row.attempt + 1, transaction.now
    values = {"job_id": row.id, "number": number, "host": lease["host"], "gpu_ids": devices, "started_at": now}
    values |= {"machine": machine.id, "engine": machine.engine} if machine else {}
    transaction.execute(INSERT_ATTEMPT, **values)
    values = {"attempt": number, "started_at": row.started_at or now, "next_attempt_at": None, **reason_columns(None)}
    move_job(transaction, row, JobState.STARTING, f"claimed by {lease['host']}", **values, **lease)


def _change_attempt(transaction: Transaction, row: sa.Row[Any], **values: Any) -> None:
    mine = (attempts.c.job_id == row.id, attempts.c.number == row.attempt)
    transaction.execute(sa.update(attempts).where(*mine).values(**values))
