"""GET /healthz and GET /readyz: for load balancers and people; no token needed."""

import logging
from collections.abc import Callable
from http import HTTPStatus

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.types import ResponseDict

from api.http.errors import NotReady, Readiness
from api.openapi.answers import HEALTH, answer, problem
from api.schemas import Health, Ready
from api.services import Services, services
from api.views.jobs import json_response
from shared.errors import QueueUnavailable, StoreUnavailable
from shared.scheduling.hosts import LIVE_SECONDS

logger = logging.getLogger(__name__)

blueprint = APIBlueprint("health", __name__, abp_tags=[HEALTH])

HEALTH_RESPONSES: ResponseDict = {200: answer("Alive.", Health)}
READY_RESPONSES: ResponseDict = {
    200: answer("Both answer.", Ready),
    503: problem(
        HTTPStatus.SERVICE_UNAVAILABLE, code="NOT_READY", description="The job store or Redis does not answer."
    ),
}


@blueprint.get("/healthz", responses=HEALTH_RESPONSES, operation_id="health")
def health() -> Response:
    """Is the API's process alive?

    It asks nobody else: a failed store is no reason to restart the API.
    """
    return json_response(Health())


@blueprint.get("/readyz", responses=READY_RESPONSES, operation_id="readiness")
def readiness() -> Response:
    """Do the job store and Redis take writes?

    The number of live workers is for your information: jobs are accepted without any, and wait.
    """
    found = look(services())
    if found.missing:
        raise NotReady(found)
    return json_response(Ready.model_validate(found))


def look(here: Services) -> Readiness:
    """Write to the store and to Redis."""
    store, redis = _state(here.store.ping), _state(here.queue.ping)
    workers = here.store.live_workers(within_seconds=LIVE_SECONDS) if store == "ok" else None
    return Readiness(store=store, redis=redis, live_workers=workers)


def _state(ping: Callable[[], None]) -> str:
    try:
        ping()
    except (StoreUnavailable, QueueUnavailable) as error:
        logger.warning("not ready", extra={"cause": error.message})
        return "unavailable"
    return "ok"
