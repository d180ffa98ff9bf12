"""Reads from the jobs' own rows what limits depend on: which jobs run, wait or come first, and which hosts are live."""

from collections.abc import Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa

from shared.jobs.model import SUPERVISED, JobState
from shared.requests.fields import fields_of
from shared.scheduling.gpus import reserved_on
from shared.scheduling.hosts import LIVE_SECONDS, Drain, Host, Machine, with_host
from shared.scheduling.leases import ends_of_lease
from shared.scheduling.limits import Limits
from shared.scheduling.waiting import Running, Waiting
from shared.sql.engine import Transaction
from shared.sql.tables import IS_QUEUED, attempts, jobs, workers

AHEAD_READ = 20  # at most so many unknown jobs are looked past
RESERVING_READ = 100  # only the first so many, because one of them is enough to make a start wait
WAITING = (
    *(jobs.c.id, jobs.c.queue, jobs.c.concurrency_key, jobs.c.gpus, jobs.c.priority, jobs.c.created_at),
    *(jobs.c.wanted_host, jobs.c.wanted_labels, jobs.c.request),
)
IN_ORDER = (jobs.c.priority.desc(), jobs.c.created_at, jobs.c.id)


def to_waiting(row: sa.Row[Any]) -> Waiting:
    """Convert a queued job's row to what limits look at."""
    order, wanted = (row.priority, row.created_at), (row.wanted_host, row.wanted_labels)
    return Waiting(row.id, row.queue, row.concurrency_key, row.gpus, *order, *wanted, fields_of(row.request))


def running(transaction: Transaction) -> list[Running]:
    """Return the supervised jobs, in the order in which they were queued."""
    return [_to_running(row) for row in transaction.all(RUNNING)]


def running_on(transaction: Transaction, host: Host) -> list[Running]:
    """Return the supervised jobs of one host."""
    return [_to_running(row) for row in transaction.all(RUNNING_ON, on_host=host.name)]


def _to_running(row: sa.Row[Any]) -> Running:
    return Running(row.id, row.concurrency_key, row.host, tuple(row.gpu_ids or ()))


def count_running(transaction: Transaction) -> int:
    """Return how many jobs are supervised."""
    count: int = transaction.execute(COUNT_RUNNING).scalar_one()
    return count


def count_running_of_key(transaction: Transaction, key: str) -> int:
    """Return how many of them have this key."""
    count: int = transaction.execute(COUNT_RUNNING_OF_KEY, of_key=key).scalar_one()
    return count


def count_by_key(transaction: Transaction, *where: sa.ColumnElement[bool]) -> dict[str, int]:
    """Return how many jobs there are of each key."""
    statement = (
        sa.select(jobs.c.concurrency_key, sa.func.count().label("number"))
        .where(*where)
        .group_by(jobs.c.concurrency_key)
    )
    return {row.concurrency_key: row.number for row in transaction.all(statement)}


def is_behind(transaction: Transaction, job: Waiting, host: Host) -> bool:
    """Return whether a queued job of its key and queue comes first, one that the host's worker could begin."""
    # This needs only an index and settles most cases; records are read only if some job comes before it.
    found: bool = transaction.execute(IS_BEHIND, **_values_of(job)).scalar_one()
    return found and any(not other.unknown_to(host) for other in jobs_before(transaction, job, limit=AHEAD_READ))


def jobs_before(transaction: Transaction, job: Waiting, *, limit: int) -> list[Waiting]:
    """Return the first queued jobs of its key that come before it."""
    values = _values_of(job)
    rows = transaction.all(HIGHER_OF_KEY, **values, most=limit)
    if len(rows) < limit:
        rows += transaction.all(ELDER_OF_KEY, **values, most=limit - len(rows))
    return [to_waiting(row) for row in rows]


def look_ahead(transaction: Transaction, job: Waiting) -> tuple[int, bool]:
    """Return how many jobs of its queue come before it, of whatever key, and whether any of its own key does."""
    row = transaction.execute(AHEAD, **_values_of(job)).one()
    return row.number, row.is_behind


def after(job: Waiting) -> sa.ColumnElement[bool]:
    """Return the condition that a row comes after the job."""
    higher, elder = _before(_bound(job), jobs.c)
    return sa.or_(higher, elder)


