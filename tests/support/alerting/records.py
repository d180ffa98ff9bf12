"""News as tests tell them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.alerts.destinations import Destination
from shared.alerts.kinds import kinds
from shared.alerts.model import Alert, AlertEvent, ModelLine
from shared.errors import Code, FailureType
from shared.jobs.model import Attempt, Job, Reason
from shared.jobs.promotions import CHAMPION, Event, HistoryLine, Kind, Promotion, PromotionState
from shared.links import Links
from shared.sql.outbox import TOLD_OF_MODELS
from tests.support.jobs import HOST
from worker.alerts.seam import ModelNews, News

AT = datetime(2030, 1, 1, 12, tzinfo=UTC)
PROMOTION_ID = "0f0a9bd2-2b64-4f4f-8a32-5c1f5a2f6a11"
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
BETTER = {**DECISION, "promoted": True, "challenger": 0.9622, "champion": 0.8578, "direction": "higher_is_better"}
LINES = {told: event for event, told in TOLD_OF_MODELS.items()}
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


def a_line(event: Event, text: str = "digits", **fields: Any) -> HistoryLine:
    """A line of a model's history, about its version 7 after version 6."""
    line = HistoryLine(9, PROMOTION_ID, AT, text, CHAMPION, event, Kind.TRAINING, "7", "6", f"job {JOB_ID}", "", JOB_ID)
    return replace(line, **{"reason": "promoted: 0.9622 > 0.8578", **fields})


def about_model(line: HistoryLine, **fields: Any) -> ModelNews:
    """What an alert tells of it; the fields are the promotion's."""
    is_wanted = line.event is Event.APPROVAL_WANTED
    usual = {name: getattr(line, name) for name in ("model", "alias", "kind", "version", "before", "actor", "reason")}
    usual |= {"job_id": line.job_id, "attempt": 1, "decision": BETTER, "id": line.promotion_id, "created_at": AT}
    usual |= {"state": PromotionState.AWAITING_APPROVAL if is_wanted else PromotionState.PROMOTED}
    usual |= {"expires_at": AT + timedelta(days=7) if is_wanted else None}
    return ModelNews(line, Promotion(**{**usual, **fields}))


def model_news(told: ModelNews, *, job: Job | None = None) -> News:
    """An alert about a model."""
    line, event = told.line, TOLD_OF_MODELS[told.line.event]
    of = ModelLine(line.number, line.promotion_id, line.model, line.alias)
    return News(Alert(line.job_id, 0, event, "discord", AT, AT, tries=1, line=of), job, model=told)


def news(event: AlertEvent, *, output: str = "", job: Job | None = None, **fields: Any) -> News:
    """An alert about the job's first attempt, or its model."""
    if event in LINES:
        told = model_news(about_model(a_line(LINES[event])), job=job or a_job(result=RESULT))
        return replace(told, alert=replace(told.alert, **fields))
    told_job = job or a_job(result=RESULT if event is AlertEvent.SUCCEEDED else None)
    alert = Alert(told_job.id, 1, event, "discord", AT, AT, tries=1)
    return News(replace(alert, **fields), told_job, output)
