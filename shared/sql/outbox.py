"""The outbox of alerts: each is written in the same transaction as the change it reports; senders take it from here.

Alerts about jobs are deleted with their job. Those about models are kept apart: a model's alias may move without a job.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from shared.alerts.model import LONGEST_WAIT_SECONDS, Alert, AlertEvent, Alerting, AlertState, ModelLine
from shared.jobs.promotions import Event, HistoryLine, Kind
from shared.sql.engine import Database, Transaction
from shared.sql.history_lines import of_alias
from shared.sql.model_tables import model_alerts, model_events
from shared.sql.tables import alerts, jobs

Where = Callable[[sa.Table], Sequence[sa.ColumnElement[bool]]]
TOLD_OF_MODELS: Mapping[Event, AlertEvent] = {
    Event.MOVED: AlertEvent.CHAMPION_CHANGED,
    Event.APPROVAL_WANTED: AlertEvent.APPROVAL_WANTED,
}
LINE_FIELDS = [field.name for field in fields(ModelLine)]


@dataclass(frozen=True)
class Tray:
    """One of the two tables; what is about the same ``subject`` is sent in the order of its numbers."""

    table: sa.Table
    subject: tuple[str, ...]


TRAYS = (Tray(alerts, ("job_id",)), Tray(model_alerts, ("model", "alias")))


def record_alert(
    transaction: Transaction,
    row: sa.Row[Any],
    event: AlertEvent,
    alerting: Alerting,
    *,
    retry_in_seconds: float | None = None,
) -> None:
    """Put the event into the outbox, for each of the job's channels. The caller has locked the job's row.

    An event that can recur within an attempt, such as an adoption, is reported once.
    """
    wanted = alerting.of(row.request)
    if event not in wanted.events or not wanted.channels:
        return
    known = transaction.all(sa.select(alerts).where(alerts.c.job_id == row.id))
    if any((each.attempt, each.event) == (row.attempt, event) for each in known):
        return
    number = 1 + max((each.number for each in known), default=0)
    values = {"job_id": row.id, "attempt": row.attempt, "event": event, "number": number}
    _insert(transaction, alerts, wanted.channels, {**values, "retry_in_seconds": retry_in_seconds})


def record_model_alert(transaction: Transaction, line: HistoryLine, alerting: Alerting) -> None:
    """Put a new line of a model's history into the outbox if it is told, for its job's channels or the default ones.

    Where a probation undoes a move, those who were told of that move are told, too.
    """
    event = TOLD_OF_MODELS.get(line.event)
    if event is None:
        return
    wanted = [_wanted_by(transaction, line.job_id, alerting)]
    if line.kind is Kind.PROBATION:
        wanted.append(_wanted_by(transaction, _job_of_move_before(transaction, line), alerting))
    if channels := {channel for each in wanted if event in each.events for channel in each.channels}:
        values = {name: getattr(line, name) for name in (*LINE_FIELDS, "job_id")}
        _insert(transaction, model_alerts, channels, {**values, "event": event})


def _wanted_by(transaction: Transaction, job_id: str | None, alerting: Alerting) -> Alerting:
    """Return what the job asks for; the defaults without one, or if it was deleted."""
    row = transaction.one(sa.select(jobs.c.request).where(jobs.c.id == job_id)) if job_id else None
    return alerting.of(row.request) if row is not None else alerting


def _job_of_move_before(transaction: Transaction, line: HistoryLine) -> str | None:
    moved = (*of_alias(line.model, line.alias), model_events.c.event == Event.MOVED)
    before = sa.select(model_events.c.job_id).where(*moved, model_events.c.number < line.number)
    row = transaction.one(before.order_by(model_events.c.number.desc()).limit(1))
    return row.job_id if row is not None else None


def _insert(transaction: Transaction, table: sa.Table, channels: Collection[str], values: Mapping[str, Any]) -> None:
    now = transaction.now
    same = {**values, "state": AlertState.WAITING, "tries": 0, "at": now, "due_at": now}
    transaction.execute(sa.insert(table).values([{**same, "channel": each} for each in sorted(channels)]))


class Outbox(Database):
    """The part of the JobStore that senders of alerts use."""

    def take_alert(self, channels: Collection[str], *, lease_seconds: float) -> Alert | None:
        """Take the next alert that is due, so that nobody else gets it within the lease."""
        with self.writing() as transaction:
            return _take(transaction, lambda table: [table.c.channel.in_(channels)], lease_seconds=lease_seconds)

    def take_stray_alert(
        self, known: Collection[str], *, older_than_seconds: float, lease_seconds: float
    ) -> Alert | None:
        """Take an alert for an unknown channel that has waited for longer than that."""
        with self.writing() as transaction:
            until = transaction.now - timedelta(seconds=older_than_seconds)
            return _take(
                transaction,
                lambda table: [table.c.channel.not_in(known), table.c.at <= until],
                lease_seconds=lease_seconds,
            )

    def alert_sent(self, alert: Alert) -> None:
        """Record that the alert was sent, even by a sender whose lease had ended: it must not be sent again."""
        with self.writing() as transaction:
            _change(transaction, alert, state=AlertState.SENT)

    def alert_failed(self, alert: Alert, *, retry_in_seconds: float | None, cause: str = "") -> None:
        """Put the alert back or give it up, unless another sender has taken it meanwhile."""
        with self.writing() as transaction:
            if retry_in_seconds is None:
                _change(transaction, alert, tries=alert.tries, cause=cause, state=AlertState.GIVEN_UP)
            else:
                wait = timedelta(seconds=min(retry_in_seconds, LONGEST_WAIT_SECONDS))
                _change(transaction, alert, tries=alert.tries, cause=cause, due_at=transaction.now + wait)


def _take(transaction: Transaction, where: Where, *, lease_seconds: float) -> Alert | None:
    found = [(transaction.one(_next_due(transaction.now, tray, where)), tray) for tray in TRAYS]
    due = [(row, tray) for row, tray in found if row is not None]
    if not due:
        return None
    row, tray = min(due, key=lambda each: each[0].due_at)
    alert = _to_alert(row, tray, transaction.now)
    lease = timedelta(seconds=lease_seconds)
    table, mine = _row_of(alert)
    transaction.execute(sa.update(table).where(*mine).values(tries=alert.tries, due_at=transaction.now + lease))
    return alert


def _to_alert(row: sa.Row[Any], tray: Tray, now: datetime) -> Alert:
    same = {name: getattr(row, name) for name in ("job_id", "event", "channel", "at")}
    own: dict[str, Any]
    if tray.table is model_alerts:
        line = ModelLine(**{name: getattr(row, name) for name in LINE_FIELDS})
        own = {"attempt": 0, "line": line}
    else:
        own = {"attempt": row.attempt, "retry_in_seconds": row.retry_in_seconds}
    return Alert(**same, **own, taken_at=now, tries=row.tries + 1)


def _next_due(now: datetime, tray: Tray, where: Where) -> sa.Select[Any]:
    """Select the alert that has been due for longest, among those with no earlier one left for subject and channel.

    Events of a later version are left to that version's workers, and nothing waits for them.
    """
    table, earlier = tray.table, tray.table.alias()
    is_first = ~sa.exists().where(
        *(earlier.c[name] == table.c[name] for name in (*tray.subject, "channel")),
        earlier.c.number < table.c.number,
        earlier.c.state == AlertState.WAITING,
        earlier.c.event.in_(AlertEvent),
    )
    farthest = now + timedelta(seconds=LONGEST_WAIT_SECONDS)
    # An alert due later than the longest delay was written before the clock was set back.
    is_due = sa.or_(table.c.due_at <= now, table.c.due_at > farthest)
    waiting = (table.c.state == AlertState.WAITING, table.c.event.in_(AlertEvent), is_due, is_first)
    in_order = (table.c[name] for name in ("due_at", *tray.subject, "number"))
    oldest = sa.select(table).where(*waiting, *where(table)).order_by(*in_order)
    return oldest.limit(1).with_for_update(skip_locked=True, of=table)


def _row_of(alert: Alert) -> tuple[sa.Table, list[sa.ColumnElement[bool]]]:
    if alert.line is not None:
        table, key = model_alerts, {"number": alert.line.number, "channel": alert.channel}
    else:
        table, key = alerts, {name: getattr(alert, name) for name in ("job_id", "attempt", "event", "channel")}
    return table, [table.c[name] == value for name, value in key.items()]


def _change(transaction: Transaction, alert: Alert, *, tries: int | None = None, **values: Any) -> None:
    """Change an alert that waits; if ``tries`` is given, only while its sender is the last one."""
    table, mine = _row_of(alert)
    mine = [*mine, table.c.state == AlertState.WAITING]
    mine += [table.c.tries == tries] if tries is not None else []
    transaction.execute(sa.update(table).where(*mine).values(**values))
