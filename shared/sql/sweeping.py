"""What the sweep does in the store: finds jobs to send, wake, take over, give up or delete."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from shared.alerts.model import AlertEvent
from shared.jobs.model import SUPERVISED, TERMINAL, WAITING_STATES, Job, JobState, Reason
from shared.jobs.records import ToLookAt
from shared.scheduling.hosts import Host, Machine
from shared.scheduling.leases import CLOCK_SLACK, Span
from shared.scheduling.limits import Sending
from shared.scheduling.waiting import Waiting
from shared.sql.engine import Database, Lock, Transaction
from shared.sql.outbox import record_alert
from shared.sql.rows import complete, mark_job, move_job, read_job, reason_columns, with_attempts
from shared.sql.tables import IS_QUEUED, attempts, jobs, open_runs
from shared.sql.usage import (
    IN_ORDER,
    WAITING,
    after,
    as_wanted,
    began_here,
    count_by_key,
    count_running,
    lease_is_over,
    may_be_for,
    reserving,
    running_on,
    to_waiting,
)

PAGE = 100
PAGES = 50  # enough for thousands of keys at their limit, and the loop always ends


class Sweeping(Database):
    """The part of the JobStore that needs no claim; many workers may do it at once."""

    def take_sendable(self, host: Host, *, resend_after_seconds: float) -> Sequence[Job]:
        """Mark as sent and return the next jobs that could start on this host."""
        with self.writing() as transaction:
            span = Span.around(transaction.now, resend_after_seconds)
            host = as_wanted(transaction, host)
            on_host = running_on(transaction, host)
            sending = Sending(host, self.limits, on_host, Counter(), total=0, reserving=())
            if sending.is_over or not _is_any_waiting(transaction, host, span):
                return []
            transaction.lock("", Lock.SENDING)  # two at once would each send a job of the same key
            self._read_counts(transaction, sending, span)
            _choose(transaction, sending, span)
            return _mark_sent(transaction, sending.chosen, span)

    def _read_counts(self, transaction: Transaction, sending: Sending, span: Span) -> None:
        under_way = (jobs.c.state == JobState.QUEUED, jobs.c.sent_at.between(span.since, span.until))
        sending.busy.update(count_by_key(transaction, *under_way))
        if self.limits.total is not None:
            sending.total = count_running(transaction) + sending.busy.total()
        sending.reserving = reserving(transaction, sending.host, limits=self.limits, more_than=1)

    def unmark_sent(self, job_id: str) -> None:
        """Record that the message was not sent after all."""
        with self.writing() as transaction:
            transaction.execute(sa.update(jobs).where(jobs.c.id == job_id).values(sent_at=None))

    def wake_retries(self) -> int:
        """Queue the jobs whose backoff is over."""
        with self.writing() as transaction:
            due = sa.or_(jobs.c.next_attempt_at <= transaction.now, _began_to_wait_later(transaction))
            waiting = sa.select(jobs).where(jobs.c.state == JobState.RETRY_WAIT, due)
            rows = transaction.all(waiting.with_for_update(skip_locked=True))
            for row in rows:
                times = {"queued_at": transaction.now, "queue_deadline_at": _next_deadline(row, transaction.now)}
                values = {**times, "sent_at": None, "next_attempt_at": None}
                move_job(transaction, row, JobState.QUEUED, "the wait before the next attempt is over", **values)
            return len(rows)

    def fail_unsupervised(self, job_id: str, reason: Reason) -> bool:
        """Fail a waiting job; return False if it no longer waits."""
        with self.writing() as transaction:
            row = read_job(transaction, job_id, for_update=True)
            if row.state not in WAITING_STATES:
                return False
            ended = {"ended_at": transaction.now, "secret": None, **reason_columns(reason)}
            move_job(transaction, row, JobState.FAILED, reason.message, **ended)
            record_alert(transaction, row, AlertEvent.FAILED, self.alerting)
            return True

    def take_to_look_at(self, host: Host, *, after_seconds: float) -> ToLookAt | None:
        """Mark as looked at and return the next job that waits, that this host could run, and nobody has looked at."""
        with self.writing() as transaction:
            host = as_wanted(transaction, host)
            since = transaction.now - timedelta(seconds=after_seconds)
            unlooked = (jobs.c.looked_at.is_(None), jobs.c.attempt == 0, jobs.c.created_at <= since)
            for_host = (IS_QUEUED, jobs.c.queue.in_(host.queues), may_be_for(host))
            waiting = sa.select(*WAITING).where(*for_host, *unlooked).order_by(*IN_ORDER).limit(PAGE)
            found = [] if host.closed_because else transaction.all(waiting.with_for_update(skip_locked=True))
            first = next((row.id for row in found if to_waiting(row).may_run_on(host)), None)
            if first is None:
                return None
            row = read_job(transaction, first, for_update=True)
            mark_job(transaction, row, looked_at=transaction.now)
            return ToLookAt(complete(transaction, row), row.secret)

    def find_orphans(self, *, host: str, machine: Machine | None = None) -> Sequence[str]:
        """Return ids of this host's jobs whose lease has ended, except those begun on another machine of its name."""
        last = sa.and_(attempts.c.job_id == jobs.c.id, attempts.c.number == jobs.c.attempt)
        with self.reading() as transaction:
            mine = (jobs.c.state.in_(SUPERVISED), jobs.c.host == host, lease_is_over(transaction))
            statement = sa.select(jobs.c.id, attempts.c.machine, attempts.c.engine).join(attempts, last).where(*mine)
            rows = transaction.all(statement.order_by(jobs.c.queued_at))
            return [row.id for row in rows if began_here(row, machine)]

    def recognise(self, job_id: str, *, host: Host) -> bool:
        """Record that an attempt was found here after this machine was restarted."""
        with self.writing() as transaction:
            held = (jobs.c.id == job_id, jobs.c.state.in_(SUPERVISED), jobs.c.host == host.name)
            row = transaction.one(sa.select(jobs).where(*held, lease_is_over(transaction)).with_for_update())
            if row is None or host.machine is None:
                return False
            mine = (attempts.c.job_id == row.id, attempts.c.number == row.attempt)
            began = transaction.one(sa.select(attempts.c.machine, attempts.c.engine).where(*mine))
            if began is None or not host.machine.may_have_run(machine=began.machine, engine=began.engine):
                return False
            transaction.execute(sa.update(attempts).where(*mine).values(machine=host.machine.id))
            return True

    def find_overdue(self) -> Sequence[str]:
        """Return ids of jobs that have waited too long for an attempt."""
        with self.reading() as transaction:
            is_over = jobs.c.queue_deadline_at <= transaction.now
            is_of_this_wait = jobs.c.queue_deadline_at >= jobs.c.queued_at  # older workers did not renew it
            waiting = (jobs.c.state == JobState.QUEUED, is_over, is_of_this_wait)
            return [row.id for row in transaction.all(sa.select(jobs.c.id).where(*waiting))]

    def running_on(self, host: str) -> Sequence[Job]:
        """Return this host's supervised jobs."""
        with self.reading() as transaction:
            mine = sa.select(jobs).where(jobs.c.state.in_(SUPERVISED), jobs.c.host == host)
            return with_attempts(transaction, transaction.all(mine))

    def find_open_runs(self) -> Sequence[tuple[str, int]]:
        """Return ended attempts whose MLflow runs may still be open or have another status."""
        with self.reading() as transaction:
            in_order = sa.select(open_runs).order_by(open_runs.c.job_id, open_runs.c.attempt).limit(PAGE)
            return [(row.job_id, row.attempt) for row in transaction.all(in_order)]

    def note_run_ended(self, job_id: str, *, attempt: int) -> None:
        """Record that such an attempt's run has its final status, or that there is no run."""
        with self.writing() as transaction:
            this = (open_runs.c.job_id == job_id, open_runs.c.attempt == attempt)
            transaction.execute(sa.delete(open_runs).where(*this))

    def delete_ended(self, *, older_than_seconds: float, limit: int) -> int:
        """Delete jobs that ended longer ago than that, with everything that belongs to them, the oldest first."""
        with self.writing() as transaction:
            until = transaction.now - timedelta(seconds=older_than_seconds)
            old = sa.select(jobs.c.id).where(jobs.c.ended_at <= until, jobs.c.state.in_(TERMINAL))
            oldest = old.order_by(jobs.c.ended_at, jobs.c.id).limit(limit).with_for_update(skip_locked=True)
            ids = [row.id for row in transaction.all(oldest)]
            if ids:
                transaction.execute(sa.delete(jobs).where(jobs.c.id.in_(ids)))
            return len(ids)


