"""Serves what the job store knows as metrics, read again at each scrape."""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TypeVar

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from shared.errors import StoreUnavailable
from shared.jobs.model import JobState
from shared.jobs.statistics import Backlog, Statistics, TriggerCounts, Worker, WorkerState
from shared.jobs.store import Watching
from shared.jobs.triggers import Outcome, TriggerState

logger = logging.getLogger(__name__)
Label = TypeVar("Label", bound=str)

NONE_WAITS = Backlog(0, 0.0)
STORE_UP = "Whether the job store answers (1 or 0); while it does not, all that it knows is absent."


class StoreCollector(Collector):
    """Asks the store whenever Prometheus asks the API."""

    def __init__(self, store: Watching, *, lost_after_seconds: float, channels: Collection[str]) -> None:
        self._store = store
        self._channels = channels
        self._lost_after_seconds = lost_after_seconds

    def collect(self) -> Iterator[Metric]:
        """Yield what the store knows now or, if it does not answer, only that it does not."""
        try:
            statistics = self._store.get_statistics()
        except StoreUnavailable as error:
            logger.warning("metrics without the job store", extra={"cause": error.message})
            yield GaugeMetricFamily("retrain_store_up", STORE_UP, 0)
            return
        yield GaugeMetricFamily("retrain_store_up", STORE_UP, 1)
        yield from _of_jobs(statistics)
        yield from _of_triggers(statistics.triggers)
        yield from _of_alerts(statistics, self._channels)
        yield from _of_workers(statistics.workers, self._lost_after_seconds)


def _of_jobs(statistics: Statistics) -> Iterator[Metric]:
    served = {queue for worker in statistics.workers if not worker.has_left for queue in worker.host.queues}
    queues = {name: statistics.queues.get(name, NONE_WAITS) for name in sorted(served | statistics.queues.keys())}
    counts, ages = _counts(queues), _ages(queues)
    states = {**dict.fromkeys(JobState, 0), **statistics.jobs}  # a later version has more of them
    yield _gauge("retrain_jobs", "Jobs by state.", "state", states)
    yield _gauge("retrain_queued_jobs", "Queued jobs by queue.", "queue", counts)
    yield _gauge("retrain_oldest_queued_job_seconds", "How long the first of a queue has waited.", "queue", ages)


def _of_triggers(found: TriggerCounts) -> Iterator[Metric]:
    states = {**dict.fromkeys(TriggerState, 0), **found.by_state}
    outcomes = {**dict.fromkeys(Outcome, 0), **found.lately}
    yield _gauge("retrain_triggers", "Triggers by state.", "state", states)
    yield _gauge(
        "retrain_trigger_events", "Looks and occurrences of the last hour by what became of them.", "outcome", outcomes
    )
    overdue = "Active triggers that no worker has looked at, although that was due five minutes ago."
    yield GaugeMetricFamily("retrain_triggers_overdue", overdue, found.overdue)


def _of_alerts(statistics: Statistics, channels: Collection[str]) -> Iterator[Metric]:
    names = sorted({*channels} | statistics.alerts.keys())
    waiting = {name: statistics.alerts.get(name, NONE_WAITS) for name in names}
    counts, ages = _counts(waiting), _ages(waiting)
    yield _gauge("retrain_waiting_alerts", "Alerts that are not sent yet.", "channel", counts)
    yield _gauge("retrain_oldest_waiting_alert_seconds", "How long the oldest of them waits.", "channel", ages)


def _of_workers(workers: Sequence[Worker], lost_after_seconds: float) -> Iterator[Metric]:
    states = {worker.host.name: worker.state(lost_after_seconds=lost_after_seconds) for worker in workers}
    counts = {each: list(states.values()).count(each) for each in WorkerState}
    offering = [worker.host for worker in workers if states[worker.host.name] is WorkerState.ALIVE]
    busy = {worker.host.name: worker for worker in workers if worker.running or worker.host in offering}
    slots = {host.name: host.slots for host in offering}
    used = {name: len(each.running) for name, each in busy.items()}
    gpus = {host.name: len(host.gpus) for host in offering}
    used_gpus = {name: len(each.used_gpus) for name, each in busy.items()}
    yield _gauge(
        "retrain_workers", "Workers by state; silent ones may come back, lost ones lose their jobs.", "state", counts
    )
    yield _gauge("retrain_slots", "Attempts that a live worker's host may run at the same time.", "host", slots)
    yield _gauge("retrain_used_slots", "Attempts under way on a host.", "host", used)
    yield _gauge("retrain_gpus", "GPUs that a live worker's host offers.", "host", gpus)
    yield _gauge("retrain_used_gpus", "GPUs that attempts on a host hold.", "host", used_gpus)
    closed = GaugeMetricFamily(
        "retrain_closed_hosts", "1 for a host that takes no new attempts.", labels=["host", "reason"]
    )
    for host in offering:
        if host.closed_because is not None:
            closed.add_metric([host.name, host.closed_because], 1)
    yield closed


def _gauge(name: str, documentation: str, label: str, values: Mapping[Label, float]) -> Metric:
    family = GaugeMetricFamily(name, documentation, labels=[label])
    for value_of_label, value in values.items():
        family.add_metric([value_of_label], value)
    return family


def _counts(backlogs: Mapping[Label, Backlog]) -> Mapping[Label, float]:
    return {name: each.count for name, each in backlogs.items()}


def _ages(backlogs: Mapping[Label, Backlog]) -> Mapping[Label, float]:
    return {name: each.oldest_seconds for name, each in backlogs.items()}
