"""GET /jobs/<id>/logs."""

from dataclasses import dataclass
from http import HTTPStatus

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.types import ResponseDict

from api.documented import BEARER, JOBS, problems, text
from api.errors import AttemptNotFound
from api.log_text import skip_partial_start, without_partial_end
from api.queries import JobPath, LogQuery
from api.services import services
from shared.jobs import Attempt, Job
from shared.store import LogSlice

blueprint = APIBlueprint("logs", __name__, abp_tags=[JOBS], abp_security=BEARER)

DEFAULT_LIMIT_BYTES = 2**20
LOG_RESPONSES: ResponseDict = {
    200: text("Part of the log.", "X-Log-Attempt", "X-Log-Offset", "X-Log-Next-Offset", "X-Log-Size"),
    **problems(HTTPStatus.NOT_FOUND),
}


@dataclass(frozen=True)
class Part:
    """What is answered of a log."""

    offset: int
    data: bytes

    @property
    def next_offset(self) -> int:
        """Where the next part begins."""
        return self.offset + len(self.data)


@blueprint.get("/jobs/<job_id>/logs", responses=LOG_RESPONSES, operation_id="getJobLog")
def get_log(path: JobPath, query: LogQuery) -> Response:
    """Read what an attempt printed.

    To follow it, ask again with `offset` set to the `X-Log-Next-Offset` of the answer before; it is empty while there
    is nothing new. An answer never ends inside a character. The log of a job without attempts is empty.
    """
    store = services().store
    attempt = find_attempt(store.get(path.job_id), query.attempt)
    number = attempt.number if attempt else None
    offset = -query.tail if query.tail else query.offset or 0
    limit = query.limit or query.tail or DEFAULT_LIMIT_BYTES
    log = store.read_log(path.job_id, attempt=number, offset=offset, limit=limit)
    is_over = attempt is not None and attempt.ended_at is not None
    part = cut_between_characters(log, is_tail=query.tail is not None, is_over=is_over)
    response = Response(part.data, content_type="text/plain; charset=utf-8")
    response.headers["X-Log-Attempt"] = str(log.attempt)
    response.headers["X-Log-Offset"] = str(part.offset)
    response.headers["X-Log-Next-Offset"] = str(part.next_offset)
    response.headers["X-Log-Size"] = str(log.size)
    return response


def find_attempt(job: Job, number: int | None) -> Attempt | None:
    """The attempt of this number, or the last one; None while there is none."""
    if number is None:
        return job.attempts[-1] if job.attempts else None
    for attempt in job.attempts:
        if attempt.number == number:
            return attempt
    raise AttemptNotFound(f"Job {job.id} has no attempt {number}; it has {len(job.attempts)}.", job_id=job.id)


def cut_between_characters(log: LogSlice, *, is_tail: bool, is_over: bool) -> Part:
    """Keep a character together: a tail begins at one, and an answer ends behind one unless the log itself does not."""
    skipped = skip_partial_start(log.data) if is_tail else 0
    data = log.data[skipped:]
    reaches_end = log.offset + len(log.data) >= log.size
    return Part(log.offset + skipped, data if reaches_end and is_over else without_partial_end(data))
