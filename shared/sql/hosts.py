"""What the store records about hosts: their heartbeats, drains, and the jobs of hosts that fell silent."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from shared.errors import HostNameTaken, HostNotFound, JobNotFound
from shared.jobs.model import SUPERVISED
from shared.jobs.records import Claim
from shared.jobs.statistics import Worker
from shared.scheduling.hosts import LIVE_SECONDS, Host, Machine
from shared.sql.engine import Database, Lock, Transaction
from shared.sql.rows import add_transition, change_job, complete, read_job
from shared.sql.tables import attempts, jobs, workers
from shared.sql.usage import lease_is_over
from shared.sql.watching import read_workers


class Hosts(Database):
    """The part of the JobStore that is about hosts."""

    def beat(self, host: Host, *, gap_seconds: float) -> None:
        """Record a worker's heartbeat."""
        with self.writing() as transaction:
            transaction.lock(f"worker:{host.name}")  # two workers of one name may start at once
            known = transaction.one(sa.select(workers).where(workers.c.host == host.name))
            if known is not None and host.machine is not None and _is_taken(known, host.machine, transaction.now):
                refused = {"refused_says": host.machine.says, "refused_at": transaction.now}
                transaction.execute(sa.update(workers).where(workers.c.host == host.name).values(**refused))
            else:
                _record_beat(transaction, host, known, gap_seconds)
                return
        raise _name_taken(host.name, host.machine, known)

    def leave(self, host: str, machine: Machine | None = None) -> None:
        """Record that a host has no worker now, unless another machine has its name."""
        with self.writing() as transaction:
            mine = [workers.c.host == host]
            if machine is not None:
                mine.append(sa.or_(workers.c.machine.is_(None), workers.c.machine == machine.id))
            transaction.execute(sa.update(workers).where(*mine).values(has_left=True))

    def forget_hosts(self, *, silent_seconds: float) -> Sequence[str]:
        """Delete the hosts that were silent for that long; those that are drained or still have a job stay."""
        with self.writing() as transaction:
            silent = workers.c.seen_at <= transaction.now - timedelta(seconds=silent_seconds)
            is_needed = sa.or_(
                workers.c.drained_at.is_not(None),
                sa.exists().where(jobs.c.host == workers.c.host, jobs.c.state.in_(SUPERVISED)),
            )
            gone = sa.delete(workers).where(silent, sa.not_(is_needed)).returning(workers.c.host)
            return sorted(row.host for row in transaction.all(gone))

    def drain(self, host: str, *, reason: str) -> Worker:
        """Let the host take no new attempts."""
        with self.writing() as transaction:
            now = sa.bindparam(None, transaction.now, workers.c.drained_at.type)
            since = sa.func.coalesce(workers.c.drained_at, now)
            said = {"drain_reason": reason} if reason else {}
            return _change_drain(transaction, host, drained_at=since, **said)

    def undrain(self, host: str) -> Worker:
        """Let the host take new attempts again."""
        with self.writing() as transaction:
            return _change_drain(transaction, host, drained_at=None, drain_reason=None)

    def live_workers(self, *, within_seconds: float) -> int:
        """Return how many workers sent a heartbeat within that time."""
        with self.reading() as transaction:
            since = transaction.now - timedelta(seconds=within_seconds)
            alive = sa.select(sa.func.count()).where(workers.c.seen_at > since, sa.not_(workers.c.has_left))
            count: int = transaction.execute(alive).scalar_one()
            return count

    def find_lost(self, *, by: str, after_seconds: float) -> Sequence[str]:
        """Return ids of jobs whose lease is over and whose host sent no heartbeat for that long."""
        with self.reading() as transaction:
            if not _has_watched(transaction, by, after_seconds):
                return []
            return [row.id for row in _find_lost(transaction, after_seconds)]

    def take_from_lost_host(self, job_id: str, *, by: str, after_seconds: float, lease_seconds: float) -> Claim | None:
        """Take a lost host's job to end its attempt, fencing the host out."""
        with self.writing() as transaction:
            try:
                row = read_job(transaction, job_id, for_update=True)
            except JobNotFound:
                return None
            lost = _find_lost(transaction, after_seconds, jobs.c.id == job_id)
            if not lost or not _has_watched(transaction, by, after_seconds):
                return None
            lease = {
                "lease_token": row.lease_token + 1,
                "lease_expires_at": transaction.now + timedelta(seconds=lease_seconds),
            }
            change_job(transaction, row, **lease)
            silent_seconds = int((transaction.now - lost[0].heard_at).total_seconds())
            gave_up = f"its attempt is given up by the worker on {by}"
            message = f"host {row.host} sent no heartbeat for {silent_seconds} s; {gave_up}"
            add_transition(transaction, row, row.state, message, attempt=row.attempt)
            return Claim(complete(transaction, read_job(transaction, job_id)), row.lease_token + 1)


