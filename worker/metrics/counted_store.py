"""Counts for the metrics what a worker does in the job store: whatever happens to a job is a change there."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from shared.alerts.model import Alert
from shared.errors import LeaseLost
from shared.jobs.model import Job, JobState, Reason
from shared.jobs.records import Claim, Ending
from shared.scheduling.hosts import Host
from shared.sql import SqlStore
from shared.sql.engine import Transaction
from worker.metrics.worker_metrics import LOST_HOST, SAME_HOST, SUCCEEDED, WorkerMetrics


class CountedStore(SqlStore):
    """A SqlStore that counts what is committed through it, so that no other part of the worker deals with metrics."""

    def __init__(self, url: str, metrics: WorkerMetrics, **options: Any) -> None:
        super().__init__(url, **options)
        self._metrics = metrics
        self._is_lost: dict[tuple[str, int], bool] = {}  # claims that were not given back, by job and token
        self._lock = threading.Lock()

    def claim(self, job_id: str, *, host: Host, lease_seconds: float) -> Claim | None:
        """Count how long the job waited, or that its attempt was another worker's."""
        claim = super().claim(job_id, host=host, lease_seconds=lease_seconds)
        if claim is None:
            return None
        self._is_lost[_key(claim)] = False
        if claim.job.transitions[-1].from_state is JobState.QUEUED:
            waited = claim.attempt.started_at - claim.job.queued_at
            self._metrics.wait.labels(claim.job.queue).observe(max(0.0, waited.total_seconds()))
        else:
            self._metrics.takeovers.labels(SAME_HOST).inc()
        return claim

    def take_from_lost_host(self, job_id: str, *, by: str, after_seconds: float, lease_seconds: float) -> Claim | None:
        """Count the attempts that are taken over."""
        claim = super().take_from_lost_host(job_id, by=by, after_seconds=after_seconds, lease_seconds=lease_seconds)
        if claim is not None:
            self._is_lost[_key(claim)] = False
            self._metrics.takeovers.labels(LOST_HOST).inc()
        return claim

    def release(self, claim: Claim) -> None:
        """Note that writes refused from now on are not a loss."""
        super().release(claim)
        self._is_lost.pop(_key(claim), None)

    def finish(self, claim: Claim, ending: Ending) -> Job:
        """Count the attempt and, if it ends as well, the job."""
        job = super().finish(claim, ending)
        self._is_lost.pop(_key(claim), None)
        attempt = job.attempt
        self._metrics.attempts.labels(attempt.failure.code if attempt.failure else SUCCEEDED).inc()
        if attempt.ended_at is not None:
            took = attempt.ended_at - attempt.started_at
            outcome = attempt.failure.type if attempt.failure else SUCCEEDED
            self._metrics.run.labels(outcome).observe(max(0.0, took.total_seconds()))
        if job.state.is_terminal:
            self._metrics.jobs.labels(job.state).inc()
        return job

    def fail_unsupervised(self, job_id: str, reason: Reason) -> bool:
        """Count the job."""
        has_failed = super().fail_unsupervised(job_id, reason)
        if has_failed:
            self._metrics.jobs.labels(JobState.FAILED).inc()
        return has_failed

    def take_sendable(self, host: Host, *, resend_after_seconds: float) -> Sequence[Job]:
        """Count the messages that are sent next."""
        jobs = super().take_sendable(host, resend_after_seconds=resend_after_seconds)
        self._metrics.resends.inc(len(jobs))
        return jobs

    def alert_sent(self, alert: Alert) -> None:
        """Count it."""
        super().alert_sent(alert)
        self._metrics.alerts_sent.labels(alert.channel, alert.event).inc()

    def alert_failed(self, alert: Alert, *, retry_in_seconds: float | None, cause: str = "") -> None:
        """Count one that is given up."""
        super().alert_failed(alert, retry_in_seconds=retry_in_seconds, cause=cause)
        if retry_in_seconds is None:
            self._metrics.alerts_given_up.labels(alert.channel, alert.event).inc()

    @contextmanager
    def _fenced(self, claim: Claim) -> Iterator[tuple[Transaction, sa.Row[Any]]]:
        """Count refused writes: every write that needs a claim goes through here.

        A renewal that comes after the attempt's own end is refused too, but not counted.
        """
        try:
            with super()._fenced(claim) as held:
                yield held
        except LeaseLost:
            self._count_refusal(_key(claim))
            raise

    def _count_refusal(self, key: tuple[str, int]) -> None:
        with self._lock:
            was_lost = self._is_lost.get(key)
            if was_lost is None:
                return
            self._is_lost[key] = True
        self._metrics.fenced_writes.inc()
        if not was_lost:
            self._metrics.lease_losses.inc()


def _key(claim: Claim) -> tuple[str, int]:
    return claim.job.id, claim.token
