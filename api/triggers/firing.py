"""Fires a trigger because somebody asks for it: its policy does not count."""

import logging
import uuid
from datetime import UTC, datetime

from api.http.request_ids import request_id
from api.permission import permitted_for
from api.services import Services
from api.submission import check_alert_channels, check_git_uri_is_allowed, check_resources, own_key, send
from shared.errors import JobNotFound
from shared.jobs.records import Submission
from shared.jobs.triggers import Occurrence
from shared.logs import job_context
from shared.requests.retrain_request import RetrainRequest
from shared.triggers.new_jobs import made_by, new_job, with_gpus

logger = logging.getLogger(__name__)


def fire(name: str, *, reason: str, key: str | None, services: Services) -> Submission:
    """Record the job of the template and send it; if the key was used for this trigger, return that job."""
    trigger = services.store.get_trigger(name)
    template = RetrainRequest.from_record(trigger.template)
    check_alert_channels(template.alerts.to or (), services.settings, pointer="/template/alerts/to")
    check_resources(template.resources, services.settings, below="/template")
    check_git_uri_is_allowed(template.git_uri, services.settings, below="/template")
    request = permitted_for(trigger, with_gpus(template, services.settings.default_gpus), services, below="/template")
    # Apart from the keys of ticks and senders, so that no request can take the place of one of those.
    own = str(uuid.uuid4()) if key is None else own_key(key)
    occurrence = Occurrence(f"fire {own}", datetime.now(UTC), facts={"reason": reason} if reason else {})
    by = {"trigger": name, "kind": "fire", "key": occurrence.key, "at": f"{occurrence.at:%Y-%m-%dT%H:%M:%SZ}"}
    new = new_job(
        request,
        services.settings,
        secret=services.store.secret_of_trigger(name),
        request_id=request_id(),
        **made_by(trigger),
        trigger_name=name,
        triggered_by={**by, "facts": dict(occurrence.facts)},
    )
    settled = services.store.fire_trigger(name, occurrence, new)
    if settled.job is None:
        raise JobNotFound("The job of this firing was deleted since; use another Idempotency-Key.", trigger=name)
    if settled.job.id != new.id:
        return Submission(settled.job, created=False)
    with job_context(new):
        logger.info("trigger fired by request", extra={"trigger": name, "reason": reason})
        send(settled.job, services)
    return Submission(settled.job, created=True)
