"""GET /healthz and GET /readyz: for load balancers and people; no token needed."""

import logging
from collections.abc import Callable
from typing import Literal

from pydantic import Field

from api.http.errors import NotReady, Readiness
from api.http.models import AnswerBody
from api.operations.answers import Answer, Tag
from api.operations.operation import operation
from api.services import Services, services
from shared.errors import QueueUnavailable, StoreUnavailable
from shared.scheduling.hosts import LIVE_SECONDS

logger = logging.getLogger(__name__)


class Health(AnswerBody):
    """The process is alive."""

    status: Literal["ok"] = "ok"


class Ready(AnswerBody):
    """Requests can be served."""

    status: Literal["ready"] = "ready"
    store: Literal["ok"]
    redis: Literal["ok"]
    mlflow: Literal["ok", "unavailable"] = Field(
        description="Whether the tracking server answers: jobs are accepted without it, but what begins to train "
        "meanwhile fails (TRACKING_UNAVAILABLE), and is tried again as the job's retry says."
    )
    live_workers: int = Field(description="Workers that sent a heartbeat within a minute; none are needed.")


@operation("GET /healthz", Answer("Alive.", Health), tag=Tag.HEALTH, needs=None)
def health() -> Health:
    """Check that the API's process is alive.

    It checks nothing else: a failed store is not a reason to restart the API.
    """
    return Health()


@operation("GET /readyz", Answer("Both answer.", Ready), tag=Tag.HEALTH, raises=[NotReady], needs=None)
def readiness() -> Ready:
    """Check that the job store and Redis accept writes.

    The state of MLflow and the number of live workers are for your information: jobs are accepted without either. After
    a start of all, wait for `"mlflow": "ok"` before a job that may not be tried again.
    """
    found = look(services())
    if found.missing:
        raise NotReady(found)
    return Ready.model_validate(found)


def look(here: Services) -> Readiness:
    """Write to the store and to Redis, and ask MLflow."""
    store, redis = _state(here.store.ping), _state(here.queue.ping)
    workers = here.store.live_workers(within_seconds=LIVE_SECONDS) if store == "ok" else None
    mlflow = "ok" if here.registry.answers() else "unavailable"
    return Readiness(store=store, redis=redis, mlflow=mlflow, live_workers=workers)


def _state(ping: Callable[[], None]) -> str:
    try:
        ping()
    except (StoreUnavailable, QueueUnavailable) as error:
        logger.warning("not ready", extra={"cause": error.message})
        return "unavailable"
    return "ok"
