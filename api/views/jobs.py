"""GET /jobs, GET /jobs/<id> and POST /jobs/<id>/cancel."""

import logging
import math
from datetime import UTC, datetime
from http import HTTPStatus

from flask import Response, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.types import ResponseDict
from pydantic import BaseModel

from api.openapi.answers import BEARER, JOBS, answer, problems
from api.paging import next_page
from api.queries import CancelRequest, JobPath, JobQuery, JobsQuery, ReadHeaders
from api.representation import etag, summary, whole_job
from api.schemas import Job, JobPage
from api.services import services
from shared.jobs import model as records
from shared.jobs.model import SUPERVISED, JobState
from shared.jobs.records import JobFilter
from shared.jobs.store import JobStore
from shared.links import Links
from shared.scheduling.queue_position import QueuePosition

blueprint = APIBlueprint("jobs", __name__, abp_tags=[JOBS], abp_security=BEARER)

LONGEST_PAUSE_SECONDS = 5

logger = logging.getLogger(__name__)

LIST_RESPONSES: ResponseDict = {200: answer("A page of jobs.", JobPage, "Link"), **problems()}
GET_RESPONSES: ResponseDict = {
    200: answer("The job.", Job, "ETag", "Retry-After"),
    304: answer("The job is as it was.", None, "ETag", "Retry-After"),
    **problems(HTTPStatus.NOT_FOUND),
}
CANCEL_RESPONSES: ResponseDict = {
    202: answer("The job.", Job, "ETag", "Retry-After"),
    **problems(
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    ),
}


@blueprint.get("/jobs", responses=LIST_RESPONSES, operation_id="listJobs")
def list_jobs(query: JobsQuery) -> Response:
    """List jobs, newest first.

    Filters are joined by "and". Follow `next` (or the `Link` header) to the next page; jobs that arrive meanwhile
    shift nothing. Jobs in a list come without their transitions, and `queue` has no more than its name.
    """
    here = services()
    found = here.store.list(job_filter(query), limit=query.limit + 1, after=query.cursor)
    shown, more = found[: query.limit], len(found) > query.limit
    following = next_page(request.path, request.args, shown[-1]) if more else None
    response = json_response(JobPage(jobs=[summary(job, here.links) for job in shown], next=following))
    if following:
        response.headers["Link"] = f'<{following}>; rel="next"'
    return response


@blueprint.get("/jobs/<job_id>", responses=GET_RESPONSES, operation_id="getJob")
def get_job(path: JobPath, query: JobQuery, header: ReadHeaders) -> Response:
    """Read a job: its state, why, its attempts, and where its results are.

    While the job goes on, `Retry-After` says when to ask again. Better, ask with `?wait=60`: the answer comes as soon
    as the job has ended or, with `If-None-Match`, as soon as anything about it has changed, except for its place in
    the queue.

    While the job is `queued`, `queue` says what it waits for.
    """
    here = services()
    here.long_poll.wait(path.job_id, seconds=query.wait, seen=request.if_none_match)
    job, place = find_job(here.store, path.job_id)
    response = job_response(job, here.links, place)
    if header.if_none_match and request.if_none_match.contains_weak(etag(job, place)):
        response.status_code = HTTPStatus.NOT_MODIFIED
        response.set_data(b"")
        del response.headers["Content-Type"]
    return response


@blueprint.post("/jobs/<job_id>/cancel", responses=CANCEL_RESPONSES, operation_id="cancelJob")
def cancel_job(path: JobPath, body: CancelRequest) -> Response:
    """Cancel a job.

    A job that waits is cancelled at once and never starts. One that trains is told to stop (SIGTERM), and is killed
    after a grace; it is `cancelling` until then, and ends as `cancelled` unless it succeeded meanwhile. With
    `{"force": true}` it is killed without the grace. Without a body, or asked twice, it is the same.
    """
    here = services()
    job = here.store.cancel(path.job_id, force=body.force)
    logger.info("cancel requested", extra={"job_id": job.id, "state": job.state, "force": body.force})
    response = job_response(job, here.links)
    response.status_code = HTTPStatus.ACCEPTED
    return response


def job_filter(query: JobsQuery) -> JobFilter:
    """What the store is asked for."""
    name, has_value, value = (query.label or "").partition("=")
    return JobFilter(
        states=frozenset(query.state) or None,
        experiment_name=query.experiment,
        model_name=query.model,
        label=(name, value if has_value else None) if query.label else None,
        created_after=query.created_after,
    )


def find_job(store: JobStore, job_id: str) -> tuple[records.Job, QueuePosition | None]:
    """The job and, while it is queued, its place."""
    job = store.get(job_id)
    if job.state is not JobState.QUEUED:
        return job, None
    place = store.find_queue_position(job_id)
    return (job, place) if place else (store.get(job_id), None)  # it was claimed between the two


def job_response(job: records.Job, links: Links, place: QueuePosition | None = None) -> Response:
    """The job with its ETag, and when to ask again."""
    response = json_response(whole_job(job, links, place))
    response.set_etag(etag(job, place))
    if not job.state.is_terminal:
        response.headers["Retry-After"] = str(pause_seconds(job, datetime.now(UTC)))
    return response


def json_response(body: BaseModel) -> Response:
    """The model as JSON; NaN and infinity as null."""
    return Response(body.model_dump_json(by_alias=True), mimetype="application/json")


def pause_seconds(job: records.Job, now: datetime) -> int:
    """When it is worth asking again: soon while it trains, and the later the longer it has waited for that."""
    if job.state in SUPERVISED:
        return 1
    if job.state is JobState.RETRY_WAIT and job.next_attempt_at is not None:
        seconds = (job.next_attempt_at - now).total_seconds()
    else:
        seconds = (now - job.queued_at).total_seconds()
    return max(1, min(LONGEST_PAUSE_SECONDS, math.ceil(seconds)))
