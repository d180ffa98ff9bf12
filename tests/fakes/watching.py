"""What the in-memory store shows to whoever watches."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from shared.jobs.model import JobState
from shared.jobs.observations import Observation
from shared.jobs.promotions import HistoryLine
from shared.jobs.signs import Topic
from shared.jobs.statistics import LATELY_SECONDS, OVERDUE_SECONDS, Backlog, Statistics, TriggerCounts, Worker
from shared.jobs.triggers import Pause, Succeeded, TriggerState
from tests.fakes.hosts import MemoryHosts
from tests.fakes.outbox import Kept
from tests.fakes.triggers import Kept as KeptTrigger

Name = TypeVar("Name")


class MemoryWatching(MemoryHosts):
    """The part of MemoryStore that only looks."""

    _alerts: dict[str, list[Kept]]
    _triggers: dict[str, KeptTrigger]
    _pause: Pause | None
    _events: list[HistoryLine]
    _observations: list[Observation]

    def list_workers(self) -> Sequence[Worker]:
        with self._transaction() as now:
            return self._workers(now)

    def get_statistics(self) -> Statistics:
        with self._transaction() as now:
            jobs = [record.job for record in self._records.values()]
            alerts = [each.alert for kept in self._alerts.values() for each in kept if not each.is_over]
            return Statistics(
                jobs=Counter(job.state for job in jobs),
                queues=_backlogs(((job.queue, job.queued_at) for job in jobs if job.state is JobState.QUEUED), now),
                alerts=_backlogs(((alert.channel, alert.at) for alert in alerts), now),
                workers=self._workers(now),
                triggers=self._trigger_counts(now),
            )

    def _trigger_counts(self, now: datetime) -> TriggerCounts:
        every = [kept.trigger for kept in self._triggers.values()]
        due = [each.look_at for each in every if each.state is TriggerState.ACTIVE and each.look_at is not None]
        events = [event for kept in self._triggers.values() for event in kept.events]
        return TriggerCounts(
            by_state=Counter(each.state for each in every),
            overdue=0 if self._pause else sum(at < now - timedelta(seconds=OVERDUE_SECONDS) for at in due),
            lately=Counter(each.outcome for each in events if each.last_at > now - timedelta(seconds=LATELY_SECONDS)),
        )

    def succeeded_since(
        self,
        since: datetime,
        *,
        trigger: str | None = None,
        model: str | None = None,
        team: str | None = None,
        limit: int,
    ) -> Sequence[Succeeded]:
        with self._transaction():
            found = [
                Succeeded(job.id, job.ended_at, job.model_name, job.trigger_name, job.triggered_by)
                for job in (record.job for record in self._records.values())
                if job.state is JobState.SUCCEEDED and job.ended_at is not None and job.ended_at > since
                if (trigger is None or job.trigger_name == trigger) and (model is None or job.model_name == model)
                if team in (None, job.team)
            ]
            return sorted(found, key=lambda each: (each.ended_at, each.job_id))[:limit]

    def get_sign(self, topic: Topic, *, team: str | None = None) -> str:
        with self._transaction():
            seen = [record.job for record in self._records.values() if team in (None, record.job.team)]
            match topic:
                case Topic.JOBS:
                    return repr(sorted((job.id, job.version) for job in seen))
                case Topic.MODELS:
                    ended = sum(job.state is JobState.SUCCEEDED for job in seen)
                    return repr((len(self._events), len(self._observations), ended))
                case Topic.TRIGGERS:
                    return repr((self._pause, sorted(self._triggers.items())))

    def schema_revision(self) -> str:
        with self._transaction():
            return "in memory"

    def _workers(self, now: datetime) -> list[Worker]:
        return [self._worker(known, now) for _, known in sorted(self._beats.items())]


def _backlogs(waiting: Iterable[tuple[Name, datetime]], now: datetime) -> dict[Name, Backlog]:
    since: defaultdict[Name, list[datetime]] = defaultdict(list)
    for name, at in waiting:
        since[name].append(at)
    return {name: Backlog(len(each), max(0.0, (now - min(each)).total_seconds())) for name, each in since.items()}
