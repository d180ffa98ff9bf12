"""Counts what waits: a caller's jobs, and the queues that have any. From the jobs' own rows, by their indexes."""

from collections.abc import Iterator

import sqlalchemy as sa

from shared.jobs.model import NewJob
from shared.jobs.waiting_limits import KnownQueues, is_counted, too_many
from shared.sql.engine import Database, Transaction
from shared.sql.tables import IS_QUEUED, jobs, workers

NEXT_QUEUE = sa.select(sa.func.min(jobs.c.queue)).where(IS_QUEUED, jobs.c.queue > sa.bindparam("after"))
MINE = sa.select(sa.literal(1)).where(IS_QUEUED, jobs.c.submitted_by == sa.bindparam("maker"))


class Queues(Database):
    """The part of the JobStore about queues by name."""

    def known_queues(self) -> KnownQueues:
        """Return the queues that recorded workers serve, and those with a waiting job."""
        with self.reading() as transaction:
            served = {name for row in transaction.all(sa.select(workers.c.queues)) for name in row.queues}
            return KnownQueues(frozenset(served), frozenset(_waiting(transaction)))


def _waiting(transaction: Transaction) -> Iterator[str]:
    """Yield each queue with a waiting job. One look for each: a DISTINCT would read all that wait."""
    name = ""
    while name := transaction.execute(NEXT_QUEUE, after=name).scalar_one() or "":
        yield name


def require_room(transaction: Transaction, new: NewJob, *, most: int | None) -> None:
    """Raise TooManyJobsQueued if as many jobs of its maker wait already. Of two at the same moment, both get in."""
    if most is None or not is_counted(new):
        return
    some = MINE.limit(most).subquery()
    if transaction.execute(sa.select(sa.func.count()).select_from(some), maker=new.submitted_by).scalar_one() >= most:
        raise too_many(new, most)