def _is_taken(known: sa.Row[Any], machine: Machine, now: datetime) -> bool:
    """Return whether another machine's worker lives under the name. One machine never runs two of the same name."""
    if known.machine in (None, machine.id) or known.has_left:
        return False
    silence: timedelta = now - known.seen_at
    return silence < timedelta(seconds=LIVE_SECONDS)


def _name_taken(name: str, machine: Machine, known: sa.Row[Any]) -> HostNameTaken:
    message = (
        f"The name {name} is in use by a live worker on {known.machine_says}, and this is {machine.says}. Give one of "
        "the two another WORKER_HOST. If that worker is gone for good, this one may start a minute after its end."
    )
    facts = {"holder": known.machine_says, "refused": machine.says, "engine": known.engine, "seen_at": known.seen_at}
    return HostNameTaken(message, host=name, **facts)


def _record_beat(transaction: Transaction, host: Host, known: sa.Row[Any] | None, gap_seconds: float) -> None:
    values = {
        "slots": host.slots,
        "queues": sorted(host.queues),
        "runner": host.runner,
        "gpus": host.gpus,
        "labels": host.labels,
        "request_fields": sorted(host.knows) if host.knows is not None else sa.null(),
        "closed_because": host.closed_because,
        "seen_at": transaction.now,
        "watching_since": _watching_since(known, host.machine, transaction.now, gap_seconds),
        "has_left": False,
        **(_machine_columns(host.machine, known, transaction.now) if host.machine else {}),
    }
    if known is None:
        transaction.execute(sa.insert(workers).values(host=host.name, **values))
    else:
        transaction.execute(sa.update(workers).where(workers.c.host == host.name).values(**values))


def _machine_columns(machine: Machine, known: sa.Row[Any] | None, now: datetime) -> dict[str, Any]:
    """Return the machine's columns. An engine that does not answer now is still the same engine."""
    is_known = known is not None and known.machine == machine.id
    engine = machine.engine or (known.engine if known is not None and is_known else None)
    values = {"machine": machine.id, "engine": engine, "machine_says": machine.says}
    if known is not None and is_known and known.engine in (None, engine):
        return values
    return values | {"machine_since": now}


def _change_drain(transaction: Transaction, host: str, **values: Any) -> Worker:
    """Change it under the lock that claims take: a claim that did not see the change is over before it is made."""
    transaction.lock(host, Lock.HOST)
    drain = sa.select(workers.c.drained_at, workers.c.drain_reason).where(workers.c.host == host)
    before = transaction.one(drain)
    transaction.execute(sa.update(workers).where(workers.c.host == host).values(**values))
    if transaction.one(drain) != before:
        transaction.record_act(f"host:{host}")
    for worker in read_workers(transaction, workers.c.host == host):
        return worker
    raise HostNotFound(f"No worker of a host {host!r} ever sent a heartbeat. GET /workers lists those that did.")


def _watching_since(known: sa.Row[Any] | None, machine: Machine | None, now: datetime, gap_seconds: float) -> datetime:
    if known is None or known.watching_since is None or now - known.seen_at > timedelta(seconds=gap_seconds):
        return now
    if machine is not None and known.machine not in (None, machine.id):  # that was another machine's watch
        return now
    since: datetime = known.watching_since
    return since


def _has_watched(transaction: Transaction, host: str, seconds: float) -> bool:
    seen_after = transaction.now - timedelta(seconds=min(seconds, LIVE_SECONDS))
    watched = (
        workers.c.host == host,
        sa.not_(workers.c.has_left),
        workers.c.seen_at >= seen_after,
        workers.c.watching_since <= transaction.now - timedelta(seconds=seconds),
    )
    return transaction.one(sa.select(workers.c.host).where(*watched)) is not None


def _find_lost(transaction: Transaction, after_seconds: float, *where: sa.ColumnElement[bool]) -> Sequence[sa.Row[Any]]:
    """Find lost jobs' ids, and when their host was last heard of: at the attempt's start if it never sent a heartbeat.

    Heartbeats of a machine that has since taken the name do not count.
    """
    is_another = sa.or_(attempts.c.machine != workers.c.machine, attempts.c.engine != workers.c.engine)
    heard_at = sa.func.coalesce(
        sa.case((is_another, workers.c.machine_since)), workers.c.seen_at, attempts.c.started_at
    ).label("heard_at")
    last = sa.and_(attempts.c.job_id == jobs.c.id, attempts.c.number == jobs.c.attempt)
    silent = heard_at <= transaction.now - timedelta(seconds=after_seconds)
    statement = (
        sa.select(jobs.c.id, heard_at)
        .join(attempts, last)
        .join(workers, workers.c.host == jobs.c.host, isouter=True)
        .where(jobs.c.state.in_(SUPERVISED), lease_is_over(transaction), silent, *where)
        .order_by(jobs.c.queued_at, jobs.c.id)
    )
    return transaction.all(statement)
