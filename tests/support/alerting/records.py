"""News as tests tell them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.alerts.destinations import Destination
from shared.alerts.kinds import kinds
from shared.alerts.model import Alert, AlertEvent
from shared.errors import Code, FailureType
from shared.jobs.model import Attempt, Job, Reason
from shared.links import Links
from tests.support.jobs import HOST
from worker.alerts.seam import News

AT = datetime(2030, 1, 1, 12, tzinfo=UTC)
JOB_ID = "96d46092-ca69-42c5-b9db-fd6fe51ed556"
SHA = "0123456789abcdef0123456789abcdef01234567"
LINKS = Links(mlflow="https://mlflow.example", flower="https://flower.example", api="https://retrain.example")
DECISION = {
    "promoted": False,
    "reason": "not promoted: 0.8578 < 0.9622",
    "metric": "accuracy",
    "challenger": 0.8578,
    "champion": 0.9622,
}
RESULT = {
    "metrics": {"accuracy": 0.8578, "loss": "NaN"},
    "model_versions": [{"name": "digits", "version": "7"}],
    "decision": DECISION,
}
EXITED = Reason(Code.NONZERO_EXIT, FailureType.USER_ERROR, "Training ended with exit code 1.")


def a_destination(kind: str = "discord", **fields: Any) -> Destination:
    """The channel of this kind that all jobs go to, as these settings make it."""
    settings = kinds()[kind].load(_env_file=None, **fields)
    return Destination(kind, kind, settings, settings.address, is_default=True)


def a_job(**fields: Any) -> Job:
    """A job with one attempt that ran for an hour."""
    attempt = Attempt(1, HOST, AT, ended_at=AT + timedelta(seconds=3723), run_id="run1", reason=fields.get("reason"))
    usual = {
        "id": JOB_ID,
        "experiment_name": "iris",
        "model_name": "digits",
        "queue": "default",
        "priority": 4,
        "concurrency_key": "model:digits",
        "request": {"commit_hash": "main"},
        "commit_sha": SHA,
        "experiment_id": "3",
        "run_id": "run1",
        "attempts": (attempt,),
        "created_at": AT,
        "queued_at": AT,
    }
    return Job(**{**usual, **fields})


def news(event: AlertEvent, *, output: str = "", job: Job | None = None, **fields: Any) -> News:
    """An alert about the job's first attempt."""
    told = job or a_job(result=RESULT if event is AlertEvent.SUCCEEDED else None)
    alert = Alert(told.id, 1, event, "discord", AT, AT, tries=1)
    return News(replace(alert, **fields), told, output)
