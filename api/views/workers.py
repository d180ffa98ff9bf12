"""GET /workers, and draining a host."""

import logging
from collections.abc import Collection
from typing import Annotated

from pydantic import BaseModel, Field

from api.access.authorisation import require_all_teams
from api.access.finding import ids_seen
from api.http.models import AnswerBody, NoQuery, RequestBody
from api.operations.answers import Answer, Tag
from api.operations.operation import operation
from api.schemas import Timestamp
from api.services import services
from shared.access.roles import Right
from shared.errors import HostNotFound
from shared.jobs import statistics
from shared.jobs.statistics import WorkerState
from shared.requests.texts import Text
from shared.scheduling.hosts import QueueCode

logger = logging.getLogger(__name__)


class Drain(AnswerBody):
    """A person's wish that a host take nothing new."""

    since: Timestamp
    reason: str


class Refused(AnswerBody):
    """A worker on another machine that was refused, because the host's name is in use."""

    machine: str
    at: Timestamp = Field(description="When it asked for the last time.")


class RunningJob(AnswerBody):
    """A job that runs on a host, and what is its alone there."""

    id: str
    gpus: tuple[str, ...] = Field(description="The GPUs that its attempt holds.")


class Worker(AnswerBody):
    """A host's worker, as it last described itself, and what that host runs."""

    host: str = Field(description="The machine.")
    state: WorkerState
    seen_at: Timestamp = Field(description="Its last heartbeat.")
    queues: tuple[str, ...] = Field(description="The queues that it serves.")
    runner: str = Field(description="docker, process, or another runner that is installed.")
    slots: int = Field(description="Attempts at the same time.")
    used_slots: int
    labels: tuple[str, ...] = Field(description="What jobs may ask for in resources.host_labels.")
    gpus: tuple[str, ...] = Field(description="The GPUs that it offers.")
    used_gpus: tuple[str, ...] = Field(description="Those that attempts hold.")
    closed_because: QueueCode | None = Field(description="Why it takes no new attempts, such as DISK_FULL.")
    drain: Drain | None = Field(description="What a person has asked for (POST /workers/<host>/drain).")
    machine: str | None = Field(description="The machine that has the host's name; null for an older worker.")
    refused: Refused | None = Field(
        description="Another machine that asked for the name: it needs its own WORKER_HOST."
    )
    jobs: tuple[str, ...] = Field(description="Ids of the jobs that it runs; of other teams' jobs none is told.")
    running: tuple[RunningJob, ...] = Field(description="The same jobs, with the GPUs of each.")


class WorkerList(AnswerBody):
    """All workers that sent a heartbeat within a week, or still have jobs."""

    workers: list[Worker]


class HostPath(BaseModel):
    """Which host."""

    host: str = Field(description="The host's name, as in GET /workers.")


class DrainRequest(RequestBody):
    """Why a host is to take nothing new."""

    reason: Annotated[Text, Field(max_length=500)] = Field(
        "", description="Why, for those whose jobs wait for it.", examples=["new GPUs on Friday"]
    )


DRAINED = Answer("The host's worker.", Worker)


@operation(
    "GET /workers", Answer("All workers, by the names of their hosts.", WorkerList), tag=Tag.WORKERS, needs=Right.READ
)
def list_workers(query: NoQuery) -> WorkerList:
    """List the hosts' workers: whether they are alive, what they offer, and what they run.

    A `silent` worker has sent no heartbeat for a minute, and may come back; a `lost` one has been silent for so long
    that its jobs go to other hosts, as new attempts. A worker that has `left` signed off. Its jobs may go on training:
    the next worker on that host takes them over.
    """
    store = services().store
    found = store.list_workers()
    seen = ids_seen(store, (job.id for worker in found for job in worker.running))
    return WorkerList(workers=[represent(worker, seen) for worker in found])


@operation("POST /workers/<host>/drain", DRAINED, tag=Tag.WORKERS, needs=Right.OPERATE, raises=[HostNotFound])
def drain_host(path: HostPath, body: DrainRequest) -> Worker:
    """Let a host take nothing new, such as before its maintenance.

    What runs there goes on to its end, even if the worker restarts; after this answer, no attempt begins there until
    `DELETE /workers/<host>/drain`. Once `used_slots` is 0, nothing runs there. Jobs that may run nowhere else wait, and
    say so (`DRAINED`). The body may be omitted. If the host is already drained, `since` stays, and so does the reason,
    unless another one is sent.
    """
    require_all_teams("Hosts")
    worker = services().store.drain(path.host, reason=body.reason)
    logger.info("host drained by request", extra={"host": path.host, "reason": body.reason})
    return represent(worker)


@operation("DELETE /workers/<host>/drain", DRAINED, tag=Tag.WORKERS, needs=Right.OPERATE, raises=[HostNotFound])
def undrain_host(path: HostPath, query: NoQuery) -> Worker:
    """Let a host take new attempts again.

    If it is not drained, nothing changes.
    """
    require_all_teams("Hosts")
    worker = services().store.undrain(path.host)
    logger.info("host no longer drained", extra={"host": path.host})
    return represent(worker)


def represent(worker: statistics.Worker, seen: Collection[str] | None = None) -> Worker:
    """Return the worker as the API answers it, of its jobs those that are seen; None for all."""
    host, lost_after_seconds = worker.host, services().settings.host_lost_after_seconds
    shown = [job for job in worker.running if seen is None or job.id in seen]
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
        jobs=tuple(job.id for job in shown),
        running=tuple(RunningJob(id=job.id, gpus=job.gpu_ids) for job in shown),
    )