def reserving(
    transaction: Transaction, host: Host, *, limits: Limits, more_than: int, ahead_of: Waiting | None = None
) -> list[Waiting]:
    """Return the long-waiting jobs that need more than that many GPUs, and for which this host's are kept."""
    if len(host.gpus) <= more_than:
        return []
    here = (jobs.c.gpus.between(more_than + 1, len(host.gpus)), jobs.c.queue.in_(host.queues), may_be_for(host))
    waiting = find_long_waiting(transaction, *here, limits=limits, ahead_of=ahead_of)
    return reserved_on(host, waiting, with_host(live_hosts(transaction), host)) if waiting else []


def find_long_waiting(
    transaction: Transaction, *where: sa.ColumnElement[bool], limits: Limits, ahead_of: Waiting | None = None
) -> list[Waiting]:
    """Return queued jobs that have waited so long for GPUs that some are kept for them; none held back by its key."""
    since = transaction.now - timedelta(seconds=limits.reserve_gpus_after_seconds)
    statement, ahead = (LONG_WAITING, {}) if ahead_of is None else (LONG_WAITING_BEFORE, _values_of(ahead_of))
    rows = transaction.all(statement.where(*where) if where else statement, since=since, **ahead)
    found = [to_waiting(row) for row in rows]
    keys = {job.key for job in found}
    busy = count_by_key(transaction, jobs.c.state.in_(SUPERVISED), jobs.c.concurrency_key.in_(keys)) if keys else {}
    return [job for job in found if busy.get(job.key, 0) < limits.for_key(job.key)]


def live_hosts(transaction: Transaction) -> list[Host]:
    """Return the hosts that sent a heartbeat lately and have not left."""
    since = transaction.now - timedelta(seconds=LIVE_SECONDS)
    return [to_host(row) for row in transaction.all(LIVE, since=since)]


def to_host(row: sa.Row[Any]) -> Host:
    """Return what a host last said about itself, with a person's wish to drain it."""
    said = (row.host, row.slots, frozenset(row.queues), row.runner, tuple(row.gpus or ()), row.closed_because)
    machine = Machine(row.machine, row.engine, row.machine_says or "") if row.machine else None
    knows = frozenset(row.request_fields) if row.request_fields is not None else None
    return Host(*said, tuple(row.labels or ()), machine=machine, knows=knows).drained(_to_drain(row))


def as_wanted(transaction: Transaction, host: Host) -> Host:
    """Return the host as it describes itself now, with a person's wish to drain it."""
    known = transaction.one(DRAIN, of_host=host.name)
    return host.drained(_to_drain(known) if known is not None else None)


def _to_drain(row: sa.Row[Any]) -> Drain | None:
    return Drain(row.drained_at, row.drain_reason or "") if row.drained_at is not None else None


def may_be_for(host: Host) -> sa.ColumnElement[bool]:
    """Return the condition that a row's job does not ask for another host."""
    return sa.or_(jobs.c.wanted_host.is_(None), jobs.c.wanted_host == host.name)


def _values_of(job: Waiting) -> dict[str, Any]:
    """Return the values of THIS_JOB's parameters."""
    return {
        "of_id": job.id,
        "of_queue": job.queue,
        "of_key": job.key,
        "of_gpus": job.gpus,
        "of_priority": job.priority,
        "of_created_at": job.created_at,
        "of_host": job.wanted_host,
        "of_labels": job.wanted_labels,
    }


def _bound(job: Waiting) -> Any:
    """Return the job's values in a form that can replace a table's columns."""
    return SimpleNamespace(
        id=sa.literal(job.id),
        priority=sa.literal(job.priority),
        created_at=sa.bindparam(None, job.created_at, jobs.c.created_at.type),
    )


def _before(first: Any, second: Any) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    """Return the two ways to come first, separately, because each is then one range of an index."""
    moments = sa.tuple_(first.created_at, first.id) < sa.tuple_(second.created_at, second.id)
    return first.priority > second.priority, sa.and_(first.priority == second.priority, moments)


def _same_turn(first: Any, second: Any) -> Sequence[sa.ColumnElement[bool]]:
    return (
        first.concurrency_key == second.concurrency_key,
        first.state == JobState.QUEUED,
        first.queue == second.queue,
        first.gpus <= second.gpus,
        sa.or_(first.wanted_host.is_(None), first.wanted_host == second.wanted_host),
        sa.or_(first.wanted_labels == (), first.wanted_labels == second.wanted_labels),
    )


