"""What the sweep asks of the store: what to send, wake, take over or give up, and which workers live."""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from shared.jobs import SUPERVISED, Job, JobState, Reason
from shared.sql.engine import Database
from shared.sql.rows import mark_job, move_job, read_job, reason_columns, with_attempts
from shared.sql.tables import jobs, workers
from shared.store import WorkerBeat

CANDIDATES_PER_SLOT = 8


class Sweeping(Database):
    """The part of the JobStore that needs no claim; harmless when many workers do it at once."""

    def take_sendable(self, *, queues: Collection[str], limit: int, resend_after_seconds: float) -> Sequence[Job]:
        """Mark as sent, and return, the next jobs that could start."""
        with self.writing() as transaction:
            since = transaction.now - timedelta(seconds=resend_after_seconds)
            busy = _busy_by_key(since)
            unsent = sa.or_(jobs.c.sent_at.is_(None), jobs.c.sent_at < since)
            rows = transaction.all(
                sa.select(jobs, busy.label("busy"))
                .where(jobs.c.state == JobState.QUEUED, jobs.c.queue.in_(queues), unsent, busy < self.limit_per_key)
                .order_by(jobs.c.priority.desc(), jobs.c.queued_at, jobs.c.id)
                .limit(limit * CANDIDATES_PER_SLOT)
                .with_for_update(skip_locked=True)
            )
            chosen = self._within_limits(rows)[:limit]
            for row in chosen:
                mark_job(transaction, row, sent_at=transaction.now)
            return with_attempts(transaction, chosen)

    def _within_limits(self, rows: Sequence[sa.Row[Any]]) -> list[sa.Row[Any]]:
        chosen, taken = [], Counter[str]()
        for row in rows:
            if row.busy + taken[row.concurrency_key] < self.limit_per_key:
                taken[row.concurrency_key] += 1
                chosen.append(row)
        return chosen

    def unmark_sent(self, job_id: str) -> None:
        """Say that the message was not sent after all."""
        with self.writing() as transaction:
            transaction.execute(sa.update(jobs).where(jobs.c.id == job_id).values(sent_at=None))

    def wake_retries(self) -> int:
        """Queue the jobs whose backoff is over."""
        with self.writing() as transaction:
            due = sa.select(jobs).where(jobs.c.state == JobState.RETRY_WAIT, jobs.c.next_attempt_at <= transaction.now)
            rows = transaction.all(due.with_for_update(skip_locked=True))
            for row in rows:
                values = {"queued_at": transaction.now, "sent_at": None, "next_attempt_at": None}
                move_job(transaction, row, JobState.QUEUED, "the wait before the next attempt is over", **values)
            return len(rows)

    def fail_unsupervised(self, job_id: str, reason: Reason) -> bool:
        """Fail a job that waits; False when it does not wait any more."""
        with self.writing() as transaction:
            row = read_job(transaction, job_id, for_update=True)
            if row.state not in (JobState.QUEUED, JobState.RETRY_WAIT):
                return False
            ended = {"ended_at": transaction.now, "secret": None, **reason_columns(reason)}
            move_job(transaction, row, JobState.FAILED, reason.message, **ended)
            return True

    def find_orphans(self, *, host: str) -> Sequence[str]:
        """Ids of this host's jobs whose lease has ended."""
        with self.reading() as transaction:
            over = sa.or_(jobs.c.lease_expires_at.is_(None), jobs.c.lease_expires_at <= transaction.now)
            mine = (jobs.c.state.in_(SUPERVISED), jobs.c.host == host, over)
            return [row.id for row in transaction.all(sa.select(jobs.c.id).where(*mine).order_by(jobs.c.queued_at))]

    def find_overdue(self) -> Sequence[str]:
        """Ids of jobs that have waited for their first attempt longer than they may."""
        with self.reading() as transaction:
            waiting = (
                jobs.c.state == JobState.QUEUED,
                jobs.c.attempt == 0,
                jobs.c.queue_deadline_at <= transaction.now,
            )
            return [row.id for row in transaction.all(sa.select(jobs.c.id).where(*waiting))]

    def running_on(self, host: str) -> Sequence[Job]:
        """This host's supervised jobs."""
        with self.reading() as transaction:
            mine = sa.select(jobs).where(jobs.c.state.in_(SUPERVISED), jobs.c.host == host)
            return with_attempts(transaction, transaction.all(mine))

    def beat(self, worker: WorkerBeat) -> None:
        """Record a worker's sign of life."""
        with self.writing() as transaction:
            transaction.lock(f"worker:{worker.host}")  # two of one name may start at once
            values = {
                "slots": worker.slots,
                "queues": sorted(worker.queues),
                "runner": worker.runner,
                "seen_at": transaction.now,
            }
            updated = transaction.execute(sa.update(workers).where(workers.c.host == worker.host).values(**values))
            if updated.rowcount == 0:
                transaction.execute(sa.insert(workers).values(host=worker.host, **values))

    def leave(self, host: str) -> None:
        """Take back a worker's sign of life."""
        with self.writing() as transaction:
            transaction.execute(sa.delete(workers).where(workers.c.host == host))

    def live_workers(self, *, within_seconds: float) -> int:
        """How many workers gave a sign of life within that time."""
        with self.reading() as transaction:
            since = transaction.now - timedelta(seconds=within_seconds)
            alive = sa.select(sa.func.count()).select_from(workers).where(workers.c.seen_at > since)
            count: int = transaction.execute(alive).scalar_one()
            return count


def _busy_by_key(since: Any) -> sa.ScalarSelect[int]:
    """How many jobs of the same key run, or have a message under way."""
    other = jobs.alias("other")
    under_way = sa.and_(other.c.state == JobState.QUEUED, other.c.sent_at >= since)
    return (
        sa.select(sa.func.count())
        .where(other.c.concurrency_key == jobs.c.concurrency_key, sa.or_(other.c.state.in_(SUPERVISED), under_way))
        .correlate(jobs)
        .scalar_subquery()
    )
