"""Reads the facts from which shared.scheduling.queue_position decides why a job waits."""

import sqlalchemy as sa

from shared.jobs.model import JobState
from shared.scheduling.queue_position import BLOCKING_SHOWN, QueuePosition, Scene, is_known_to_any, position_of
from shared.sql.engine import Database, Transaction
from shared.sql.rows import read_job
from shared.sql.tables import IS_QUEUED, jobs
from shared.sql.usage import (
    before,
    find_long_waiting,
    jobs_before,
    live_hosts,
    running,
    to_waiting,
)


class QueuePositions(Database):
    """The part of the JobStore that says why a job waits."""

    def find_queue_position(self, job_id: str) -> QueuePosition | None:
        """Return a queued job's position and what it waits for."""
        with self.reading() as transaction:
            row = read_job(transaction, job_id)
            if row.state != JobState.QUEUED:
                return None
            job = to_waiting(row)
            same_queue = (IS_QUEUED, jobs.c.queue == job.queue)
            live, first = live_hosts(transaction), jobs_before(transaction, job, limit=BLOCKING_SHOWN)
            scene = Scene(
                position=1 + _count(transaction, *same_queue, before(job)),
                running=running(transaction),
                first=[other.id for other in first if is_known_to_any(other, live)],
                live=live,
                long_waiting=find_long_waiting(transaction, limits=self.limits, ahead_of=job) if job.gpus else (),
            )
            return position_of(job, scene, self.limits)


def _count(transaction: Transaction, *where: sa.ColumnElement[bool]) -> int:
    count: int = transaction.execute(sa.select(sa.func.count()).select_from(jobs).where(*where)).scalar_one()
    return count
