"""What the in-memory store tells of its outbox."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime

from shared.alerts.listed import AlertCursor, AlertFilter, ToldAlert
from tests.fakes.outbox import Kept
from tests.fakes.records import Record


class MemoryToldAlerts:
    """The part of MemoryStore with which people look at alerts."""

    _records: dict[str, Record]
    _alerts: dict[str, list[Kept]]
    _model_teams: dict[str, str | None]

    def _transaction(self) -> AbstractContextManager[datetime]:
        raise NotImplementedError

    def list_alerts(self, where: AlertFilter, *, limit: int, after: AlertCursor | None = None) -> Sequence[ToldAlert]:
        with self._transaction():
            kept = [each for some in self._alerts.values() for each in some]
            told = [self._told(each) for each in kept if where.team in (None, self._team_of(each))]
            found = [each for each in told if _matches(each, where) and (after is None or each.place < after)]
            return sorted(found, key=lambda each: each.place, reverse=True)[:limit]

    def _team_of(self, kept: Kept) -> str | None:
        alert = kept.alert
        return self._model_teams.get(alert.line.model) if alert.line else self._records[str(alert.job_id)].job.team

    def _told(self, kept: Kept) -> ToldAlert:
        alert = kept.alert
        job = self._records[alert.job_id].job if alert.job_id in self._records and alert.line is None else None
        return ToldAlert(
            id=alert.id,
            event=alert.event,
            channel=alert.channel,
            job_id=alert.job_id,
            attempt=alert.attempt,
            model=alert.line.model if alert.line else job.model_name if job else None,
            alias=alert.line.alias if alert.line else None,
            at=alert.at,
            state=kept.state,
            tries=alert.tries,
            due_at=kept.due_at,
            cause=kept.cause,
        )


def _matches(told: ToldAlert, where: AlertFilter) -> bool:
    wanted = {name: getattr(where, name) for name in ("job_id", "model", "channel", "state")}
    return all(value in (None, getattr(told, name)) for name, value in wanted.items())
