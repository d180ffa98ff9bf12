"""The in-memory store's outbox of alerts."""

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.alerts.model import LONGEST_WAIT_SECONDS, Alert, AlertEvent, Alerting, AlertState, ModelLine
from shared.jobs.promotions import Event, HistoryLine, Kind
from shared.sql.outbox import TOLD_OF_MODELS
from tests.fakes.records import Record


def subject_of(alert: Alert) -> str:
    """Return what the alert is about."""
    return f"{alert.line.model}@{alert.line.alias}" if alert.line else str(alert.job_id)


@dataclass
class Kept:
    """An alert as it was last taken, when it is due, and whether it is sent or given up."""

    alert: Alert
    number: int
    due_at: datetime
    is_over: bool = False
    is_sent: bool = False
    cause: str | None = None

    @property
    def state(self) -> AlertState:
        """What became of it."""
        return AlertState.WAITING if not self.is_over else AlertState.SENT if self.is_sent else AlertState.GIVEN_UP

    def is_before(self, other: "Kept") -> bool:
        """Whether the other one has to wait for this one."""
        mine, its = self.alert, other.alert
        is_same = (subject_of(mine), mine.channel) == (subject_of(its), its.channel)
        return is_same and not self.is_over and self.number < other.number

    @property
    def rank(self) -> tuple[datetime, bool, str, int]:
        """What is due longest comes first; of several, what is about jobs."""
        return self.due_at, self.alert.line is not None, subject_of(self.alert), self.number

    def is_due(self, now: datetime) -> bool:
        """Whether a sender may have it."""
        return self.due_at <= now or self.due_at > now + timedelta(seconds=LONGEST_WAIT_SECONDS)


class MemoryOutbox:
    """The part of MemoryStore that is about alerts. They are kept by job, and deleted with it, or by alias."""

    alerting: Alerting
    _records: dict[str, Record]
    _alerts: dict[str, list[Kept]]
    _events: list[HistoryLine]

    def _transaction(self) -> AbstractContextManager[datetime]:
        raise NotImplementedError

    def take_alert(self, channels: Collection[str], *, lease_seconds: float) -> Alert | None:
        with self._transaction() as now:
            return self._take(lambda alert: alert.channel in channels, now, lease_seconds)

    def take_stray_alert(
        self, known: Collection[str], *, older_than_seconds: float, lease_seconds: float
    ) -> Alert | None:
        with self._transaction() as now:
            before = now - timedelta(seconds=older_than_seconds)
            return self._take(lambda alert: alert.channel not in known and alert.at <= before, now, lease_seconds)

    def _take(self, where: Callable[[Alert], bool], now: datetime, lease_seconds: float) -> Alert | None:
        waiting = [each for each in self._kept() if not each.is_over]
        due = [each for each in waiting if where(each.alert) and each.is_due(now)]
        due = [each for each in due if not any(other.is_before(each) for other in waiting)]
        if not due:
            return None
        first = min(due, key=lambda each: each.rank)
        first.alert = replace(first.alert, taken_at=now, tries=first.alert.tries + 1)
        first.due_at = now + timedelta(seconds=lease_seconds)
        return first.alert

    def alert_sent(self, alert: Alert) -> None:
        with self._transaction():
            for each in self._kept():
                if (each.alert.id, each.alert.channel) == (alert.id, alert.channel) and not each.is_over:
                    each.is_over = each.is_sent = True

    def alert_failed(self, alert: Alert, *, retry_in_seconds: float | None, cause: str = "") -> None:
        with self._transaction() as now:
            for each in self._kept():
                if each.alert != alert or each.is_over:
                    continue
                each.is_over, each.cause = retry_in_seconds is None, cause
                each.due_at = now + timedelta(seconds=min(retry_in_seconds or 0, LONGEST_WAIT_SECONDS))

    def _kept(self) -> list[Kept]:
        return [each for kept in self._alerts.values() for each in kept]

    def _record_alert(
        self, record: Record, event: AlertEvent, now: datetime, *, retry_in_seconds: float | None = None
    ) -> None:
        job_id, attempt = record.job.id, len(record.job.attempts)
        wanted, known = self.alerting.of(record.job.request), self._alerts.setdefault(job_id, [])
        if event not in wanted.events or any(each.alert.id == f"{job_id}-{attempt}-{event}" for each in known):
            return
        number = len(known) + 1
        for channel in sorted(wanted.channels):
            alert = Alert(job_id, attempt, event, channel, now, now, 0, retry_in_seconds)
            known.append(Kept(alert, number, due_at=now))

    def _record_model_alert(self, line: HistoryLine) -> None:
        event = TOLD_OF_MODELS.get(line.event)
        if event is None:
            return
        asked = [line.job_id, *([self._undone_job(line)] if line.kind is Kind.PROBATION else [])]
        wanted = [self._wanted_by(job_id) for job_id in asked]
        for channel in sorted({channel for each in wanted if event in each.events for channel in each.channels}):
            of = ModelLine(line.number, line.promotion_id, line.model, line.alias)
            alert = Alert(line.job_id, 0, event, channel, line.at, line.at, 0, line=of)
            self._alerts.setdefault(subject_of(alert), []).append(Kept(alert, line.number, due_at=line.at))

    def _wanted_by(self, job_id: str | None) -> Alerting:
        record = self._records.get(job_id or "")
        return self.alerting.of(record.job.request) if record is not None else self.alerting

    def _undone_job(self, line: HistoryLine) -> str | None:
        moves = [each for each in self._events[:-1] if (each.event, each.model) == (Event.MOVED, line.model)]
        return next((each.job_id for each in reversed(moves) if each.alias == line.alias), None)
