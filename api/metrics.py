"""Serves GET /metrics for Prometheus: how this process answers requests, and the job store's (api.store_metrics)."""

import time
from http import HTTPMethod

from flask import Flask, Request, Response, g, request
from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from api.store_metrics import StoreCollector
from shared.jobs.store import JobStore
from shared.settings import Settings

BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
NO_ROUTE = "none"
OTHER_METHOD = "other"


def register(app: Flask, settings: Settings, store: JobStore) -> None:
    """Measure every request, and serve the metrics. Call it first, so that refused requests are measured, too."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    channels = settings.destinations.names
    registry.register(StoreCollector(store, lost_after_seconds=settings.host_lost_after_seconds, channels=channels))
    _measure(app, registry)

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)


def _measure(app: Flask, registry: CollectorRegistry) -> None:
    seconds = Histogram(
        "retrain_http_request_duration_seconds",
        "Requests to the API by route, method and status, and how long they took.",
        ("route", "method", "status"),
        buckets=BUCKETS_SECONDS,
        registry=registry,
    )

    @app.before_request
    def begin() -> None:
        g.began_at = time.perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        labels = route_of(request), method_of(request), str(response.status_code)
        seconds.labels(*labels).observe(time.perf_counter() - g.began_at)
        return response


def route_of(asked: Request) -> str:
    """Return the route's template, never the path, which would be a new series for each job.

    Requests that ask to wait are counted apart, because their duration says nothing about the API.
    """
    if asked.url_rule is None:
        return NO_ROUTE
    return f"{asked.url_rule.rule}?wait" if "wait" in asked.args else asked.url_rule.rule


def method_of(asked: Request) -> str:
    """Return the method; all that are not HTTP's count as one."""
    return asked.method if asked.method in HTTPMethod.__members__ else OTHER_METHOD
