"""Makes the job that a request asks for: the same for a person's request and for a trigger's."""

import uuid
from typing import Any

from shared.jobs.model import NewJob
from shared.jobs.triggers import Trigger
from shared.requests.retrain_request import RetrainRequest
from shared.settings import Settings


def with_gpus(request: RetrainRequest, default: int) -> RetrainRequest:
    """Return the request with the operator's number of GPUs, unless it says one. A retry keeps what the job had."""
    if "gpus" in request.resources.model_fields_set:
        return request
    return request.model_copy(update={"resources": request.resources.model_copy(update={"gpus": default})})


def made_by(trigger: Trigger) -> dict[str, Any]:
    """Return whose the trigger's jobs are: its maker's, whoever fires it."""
    return {"submitted_by": trigger.submitted_by, "team": trigger.team, "roles": trigger.roles}


def new_job(clean: RetrainRequest, settings: Settings, *, secret: bytes | None, **facts: Any) -> NewJob:
    """Return the job of a request without credentials, which come encrypted; ``facts`` are other fields of it."""
    wish = clean.timeouts.queue_seconds
    return NewJob(
        id=str(uuid.uuid4()),
        experiment_name=clean.experiment_name,
        model_name=clean.model_name,
        queue=clean.queue,
        priority=clean.priority,
        concurrency_key=clean.effective_concurrency_key,
        request=clean.as_record(),
        labels=clean.labels,
        queue_timeout_seconds=settings.queue_timeout_seconds if wish is None else wish,
        secret=secret,
        gpus=clean.resources.gpus,
        wanted_host=clean.resources.host,
        wanted_labels=tuple(sorted(clean.resources.host_labels)),
        **facts,
    )
