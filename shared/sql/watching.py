"""Reads what people and Prometheus look at: each host's worker, and how many jobs wait, run and have ended."""

import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from shared.addresses.database_url import parse_database_url
from shared.alerts.model import AlertState
from shared.jobs.model import JobState
from shared.jobs.signs import Topic
from shared.jobs.statistics import (
    LATELY_SECONDS,
    OVERDUE_SECONDS,
    Backlog,
    Refused,
    Statistics,
    TriggerCounts,
    Worker,
)
from shared.jobs.triggers import TriggerState
from shared.scheduling.waiting import Running
from shared.sql.engine import Database, Transaction
from shared.sql.model_tables import model_alerts, model_events, observations
from shared.sql.tables import IS_QUEUED, NOT_ENDED, alerts, ended_counts, jobs, workers
from shared.sql.triggers.rows import read_pause
from shared.sql.triggers.tables import trigger_events, trigger_pause, triggers
from shared.sql.usage import running, to_host

applied = sa.table("alembic_version", sa.column("version_num"))  # as alembic writes it


class Watching(Database):
    """The part of the JobStore for people and Prometheus; it only reads."""

    def list_workers(self) -> Sequence[Worker]:
        """Return each host's worker, sorted by the host's name."""
        with self.reading() as transaction:
            return read_workers(transaction)

    def get_statistics(self) -> Statistics:
        """Return the counts. The ended jobs were counted as they ended, the others are counted in small indexes."""
        with self.reading() as transaction:
            unsent = sa.union_all(_unsent(alerts), _unsent(model_alerts)).subquery()
            return Statistics(
                jobs=_by_state(transaction),
                queues=_backlogs(transaction, jobs.c.queue, jobs.c.queued_at, IS_QUEUED),
                alerts=_backlogs(transaction, unsent.c.channel, unsent.c.at, sa.true()),
                workers=read_workers(transaction),
                triggers=_triggers(transaction),
            )

    def get_sign(self, topic: Topic, *, team: str | None = None) -> str:
        """Return what is another text once something of the topic has changed."""
        with self.reading() as transaction:
            return "|".join(str(value) for row in transaction.all(_sign(topic, team)) for value in row)

    def schema_revision(self) -> str:
        """Return the last migration that was applied."""
        with self.reading() as transaction:
            return str(transaction.execute(sa.select(applied.c.version_num)).scalar_one())


def read_workers(transaction: Transaction, *where: sa.ColumnElement[bool]) -> list[Worker]:
    """Return hosts' workers with the jobs that they run, sorted by the host's name."""
    by_host: defaultdict[str, list[Running]] = defaultdict(list)
    for job in running(transaction):
        by_host[job.host].append(job)
    return [
        Worker(
            host=to_host(row),
            seen_at=row.seen_at,
            silent_seconds=_seconds_since(row.seen_at, transaction),
            has_left=row.has_left,
            running=tuple(by_host[row.host]),
            refused=Refused(row.refused_says or "", row.refused_at) if row.refused_at is not None else None,
        )
        for row in transaction.all(sa.select(workers).where(*where).order_by(workers.c.host))
    ]


def _sign(topic: Topic, team: str | None) -> sa.Select[*tuple[Any, ...]]:
    match topic:
        case Topic.JOBS:
            return _sign_of_jobs(*([] if team is None else [jobs.c.team == team]))
        case Topic.MODELS:
            return sa.select(_last(model_events), _last(observations), _number_ended(JobState.SUCCEEDED))
        case Topic.TRIGGERS:
            found = sa.select(sa.func.count(), _last(trigger_events)).select_from(triggers)
            sums = (sa.func.sum(triggers.c.version), sa.func.sum(triggers.c.look_token))
            paused = sa.func.max(triggers.c.paused_at), sa.select(trigger_pause.c.since).scalar_subquery()
            return found.add_columns(*sums, sa.func.max(triggers.c.changed_at), *paused)


