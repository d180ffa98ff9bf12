"""This worker's metrics, and the /metrics page that serves them to Prometheus. counted_store.py does the counting."""

import logging
from collections.abc import Callable, Collection, Mapping
from itertools import product
from typing import TypeVar
from wsgiref.simple_server import WSGIServer

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    start_http_server,
)

from shared.alerts.model import AlertEvent
from shared.errors import Code, ConfigurationError, FailureType
from shared.jobs.model import TERMINAL

logger = logging.getLogger(__name__)

MINUTE, HOUR, DAY = 60, 3600, 86400
WAIT_BUCKETS = (0.1, 0.5, 1, 5, 15, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 4 * HOUR, 12 * HOUR, DAY, 3 * DAY, 7 * DAY)
RUN_BUCKETS = (1, 5, 15, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, 12 * HOUR, DAY, 3 * DAY, 7 * DAY)
SAME_HOST, LOST_HOST = "same_host", "lost_host"
SUCCEEDED = "succeeded"
M = TypeVar("M", Counter, Histogram)


class WorkerMetrics:
    """Counts since the worker's start, in a registry of their own."""

    def __init__(self, queues: Collection[str], channels: Collection[str]) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self.wait = self._histogram(
            "job_wait", "Time that jobs were queued before an attempt began.", WAIT_BUCKETS, queue=queues
        )
        self.run = self._histogram(
            "attempt_duration",
            "Time of attempts from claim to end; the outcome is the type of what failed.",
            RUN_BUCKETS,
            outcome=[SUCCEEDED, *FailureType],
        )
        self.attempts = self._counter(
            "attempts_ended", "Attempts ended; the reason is the code of what failed.", reason=[SUCCEEDED, *Code]
        )
        self.jobs = self._counter("jobs_ended", "Jobs ended, but for those that the API cancelled.", state=TERMINAL)
        self.resends = self._counter("resends", "Messages sent again: the job may start now, or nobody took the first.")
        self.takeovers = self._counter(
            "takeovers", "Attempts taken from a worker that stopped or a host that is lost.", of=[SAME_HOST, LOST_HOST]
        )
        self.lease_losses = self._counter("lease_losses", "Attempts lost to another worker while this one held them.")
        self.fenced_writes = self._counter("fenced_writes", "Writes refused by the fencing token, renewals included.")
        each: dict[str, Collection[str]] = {"channel": channels, "event": list(AlertEvent)}
        self.alerts_sent = self._counter("alerts_sent", "Alerts sent.", **each)
        self.alerts_given_up = self._counter("alerts_given_up", "Alerts given up: refused, or too old.", **each)

    def _counter(self, name: str, documentation: str, **labels: Collection[str]) -> Counter:
        return _at_zero(Counter(f"retrain_{name}", documentation, list(labels), registry=self.registry), labels)

    def _histogram(
        self, name: str, documentation: str, buckets: tuple[float, ...], **labels: Collection[str]
    ) -> Histogram:
        name = f"retrain_{name}_seconds"
        return _at_zero(Histogram(name, documentation, list(labels), buckets=buckets, registry=self.registry), labels)

    def show_look(self, seen_at: Callable[[], float]) -> None:
        """Show when the worker last had an answer from both its engine and the job store."""
        gauge = Gauge(
            "retrain_containers_seen_timestamp_seconds",
            "When the containers of this host were last compared with the job store.",
            registry=self.registry,
        )
        gauge.set_function(seen_at)

    def serve(self, host: str, port: int) -> WSGIServer:
        """Serve /metrics in a thread that ends with the process at the latest; ConfigurationError if it cannot."""
        try:
            server, _ = start_http_server(port, addr=host, registry=self.registry)
        except OSError as error:
            raise ConfigurationError(
                f"The worker's metrics cannot be served at {host}, port {port}: {error.strerror}. Set "
                "WORKER_METRICS_PORT to a free port, or to 0 for none, and WORKER_METRICS_HOST to an address of this "
                "machine."
            ) from error
        logger.info("serving metrics", extra={"address": f"{host}:{port}"})
        return server


def _at_zero(metric: M, labels: Mapping[str, Collection[str]]) -> M:
    """Show every series at zero before it counts: Prometheus sees no increase in a series that begins at one."""
    for values in product(*labels.values()) if labels else ():
        metric.labels(*values)
    return metric
