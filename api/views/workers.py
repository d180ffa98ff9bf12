"""GET /workers."""

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.types import ResponseDict

from api.documented import BEARER, WORKERS, answer, problems
from api.queries import WorkersQuery
from api.schemas import Worker, WorkerList
from api.services import services
from api.views.jobs import json_response
from shared import figures

blueprint = APIBlueprint("workers", __name__, abp_tags=[WORKERS], abp_security=BEARER)

LIST_RESPONSES: ResponseDict = {200: answer("All workers, by the names of their hosts.", WorkerList), **problems()}


@blueprint.get("/workers", responses=LIST_RESPONSES, operation_id="listWorkers")
def list_workers(query: WorkersQuery) -> Response:
    """List the hosts' workers: whether they are there, what they offer, and what they run.

    A worker that is `silent` gave no sign of life for a minute, and may come back; one that is `lost` has been silent
    for so long that its jobs go to other hosts, as new attempts. `left` has signed off. Its jobs may train on: the next
    worker on that host goes on with them.
    """
    here = services()
    lost_after_seconds = here.settings.host_lost_after_seconds
    shown = [represent(worker, lost_after_seconds) for worker in here.store.list_workers()]
    return json_response(WorkerList(workers=shown))


def represent(worker: figures.Worker, lost_after_seconds: float) -> Worker:
    """The worker as it is answered."""
    host = worker.host
    return Worker(
        host=host.name,
        state=worker.state(lost_after_seconds=lost_after_seconds),
        seen_at=worker.seen_at,
        queues=tuple(sorted(host.queues)),
        runner=host.runner,
        slots=host.slots,
        used_slots=len(worker.running),
        gpus=host.gpus,
        used_gpus=worker.used_gpus,
        closed_because=host.closed_because,
        jobs=tuple(job.id for job in worker.running),
    )
