"""Reads the facts from which shared.scheduling.queue_position decides why a job waits."""

from collections.abc import Sequence

import sqlalchemy as sa

from shared.jobs.model import JobState
from shared.scheduling.hosts import Host
from shared.scheduling.queue_position import BLOCKING_SHOWN, QueuePosition, Scene, is_known_to_any, position_of
from shared.scheduling.waiting import Waiting
from shared.sql.engine import Database, Transaction
from shared.sql.rows import read_of_job
from shared.sql.tables import jobs
from shared.sql.usage import WAITING, find_long_waiting, jobs_before, live_hosts, look_ahead, running, to_waiting

WAITING_JOB = sa.select(*WAITING, jobs.c.state).where(jobs.c.id == sa.bindparam("of_id"))


class QueuePositions(Database):
    """The part of the JobStore that says why a job waits."""

    def find_queue_position(self, job_id: str) -> QueuePosition | None:
        """Return a queued job's position and what it waits for."""
        with self.reading() as transaction:
            row = read_of_job(transaction, WAITING_JOB, job_id)
            if row.state != JobState.QUEUED:
                return None
            job = to_waiting(row)
            live = live_hosts(transaction)
            ahead, is_behind = look_ahead(transaction, job)
            scene = Scene(
                position=1 + ahead,
                running=running(transaction),
                first=_first_of_key(transaction, job, live) if is_behind else (),
                live=live,
                long_waiting=find_long_waiting(transaction, limits=self.limits, ahead_of=job) if job.gpus else (),
            )
            return position_of(job, scene, self.limits)


def _first_of_key(transaction: Transaction, job: Waiting, live: Sequence[Host]) -> list[str]:
    """Return the jobs of its key that go before it: one nearly always tells enough, unless no worker knows it."""
    for most in (1, BLOCKING_SHOWN):
        first = jobs_before(transaction, job, limit=most)
        known = [other.id for other in first if is_known_to_any(other, live)]
        if known or len(first) < most:
            break
    return known
