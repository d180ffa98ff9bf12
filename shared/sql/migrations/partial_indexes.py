"""The job store's indexes of some rows only, added to its tables for Alembic and for the test that compares the two.

No service loads this: for what it says of a database, SQLAlchemy loads all of that database's drivers, which are 3 MB.
"""

from sqlalchemy import ColumnElement, Index
from sqlalchemy.sql.roles import DDLConstraintColumnRole

from shared.sql.tables import IS_QUEUED, NOT_ENDED, jobs, metadata

__all__ = ["metadata"]


def _add(name: str, *columns: DDLConstraintColumnRole, where: ColumnElement[bool]) -> None:
    Index(name, *columns, postgresql_where=where, sqlite_where=where)


in_order = (jobs.c.priority.desc(), jobs.c.created_at, jobs.c.id)
# Only the waiting jobs, in the order in which they start: as small as the queue, however many have ended.
_add("ix_jobs_waiting_in_order", *in_order, where=IS_QUEUED)
# Likewise by queue, with all that is counted there: a position, and how long the first one has waited.
_add("ix_jobs_waiting_by_queue", jobs.c.queue, *in_order, jobs.c.queued_at, where=IS_QUEUED)
_add("ix_jobs_waiting_by_maker", jobs.c.submitted_by, where=IS_QUEUED)  # how many jobs of a caller wait
_add("ix_jobs_not_ended", jobs.c.state, where=NOT_ENDED)
BY_TIME, BY_STATE = ("created_at", "id"), ("state", "created_at", "id")
ORDERS = {"commit_sha": (BY_TIME,), **dict.fromkeys(("trigger_name", "team", "submitted_by"), (BY_TIME, BY_STATE))}
for first, orders in ORDERS.items():
    for order in orders:
        names = (first, *order)
        _add(f"ix_jobs_{'_'.join(names)}", *(jobs.c[name] for name in names), where=jobs.c[first].is_not(None))
