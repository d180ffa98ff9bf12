"""GET /workers, and draining a host."""

import logging
from http import HTTPStatus

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.types import ResponseDict

from api.openapi.answers import BEARER, WORKERS, answer, problem, problems
from api.queries import DrainRequest, HostPath, WorkersQuery
from api.schemas import Drain, Refused, Worker, WorkerList
from api.services import services
from api.views.jobs import json_response
from shared.jobs import statistics

blueprint = APIBlueprint("workers", __name__, abp_tags=[WORKERS], abp_security=BEARER)

LIST_RESPONSES: ResponseDict = {200: answer("All workers, by the names of their hosts.", WorkerList), **problems()}
DRAIN_RESPONSES: ResponseDict = {
    200: answer("The host's worker.", Worker),
    **problems(),
    404: problem(
        HTTPStatus.NOT_FOUND, code="HOST_NOT_FOUND", description="No worker of this host ever gave a sign of life."
    ),
}
BODY_RESPONSES: ResponseDict = problems(
    HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE
)

logger = logging.getLogger(__name__)


@blueprint.get("/workers", responses=LIST_RESPONSES, operation_id="listWorkers")
def list_workers(query: WorkersQuery) -> Response:
    """List the hosts' workers: whether they are there, what they offer, and what they run.

    A worker that is `silent` gave no sign of life for a minute, and may come back; one that is `lost` has been silent
    for so long that its jobs go to other hosts, as new attempts. `left` has signed off. Its jobs may train on: the next
    worker on that host goes on with them.
    """
    return json_response(WorkerList(workers=[represent(worker) for worker in services().store.list_workers()]))


@blueprint.post("/workers/<host>/drain", responses={**BODY_RESPONSES, **DRAIN_RESPONSES}, operation_id="drainHost")
def drain_host(path: HostPath, body: DrainRequest) -> Response:
    """Let a host take nothing new, such as before its maintenance.

    What runs there goes on to its end, also under a worker that is started anew; from this answer on no attempt begins
    there, until `DELETE /workers/<host>/drain`. When `used_slots` is 0, nothing runs there any more. Jobs that may run
    nowhere else wait, and say so (`DRAINED`). The body may be absent. Asked again, `since` stays, and so does the
    reason, unless another one is given.
    """
    worker = services().store.drain(path.host, reason=body.reason)
    logger.info("host drained by request", extra={"host": path.host, "reason": body.reason})
    return json_response(represent(worker))


@blueprint.delete("/workers/<host>/drain", responses=DRAIN_RESPONSES, operation_id="undrainHost")
def undrain_host(path: HostPath, query: WorkersQuery) -> Response:
    """Let a host take new attempts again.

    One that is not drained is left as it is.
    """
    worker = services().store.undrain(path.host)
    logger.info("host no longer drained", extra={"host": path.host})
    return json_response(represent(worker))


def represent(worker: statistics.Worker) -> Worker:
    """The worker as it is answered."""
    host, lost_after_seconds = worker.host, services().settings.host_lost_after_seconds
    return Worker(
        host=host.name,
        state=worker.state(lost_after_seconds=lost_after_seconds),
        seen_at=worker.seen_at,
        queues=tuple(sorted(host.queues)),
        runner=host.runner,
        slots=host.slots,
        used_slots=len(worker.running),
        labels=host.labels,
        gpus=host.gpus,
        used_gpus=worker.used_gpus,
        closed_because=host.closed_because,
        drain=Drain.model_validate(host.drain) if host.drain else None,
        machine=host.machine.says if host.machine else None,
        refused=Refused.model_validate(worker.refused) if worker.refused else None,
        jobs=tuple(job.id for job in worker.running),
    )