def _goes_before(earlier: sa.FromClause, later: Any) -> sa.ColumnElement[bool]:
    same = _same_turn(earlier.c, later)
    ways = [sa.exists().where(*same, way) for way in _before(earlier.c, later)]
    return sa.or_(*(way.correlate_except(earlier) for way in ways))


# Statements for each claim and each look at a queued job, built once: building takes longer than running them.
THIS_JOB = SimpleNamespace(
    id=sa.bindparam("of_id", type_=jobs.c.id.type),
    queue=sa.bindparam("of_queue", type_=jobs.c.queue.type),
    concurrency_key=sa.bindparam("of_key", type_=jobs.c.concurrency_key.type),
    gpus=sa.bindparam("of_gpus", type_=jobs.c.gpus.type),
    priority=sa.bindparam("of_priority", type_=jobs.c.priority.type),
    created_at=sa.bindparam("of_created_at", type_=jobs.c.created_at.type),
    wanted_host=sa.bindparam("of_host", type_=jobs.c.wanted_host.type),
    wanted_labels=sa.bindparam("of_labels", type_=jobs.c.wanted_labels.type),
)


def _first_of_key(way: sa.ColumnElement[bool]) -> sa.Select[Any]:
    same = _same_turn(jobs.c, THIS_JOB)
    return sa.select(*WAITING).where(*same, way).order_by(*IN_ORDER).limit(sa.bindparam("most", type_=sa.Integer))


def _count_of_queue(way: sa.ColumnElement[bool]) -> sa.ScalarSelect[int]:
    counted = sa.select(sa.func.count()).select_from(jobs)
    return counted.where(IS_QUEUED, jobs.c.queue == THIS_JOB.queue, way).scalar_subquery()


HIGHER_OF_KEY, ELDER_OF_KEY = map(_first_of_key, _before(jobs.c, THIS_JOB))
EARLIER = jobs.alias("earlier")
IS_BEHIND = sa.select(_goes_before(EARLIER, THIS_JOB).label("is_behind"))
AHEAD = IS_BEHIND.add_columns(sum(map(_count_of_queue, _before(jobs.c, THIS_JOB)), sa.literal(0)).label("number"))
SINCE = sa.bindparam("since", type_=jobs.c.created_at.type)
LONG_WAITING = (
    sa.select(*WAITING)
    .where(IS_QUEUED, jobs.c.gpus > 0, jobs.c.created_at <= SINCE, sa.not_(_goes_before(EARLIER, jobs.c)))
    .order_by(*IN_ORDER)
    .limit(RESERVING_READ)
)
LONG_WAITING_BEFORE = LONG_WAITING.where(sa.or_(*_before(jobs.c, THIS_JOB)))
LIVE = sa.select(workers).where(workers.c.seen_at > SINCE, sa.not_(workers.c.has_left))
RUNNING = (
    sa.select(jobs.c.id, jobs.c.concurrency_key, jobs.c.host, attempts.c.gpu_ids)
    .join(attempts, sa.and_(attempts.c.job_id == jobs.c.id, attempts.c.number == jobs.c.attempt))
    .where(jobs.c.state.in_(SUPERVISED))
    .order_by(jobs.c.created_at, jobs.c.id)
)
RUNNING_ON = RUNNING.where(jobs.c.host == sa.bindparam("on_host", type_=jobs.c.host.type))
COUNT_RUNNING = sa.select(sa.func.count()).select_from(jobs).where(jobs.c.state.in_(SUPERVISED))
COUNT_RUNNING_OF_KEY = COUNT_RUNNING.where(jobs.c.concurrency_key == THIS_JOB.concurrency_key)
DRAIN = sa.select(workers.c.drained_at, workers.c.drain_reason).where(
    workers.c.host == sa.bindparam("of_host", type_=workers.c.host.type)
)


def began_here(row: sa.Row[Any], machine: Machine | None) -> bool:
    """Return whether an attempt began on this machine; if that is unknown, only those of older workers did."""
    if machine is None:
        return row.machine is None
    return machine.runs(machine=row.machine, engine=row.engine)


def lease_is_over(transaction: Transaction) -> sa.ColumnElement[bool]:
    """Return the condition that nobody holds a row's job."""
    first, last = ends_of_lease(transaction.now)
    ends_at = jobs.c.lease_expires_at
    return sa.or_(ends_at.is_(None), ends_at <= first, ends_at > last)
