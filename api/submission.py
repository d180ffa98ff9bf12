"""Turns a valid request into a job, records it, and sends it to the queue."""

import hashlib
import json
import logging
from collections.abc import Collection, Mapping
from typing import Any

from api.access.authorisation import current_caller
from api.access.finding import check_models
from api.http.errors import FieldError, InvalidRequest
from api.http.request_ids import request_id
from api.permission import permitted
from api.services import Services
from shared.access.callers import CallerKind
from shared.addresses.git_uri import AllowedAddresses, parse_git_uri
from shared.errors import StoreUnavailable
from shared.jobs.model import Job, NewJob
from shared.jobs.records import Submission
from shared.jobs.waiting_limits import USUAL_QUEUE
from shared.logs import job_context
from shared.queue import send_or_leave_to_sweep
from shared.requests.parts import Resources, memory_bytes
from shared.requests.retrain_request import RetrainRequest
from shared.settings import Settings
from shared.triggers.new_jobs import new_job, with_gpus

SHARE_KEYS = (CallerKind.MACHINE, CallerKind.ENVIRONMENT)
MOST_NAMED = 30

logger = logging.getLogger(__name__)


def submit(request: RetrainRequest, *, idempotency_key: str | None, services: Services) -> Submission:
    """Create a job from the request and accept it."""
    check_alert_channels(request.alerts.to or (), services.settings, pointer="/alerts/to")
    check_resources(request.resources, services.settings)
    # Without defaults, so that a repeated request stays the same although a later version has new fields.
    payload = request.without_credentials()[0].model_dump(mode="json", exclude_defaults=True)
    new = make_job(with_gpus(request, services.settings.default_gpus), services)
    return accept(new, idempotency_key=idempotency_key, payload=payload, services=services)


def accept(new: NewJob, *, idempotency_key: str | None, payload: Mapping[str, Any], services: Services) -> Submission:
    """Record the job and send it; if the key was used for the same payload, return that job."""
    key = own_key(idempotency_key) if idempotency_key is not None else None
    submission = services.store.submit(new, idempotency_key=key, payload_hash=payload_hash(payload))
    if submission.created:
        with job_context(new):
            facts = {"experiment_name": new.experiment_name, "retry_of": new.retry_of}
            logger.info("job accepted", extra=facts)
            send(submission.job, services)
    return submission


def make_job(request: RetrainRequest, services: Services) -> NewJob:
    """Return the requested job, with credentials encrypted; raise InvalidRequest for a forbidden address."""
    check_git_uri_is_allowed(request.git_uri, services.settings)
    check_queue(request.queue, services)
    request = permitted(request, services)
    clean, secrets = request.without_credentials()
    check_models(services.store, (clean.model_name, clean.base_model))
    maker = vars(current_caller().as_maker)
    return new_job(clean, services.settings, secret=services.vault.seal(secrets), request_id=request_id(), **maker)


def check_git_uri_is_allowed(git_uri: str, settings: Settings, *, below: str = "") -> None:
    """Refuse at once an address that every worker would refuse later."""
    allowed = AllowedAddresses(settings.git_schemes, settings.git_hosts, settings.git_private_networks)
    if refusal := allowed.refusal(parse_git_uri(git_uri), what="git_uri"):
        raise InvalidRequest([FieldError("body", f"{below}/git_uri", refusal.message, "NOT_ALLOWED")])


def check_resources(resources: Resources, settings: Settings, *, below: str = "") -> None:
    """Refuse at once resources that no host gives an attempt; ``below`` is where in the body they are."""
    most_bytes, most_cpus = settings.attempt_memory_most_bytes, settings.attempt_cpus_most
    if most_bytes and resources.memory and memory_bytes(resources.memory) > most_bytes:
        message = f"asks for more memory than an attempt may have here: {most_bytes} bytes (ATTEMPT_MEMORY_MOST_BYTES)"
        raise InvalidRequest([FieldError("body", f"{below}/resources/memory", message, "OVER_MAXIMUM")])
    if most_cpus and resources.cpus and resources.cpus > most_cpus:
        message = f"asks for more cores than an attempt may have here: {most_cpus:g} (ATTEMPT_CPUS_MOST)"
        raise InvalidRequest([FieldError("body", f"{below}/resources/cpus", message, "OVER_MAXIMUM")])


def check_queue(name: str, services: Services, *, below: str = "") -> None:
    """Refuse a queue that nobody knows: each is a series of metrics, and most often a slip of the pen."""
    known: Collection[str] = services.settings.queues
    if name in known or (name == USUAL_QUEUE and not known):
        return
    if not known:
        found = services.store.known_queues()
        if found.has_room_for(name):
            return
        known = found.names
    names = ", ".join(sorted(known)[:MOST_NAMED])
    message = f"queue is not known here; known are {names} (the operator's QUEUES, or a worker's WORKER_QUEUES)"
    raise InvalidRequest([FieldError("body", f"{below}/queue", message, "UNKNOWN_QUEUE")])


def own_key(key: str) -> str:
    """Return the caller's Idempotency-Key as it is recorded: no other caller's is the same.

    Those of API_TOKENS and programs on this machine share the keys as they send them, as before callers had names.
    """
    caller = current_caller()
    if caller.kind in SHARE_KEYS:
        return key
    return f"of {hashlib.sha256(f'{caller.name} {key}'.encode()).hexdigest()}"


def check_alert_channels(names: Collection[str], settings: Settings, *, pointer: str) -> None:
    """Refuse unknown channel names. A job that was accepted earlier may still name a removed one."""
    unknown, known = sorted({*names} - settings.alert_channels), sorted(settings.alert_channels)
    if unknown:
        there_are = f"known are {', '.join(known)}" if known else "none are set up (the operator's ALERT_WEBHOOKS)"
        message = f"{pointer[1:].replace('/', '.')} names no alert channel of this service: {', '.join(unknown)}"
        raise InvalidRequest([FieldError("body", pointer, f"{message}; {there_are}", "UNKNOWN_CHANNEL")])


def payload_hash(request: Mapping[str, Any]) -> str:
    """Return a hash that is the same for the same request, in whatever order and with whatever defaults it is sent."""
    canonical = json.dumps(request, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def send(job: Job, services: Services) -> None:
    """Send a recorded job to the queue, or leave it to the sweep."""
    try:
        send_or_leave_to_sweep(job, queue=services.queue, unmark=services.store)
    except StoreUnavailable as error:  # the job is recorded: an error now would make the caller send it twice
        logger.warning("job left to the sweep", extra={"cause": error.message})