def _sign_of_jobs(*where: sa.ColumnElement[bool]) -> sa.Select[*tuple[Any, ...]]:
    """Return the newest job, and of those that have not ended their number and versions: whichever ends leaves them."""
    newest = sa.select(jobs.c.id).where(*where).order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(1)
    under_way = sa.select(sa.func.count(), sa.func.sum(jobs.c.version)).select_from(jobs).where(NOT_ENDED, *where)
    return under_way.add_columns(newest.scalar_subquery())


def _last(table: sa.Table) -> sa.ScalarSelect[int]:
    return sa.select(sa.func.max(table.c.number)).scalar_subquery()


def _number_ended(state: JobState) -> sa.ScalarSelect[int]:
    return sa.select(sa.func.sum(ended_counts.c.number)).where(ended_counts.c.state == state).scalar_subquery()


def _by_state(transaction: Transaction) -> dict[JobState, int]:
    ended = sa.select(ended_counts.c.state, sa.func.sum(ended_counts.c.number).label("number"))
    others = sa.select(jobs.c.state, sa.func.count().label("number")).where(NOT_ENDED)
    rows = transaction.all(ended.group_by(ended_counts.c.state)) + transaction.all(others.group_by(jobs.c.state))
    return {row.state: int(row.number) for row in rows if row.number}


def _triggers(transaction: Transaction) -> TriggerCounts:
    by_state = sa.select(triggers.c.state, sa.func.count().label("number")).group_by(triggers.c.state)
    due = (triggers.c.state == TriggerState.ACTIVE, triggers.c.look_at < _before(transaction, OVERDUE_SECONDS))
    overdue = sa.select(sa.func.count()).select_from(triggers).where(*due)
    outcome, lately = trigger_events.c.outcome, trigger_events.c.last_at > _before(transaction, LATELY_SECONDS)
    events = sa.select(outcome, sa.func.count().label("number")).where(lately).group_by(outcome)
    return TriggerCounts(
        by_state={row.state: row.number for row in transaction.all(by_state)},
        overdue=0 if read_pause(transaction) else transaction.execute(overdue).scalar_one(),
        lately={row.outcome: row.number for row in transaction.all(events)},
    )


def _before(transaction: Transaction, seconds: float) -> datetime:
    return transaction.now - timedelta(seconds=seconds)


def _backlogs(
    transaction: Transaction,
    name: sa.ColumnElement[str],
    since: sa.ColumnElement[datetime],
    waits: sa.ColumnElement[bool],
) -> dict[str, Backlog]:
    statistics = name.label("name"), sa.func.count().label("number"), sa.func.min(since).label("since")
    rows = transaction.all(sa.select(*statistics).where(waits).group_by(name))
    return {row.name: Backlog(row.number, _seconds_since(row.since, transaction)) for row in rows}


def _unsent(table: sa.Table) -> sa.Select[Any]:
    return sa.select(table.c.channel, table.c.at).where(table.c.state == AlertState.WAITING)


def _seconds_since(at: datetime, transaction: Transaction) -> float:
    """Return the seconds since then; never negative, even if the clock was set back."""
    return max(0.0, (transaction.now - at).total_seconds())


def find_change_counter(url: str) -> Callable[[], int] | None:
    """Return what tells a number for microseconds of work, another one once anything was committed to the SQLite file.

    Call it from one thread. None for PostgreSQL, which has no such number.
    """
    address = parse_database_url(url)
    if address.get_backend_name() != "sqlite":
        return None
    place, kept = f"{Path(str(address.database)).absolute().as_uri()}?mode=rw", list[sqlite3.Connection]()

    def count() -> int:
        try:
            if not kept:
                kept.append(sqlite3.connect(place, uri=True, isolation_level=None))
            [(number,)] = kept[0].execute("PRAGMA data_version").fetchall()
        except sqlite3.Error:  # whoever looks because of it finds out what is wrong
            kept.clear()
            return -time.monotonic_ns()
        return int(number)

    return count
