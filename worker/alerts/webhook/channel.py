"""Sends alerts to programs: signed JSON, posted to the operator's address."""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Self, cast

from shared.alerts.channels.webhook import Webhook as WebhookSettings
from shared.alerts.destinations import Destination
from shared.alerts.model import Trial
from shared.jobs.model import Job
from shared.links import Links
from shared.secrets.redactor import Redactor
from worker.alerts.posting import TRY, Endpoint, unreachable
from worker.alerts.seam import Answer, ModelNews, News
from worker.findings.finding import Finding, failure, ok
from worker.findings.network import ask

ID_HEADER = "X-Retrain-Alert-Id"
SIGNATURE_HEADER = "X-Retrain-Signature-256"
JOB_FIELDS = ("id", "state", "experiment_name", "model_name", "commit_sha", "run_id", "result")
LINE_FIELDS = ("model", "alias", "kind", "version", "before", "actor", "reason", "job_id")
TIMES = ("created_at", "started_at", "ended_at")


class Webhook:
    """Any webhook that accepts JSON."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        secret: str,
        links: Links,
        redactor: Redactor,
        headers: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._endpoint, self._headers = endpoint, headers
        self._secret = secret.encode()
        self._links = links
        self._redactor = redactor

    @classmethod
    def from_settings(cls, destination: Destination, *, links: Links, redactor: Redactor) -> Self:
        """Create the channel; all of this kind sign with the same secret."""
        secret = cast(WebhookSettings, destination.settings).alert_webhook_secret.get_secret_value()
        endpoint = Endpoint(destination.address, {})
        return cls(endpoint, secret=secret, links=links, redactor=redactor, headers=destination.headers)

    def send(self, news: News) -> Answer:
        """Post the alert. If it is sent again, it has the same id, and job and promotion as they are then."""
        return self._post(news.alert.id, self._redactor.within(self.body(news)))

    def send_trial(self, trial: Trial) -> Answer:
        """Post a test message: an event about no job or model."""
        nothing = {"attempt": 0, "retry_in_seconds": None, "job": None, "promotion": None}
        return self._post(trial.id, {"event": "test", "at": trial.at.isoformat(), **nothing})

    @classmethod
    def check(cls, destination: Destination) -> Finding:
        """Send HEAD, which no receiver takes for an alert; any answer shows that the receiver is there."""
        subject = f"alerts to {destination.name}"
        reply = ask("HEAD", destination.address)
        if reply.status is None:
            return failure(subject, f"does not answer: {reply.said}", unreachable(destination.variable))
        return ok(subject, f"answers. {TRY}")

    def _post(self, alert_id: str, content: Any) -> Answer:
        body = json.dumps(content).encode()
        headers = {**self._headers(), ID_HEADER: alert_id}
        if self._secret:
            headers[SIGNATURE_HEADER] = f"sha256={hmac.new(self._secret, body, hashlib.sha256).hexdigest()}"
        return self._endpoint.post(body, headers)

    def body(self, news: News) -> dict[str, Any]:
        """Return the alert's JSON."""
        alert = news.alert
        return {
            "event": alert.event,
            "at": alert.at.isoformat(),
            "attempt": news.attempt.number if news.attempt else alert.attempt,
            "retry_in_seconds": alert.retry_in_seconds,
            "job": self._job(news, news.job) if news.job else None,
            "promotion": _promotion(news.model) if news.model else None,
        }

    def _job(self, news: News, job: Job) -> dict[str, Any]:
        times = {name: getattr(job, name) for name in TIMES}
        return {
            **{name: getattr(job, name) for name in JOB_FIELDS},
            **{name: at.isoformat() if at else None for name, at in times.items()},
            "host": news.attempt.host if news.attempt else None,
            "labels": dict(job.labels),
            "trigger": job.trigger_name,
            "triggered_by": job.triggered_by,
            "reason": asdict(news.reason) if news.reason else None,
            "links": {
                "job": self._links.job_address(job),
                "page": self._links.job_page(job),
                "mlflow": self._links.run(job),
                "card": self._links.card(job) if news.is_decided else None,
            },
        }


def _promotion(told: ModelNews) -> dict[str, Any]:
    """Return the line of the history, with the promotion as it is now."""
    line, promotion, approval = told.line, told.promotion, told.approval
    return {
        **{name: getattr(line, name) for name in LINE_FIELDS},
        "id": promotion.id,
        "state": promotion.state,
        "approved_by": approval.actor if approval else None,
        "approval_reason": approval.reason if approval else None,
        "decision": dict(promotion.decision),
        "expires_at": promotion.expires_at.isoformat() if promotion.expires_at else None,
    }