def _unsent(span: Span) -> sa.ColumnElement[bool]:
    return sa.or_(jobs.c.sent_at.is_(None), sa.not_(jobs.c.sent_at.between(span.since, span.until)))


def _choose(transaction: Transaction, sending: Sending, span: Span) -> None:
    """Offer the waiting jobs page by page. Jobs known to be held back are left out, however many they are."""
    known: set[str] = set()
    last: Waiting | None = None
    for _ in range(PAGES):
        page = _read_page(transaction, sending, span, after_job=last)
        if keys := {job.key for job in page} - known:
            busy = count_by_key(transaction, jobs.c.state.in_(SUPERVISED), jobs.c.concurrency_key.in_(keys))
            sending.busy.update(busy)
            known |= keys
        for job in page:
            sending.offer(job)
        if sending.is_over or len(page) < PAGE:
            return
        last = page[-1]


def _is_any_waiting(transaction: Transaction, host: Host, span: Span) -> bool:
    found: bool = transaction.execute(sa.select(sa.exists().where(*_candidates(host, span)))).scalar_one()
    return found


def _candidates(host: Host, span: Span) -> list[sa.ColumnElement[bool]]:
    return [IS_QUEUED, jobs.c.queue.in_(host.queues), may_be_for(host), _unsent(span)]


