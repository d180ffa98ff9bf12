"""GET /jobs/<id> and POST /jobs/<id>/cancel."""

import logging
import math
import re
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from flask import Response, request
from pydantic import AfterValidator, BaseModel, Field, StrictBool

from api.access.finding import find_job_id, find_job_to_change, without_others
from api.examples import JOB
from api.http.models import Query, RequestBody
from api.operations.answers import JSON, Answer, Tag
from api.operations.operation import operation
from api.representation import etag
from api.schemas import Job
from api.services import Services, links, services
from shared.access.roles import Right
from shared.errors import JobEnded, JobNotFound, StateUnknown
from shared.jobs import model as records
from shared.jobs.model import SUPERVISED, JobState
from shared.queue import send_for_flower
from shared.scheduling.queue_position import QueuePosition

MAX_WAIT_SECONDS = 60
LONGEST_PAUSE_SECONDS = 5
JOB_ID = re.compile(r"[A-Za-z0-9-]{1,36}")
JOB_HEADERS = {
    "ETag": "Changes with all that is answered of the job; send it as If-None-Match.",
    "Retry-After": "Seconds until it is worth asking again.",
}

logger = logging.getLogger(__name__)


def _check_job_id(value: str) -> str:
    if not JOB_ID.fullmatch(value):  # saves a query, and PostgreSQL's text accepts no NUL
        raise JobNotFound("There is no such job. GET /jobs lists those that exist.", job_id=value)
    return value


class JobPath(BaseModel):
    """Which job."""

    job_id: Annotated[str, AfterValidator(_check_job_id)] = Field(
        description="The job's id, or its first characters: at least six, if no other job's id begins with them."
    )


class JobQuery(Query):
    """How to read a job."""

    wait: float = Field(
        0,
        ge=0,
        le=MAX_WAIT_SECONDS,
        description="Seconds to wait for the job to end or, with If-None-Match, to change. When many requests wait "
        "already, the answer comes at once. A change of the place in the queue alone does not end the wait.",
    )


class ReadHeaders(BaseModel):
    """Headers of a read."""

    if_none_match: str | None = Field(
        None,
        alias="If-None-Match",
        description="The ETag that you have: 304 while the job, with its place in the queue, is as it was.",
    )


class CancelRequest(RequestBody):
    """How to cancel."""

    force: StrictBool = Field(False, description="Kill the training at once, without a grace.")


@operation(
    "GET /jobs/<job_id>",
    Answer("The job.", Job, headers=JOB_HEADERS, example=JOB),
    Answer("The job is as it was.", status=HTTPStatus.NOT_MODIFIED, headers=JOB_HEADERS),
    tag=Tag.JOBS,
    needs=Right.READ,
    raises=[JobNotFound],
)
def get_job(path: JobPath, query: JobQuery, header: ReadHeaders) -> Response:
    """Read a job: its state and the reason, its attempts, and where its results are.

    While the job goes on, `Retry-After` says when to ask again. Better, ask with `?wait=60`: the answer comes as soon
    as the job has ended or, with `If-None-Match`, as soon as anything about it has changed, except for its place in
    the queue.

    While the job is `queued`, `queue` says what it waits for.
    """
    here = services()
    job_id = find_job_id(here.store, path.job_id)
    here.long_poll.wait(job_id, seconds=query.wait, seen=request.if_none_match)
    job, place = find_job(here, job_id)
    response = job_response(job, place)
    if header.if_none_match and request.if_none_match.contains_weak(etag(job, place)):
        response.status_code = HTTPStatus.NOT_MODIFIED
        response.set_data(b"")
        del response.headers["Content-Type"]
    return response


@operation(
    "POST /jobs/<job_id>/cancel",
    Answer("The job.", Job, HTTPStatus.ACCEPTED, JOB_HEADERS),
    tag=Tag.JOBS,
    needs=Right.SUBMIT,
    raises=[JobNotFound, JobEnded, StateUnknown],
)
def cancel_job(path: JobPath, body: CancelRequest) -> Response:
    """Cancel a job.

    A waiting job is cancelled at once and never starts. A running one is told to stop (SIGTERM), and is killed after a
    grace period; it is `cancelling` until then, and ends as `cancelled` unless it succeeded meanwhile. With
    `{"force": true}` it is killed without the grace period. The body may be omitted, and the request may be repeated.
    A submitter cancels its own jobs, an operator any.
    """
    here = services()
    job = here.store.cancel(find_job_to_change(here.store, path.job_id).id, force=body.force)
    logger.info("cancel requested", extra={"job_id": job.id, "state": job.state, "force": body.force})
    if job.state.is_terminal:
        send_for_flower(job, queue=here.queue)
    response = job_response(job)
    response.status_code = HTTPStatus.ACCEPTED
    return response


def find_job(here: Services, job_id: str) -> tuple[records.Job, QueuePosition | None]:
    """Return the job and, while it is queued, its position."""
    job = here.known_jobs.get(job_id)
    if job.state is not JobState.QUEUED:
        return job, None
    place = here.store.find_queue_position(job_id)
    return (
        (job, without_others(here.store, place)) if place else (here.known_jobs.get(job_id), None)
    )  # it was claimed between the two reads


def job_response(job: records.Job, place: QueuePosition | None = None) -> Response:
    """Return the job with its ETag, and when to ask again."""
    response = Response(services().known_jobs.answer(job, links(), place), mimetype=JSON)
    response.set_etag(etag(job, place))
    if not job.state.is_terminal:
        response.headers["Retry-After"] = str(pause_seconds(job, datetime.now(UTC)))
    return response


def pause_seconds(job: records.Job, now: datetime) -> int:
    """Return after how many seconds to ask again: soon while it runs; the longer it has waited, the later."""
    if job.state in SUPERVISED:
        return 1
    if job.state is JobState.RETRY_WAIT and job.next_attempt_at is not None:
        seconds = (job.next_attempt_at - now).total_seconds()
    else:
        seconds = (now - job.queued_at).total_seconds()
    return max(1, min(LONGEST_PAUSE_SECONDS, math.ceil(seconds)))
