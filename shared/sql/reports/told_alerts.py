"""Reads the outbox for people: what was told to whom, and what became of it."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from shared.alerts.listed import AlertCursor, AlertFilter, ToldAlert
from shared.sql.access.tables import model_teams
from shared.sql.engine import Database, Transaction
from shared.sql.model_tables import model_alerts
from shared.sql.reading import are_few
from shared.sql.tables import alerts, jobs

SAME = ("event", "channel", "job_id", "at", "state", "tries", "due_at", "cause")
BY_CHARACTER = {"sqlite": "BINARY", "postgresql": "C"}  # as Python sorts
Conditions = list[sa.ColumnElement[bool]]


class ToldAlerts(Database):
    """The part of the JobStore with which people look at alerts."""

    def list_alerts(self, where: AlertFilter, *, limit: int, after: AlertCursor | None = None) -> Sequence[ToldAlert]:
        """Return the newest first. Each table has its newest in an index; of both, the newest are taken."""
        with self.reading() as transaction:
            order = BY_CHARACTER[transaction.connection.dialect.name]
            found = [
                *map(_about_job, transaction.all(_of_jobs(transaction, where, after, order).limit(limit))),
                *map(_about_model, transaction.all(_of_models(where, after, order).limit(limit))),
            ]
        return sorted(found, key=lambda each: each.place, reverse=True)[:limit]


def _of_jobs(transaction: Transaction, where: AlertFilter, after: AlertCursor | None, order: str) -> sa.Select[Any]:
    wanted = {jobs.c.model_name: where.model, jobs.c.team: where.team}
    of_job = [column == value for column, value in wanted.items() if value is not None]
    by_job = are_few(transaction, of_job)
    if not by_job:  # in what no index knows, as the outer join below: or all alerts of all these jobs may be sorted
        of_job = [sa.func.coalesce(column, "") == value for column, value in wanted.items() if value is not None]
    columns = (*(alerts.c[name] for name in (*SAME, "attempt")), jobs.c.model_name.label("model"))
    found = sa.select(*columns).join_from(alerts, jobs, jobs.c.id == alerts.c.job_id, isouter=not by_job)
    conditions = [*_same(alerts, where), *of_job]
    about = (alerts.c.job_id, alerts.c.attempt, alerts.c.event)
    return _newest(found.where(*conditions), alerts, _key(about, alerts, order), after)


def _of_models(where: AlertFilter, after: AlertCursor | None, order: str) -> sa.Select[Any]:
    own = ("number", "promotion_id", "model", "alias")
    found = sa.select(*(model_alerts.c[name] for name in (*SAME, *own)))
    conditions = _same(model_alerts, where)
    if where.model is not None:
        conditions.append(model_alerts.c.model == where.model)
    if where.team is not None:
        is_its = (model_teams.c.model == model_alerts.c.model, model_teams.c.team == where.team)
        conditions.append(sa.exists().where(*is_its))
    about = (model_alerts.c.promotion_id, model_alerts.c.number, model_alerts.c.event)
    return _newest(found.where(*conditions), model_alerts, _key(about, model_alerts, order), after)


def _same(table: sa.Table, where: AlertFilter) -> Conditions:
    wanted = {name: getattr(where, name) for name in ("job_id", "channel", "state")}
    return [table.c[name] == value for name, value in wanted.items() if value is not None]


def _key(about: Sequence[sa.Column[Any]], table: sa.Table, order: str) -> sa.ColumnElement[str]:
    """Return the key of ToldAlert.place."""
    first, number, event = (sa.cast(each, sa.String) for each in about)
    return (first + "-" + number + "-" + event + " " + table.c.channel).collate(order)


def _newest(
    found: sa.Select[Any], table: sa.Table, key: sa.ColumnElement[str], after: AlertCursor | None
) -> sa.Select[Any]:
    if after is not None:
        at = sa.bindparam(None, after.at, table.c.at.type)
        found = found.where(table.c.at <= at, sa.or_(table.c.at < at, key < after.key))
    return found.order_by(table.c.at.desc(), key.desc())


def _about_job(row: sa.Row[Any]) -> ToldAlert:
    return ToldAlert(f"{row.job_id}-{row.attempt}-{row.event}", alias=None, **_facts(row), attempt=row.attempt)


def _about_model(row: sa.Row[Any]) -> ToldAlert:
    about = f"{row.promotion_id}-{row.number}-{row.event}"
    return ToldAlert(about, alias=row.alias, **_facts(row), attempt=0)


def _facts(row: sa.Row[Any]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in (*SAME, "model")}