def _read_page(
    transaction: Transaction,
    sending: Sending,
    span: Span,
    *,
    after_job: Waiting | None,
) -> list[Waiting]:
    conditions = _candidates(sending.host, span)
    if sending.held_keys:
        conditions.append(jobs.c.concurrency_key.not_in(sending.held_keys))
    if sending.refused_gpus:
        conditions.append(jobs.c.gpus.not_in(sending.refused_gpus))
    if sending.refused_labels:
        conditions.append(jobs.c.wanted_labels.not_in(sending.refused_labels))
    if after_job is not None:
        conditions.append(after(after_job))
    rows = transaction.all(sa.select(*WAITING).where(*conditions).order_by(*IN_ORDER).limit(PAGE))
    return [to_waiting(row) for row in rows]


def _mark_sent(transaction: Transaction, chosen: Sequence[str], span: Span) -> list[Job]:
    """Mark the jobs that nobody has locked; the others are being claimed or cancelled at this moment."""
    still = (jobs.c.id.in_(chosen), jobs.c.state == JobState.QUEUED, _unsent(span))
    rows = transaction.all(sa.select(jobs).where(*still).order_by(*IN_ORDER).with_for_update(skip_locked=True))
    for row in rows:
        mark_job(transaction, row, sent_at=transaction.now)
    return with_attempts(transaction, rows)


def _next_deadline(row: sa.Row[Any], now: datetime) -> datetime | None:
    """Return until when the job may wait this time, which is as long as last time."""
    if row.queue_deadline_at is None or row.queue_deadline_at < row.queued_at:
        return None
    deadline: datetime = now + (row.queue_deadline_at - row.queued_at)
    return deadline


def _began_to_wait_later(transaction: Transaction) -> sa.ColumnElement[bool]:
    """Return the condition that a row's last attempt ended after now: the clock was set back."""
    last = (attempts.c.job_id == jobs.c.id, attempts.c.number == jobs.c.attempt)
    return sa.exists().where(*last, attempts.c.ended_at > transaction.now + CLOCK_SLACK)
