"""The outbox of alerts: each is written in the same transaction as the change it reports; senders take it from here."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from shared.alerts.model import LONGEST_WAIT_SECONDS, Alert, AlertEvent, Alerting, AlertState
from shared.sql.engine import Database, Transaction
from shared.sql.tables import alerts


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
    values = {
        "job_id": row.id,
        "attempt": row.attempt,
        "event": event,
        "number": 1 + max((each.number for each in known), default=0),
        "state": AlertState.WAITING,
        "tries": 0,
        "retry_in_seconds": retry_in_seconds,
        "at": transaction.now,
        "due_at": transaction.now,
    }
    transaction.execute(sa.insert(alerts).values([{**values, "channel": each} for each in sorted(wanted.channels)]))


class Outbox(Database):
    """The part of the JobStore that senders of alerts use."""

    def take_alert(self, channels: Collection[str], *, lease_seconds: float) -> Alert | None:
        """Take the next alert that is due, so that nobody else gets it within the lease."""
        with self.writing() as transaction:
            return _take(transaction, alerts.c.channel.in_(channels), lease_seconds=lease_seconds)

    def take_stray_alert(
        self, known: Collection[str], *, older_than_seconds: float, lease_seconds: float
    ) -> Alert | None:
        """Take an alert for an unknown channel that has waited for longer than that."""
        with self.writing() as transaction:
            is_old = alerts.c.at <= transaction.now - timedelta(seconds=older_than_seconds)
            return _take(transaction, alerts.c.channel.not_in(known), is_old, lease_seconds=lease_seconds)

    def alert_sent(self, alert: Alert) -> None:
        """Record that the alert was sent, even by a sender whose lease had ended: it must not be sent again."""
        with self.writing() as transaction:
            _change(transaction, alert, state=AlertState.SENT)

    def alert_failed(self, alert: Alert, *, retry_in_seconds: float | None) -> None:
        """Put the alert back or give it up, unless another sender has taken it meanwhile."""
        with self.writing() as transaction:
            if retry_in_seconds is None:
                _change(transaction, alert, alerts.c.tries == alert.tries, state=AlertState.GIVEN_UP)
            else:
                wait = timedelta(seconds=min(retry_in_seconds, LONGEST_WAIT_SECONDS))
                _change(transaction, alert, alerts.c.tries == alert.tries, due_at=transaction.now + wait)


def _take(transaction: Transaction, *where: sa.ColumnElement[bool], lease_seconds: float) -> Alert | None:
    row = transaction.one(_next_due(transaction.now, *where))
    if row is None:
        return None
    alert = Alert(
        job_id=row.job_id,
        attempt=row.attempt,
        event=row.event,
        channel=row.channel,
        at=row.at,
        taken_at=transaction.now,
        tries=row.tries + 1,
        retry_in_seconds=row.retry_in_seconds,
    )
    _change(transaction, alert, tries=alert.tries, due_at=transaction.now + timedelta(seconds=lease_seconds))
    return alert


def _next_due(now: datetime, *where: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Select the alert that has been due for longest, among those with no earlier one left for their job and channel.

    Events of a later version are left to that version's workers, and nothing waits for them.
    """
    earlier = alerts.alias()
    is_first = ~sa.exists().where(
        earlier.c.job_id == alerts.c.job_id,
        earlier.c.channel == alerts.c.channel,
        earlier.c.number < alerts.c.number,
        earlier.c.state == AlertState.WAITING,
        earlier.c.event.in_(AlertEvent),
    )
    farthest = now + timedelta(seconds=LONGEST_WAIT_SECONDS)
    # An alert due later than the longest delay was written before the clock was set back.
    is_due = sa.or_(alerts.c.due_at <= now, alerts.c.due_at > farthest)
    waiting = (alerts.c.state == AlertState.WAITING, alerts.c.event.in_(AlertEvent), is_due, is_first)
    oldest = sa.select(alerts).where(*waiting, *where).order_by(alerts.c.due_at, alerts.c.job_id, alerts.c.number)
    return oldest.limit(1).with_for_update(skip_locked=True, of=alerts)


def _change(transaction: Transaction, alert: Alert, *where: sa.ColumnElement[bool], **values: Any) -> None:
    mine = (
        alerts.c.job_id == alert.job_id,
        alerts.c.attempt == alert.attempt,
        alerts.c.event == alert.event,
        alerts.c.channel == alert.channel,
        alerts.c.state == AlertState.WAITING,
    )
    transaction.execute(sa.update(alerts).where(*mine, *where).values(**values))
