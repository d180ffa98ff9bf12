"""GET /jobs/<id>/logs."""

from dataclasses import dataclass
from typing import Annotated

from flask import Response, request
from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema, model_validator

from api.access.authorisation import current_caller
from api.access.finding import find_job_id
from api.http.errors import AttemptNotFound, TooManyFollowers
from api.http.models import Query
from api.live.following import Position
from api.live.log_stream import EVENT_STREAM, PLAIN_TEXT, log_stream, place_of
from api.live.log_text import LONGEST, skip_partial_start, without_partial_end
from api.operations.answers import Answer, Tag
from api.operations.operation import operation
from api.services import Services, services
from api.views.jobs.job import JobPath
from shared.access.roles import Right
from shared.errors import JobNotFound
from shared.jobs.model import Attempt, Job
from shared.jobs.records import LogSlice
from shared.jobs.store import JobStore

DEFAULT_LIMIT_BYTES = 2**20
MAX_LOG_BYTES = 8 * 2**20
EVENT_ID = r"^(\d{1,6}:)?\d{1,18}$"
AFTER_NOTHING = {"type": "string", "maxLength": 0}  # no event yet
EVENT_ID_SCHEMA = {"anyOf": [{"type": "string", "pattern": EVENT_ID}, AFTER_NOTHING, {"type": "null"}]}
LOG_HEADERS = {
    "X-Log-Attempt": "The attempt whose log this is; 0 while there is none.",
    "X-Log-Offset": "Where in the log the answer begins, in bytes.",
    "X-Log-Next-Offset": "The offset to ask for next.",
    "X-Log-Size": "Bytes in the log so far.",
}


class LogQuery(Query):
    """Which part of a log to read."""

    attempt: int | None = Field(None, ge=1, description="The attempt's number; the last one by default.")
    offset: int | None = Field(None, ge=0, description="Byte to begin at: X-Log-Next-Offset of the answer before.")
    tail: int | None = Field(None, ge=1, le=MAX_LOG_BYTES, description="Only so many last bytes; instead of offset.")
    limit: int | None = Field(
        None, ge=16, le=MAX_LOG_BYTES, description="Bytes to answer at most; by default 1 MiB, or what tail asks for."
    )
    follow: bool = Field(
        False, description="Go on as it is written, until the job has ended (the attempt, where one is named)."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> "LogQuery":
        if self.offset is not None and self.tail is not None:
            raise ValueError("takes offset or tail, not both")
        if self.follow and self.limit is not None:
            raise ValueError("takes follow or limit, not both")
        return self


class LogHeaders(BaseModel):
    """Headers of a read of a log."""

    last_event_id: Annotated[
        str | None, BeforeValidator(lambda sent: sent or None), WithJsonSchema(EVENT_ID_SCHEMA)
    ] = Field(
        None,
        alias="Last-Event-ID",
        pattern=EVENT_ID,
        description="The last event's id: the stream goes on behind it, whatever offset or tail say. Where attempt is "
        "given, too, it must be of that attempt.",
    )


@dataclass(frozen=True)
class Part:
    """The part of a log in an answer."""

    offset: int
    data: bytes

    @property
    def next_offset(self) -> int:
        """Where the next part begins."""
        return self.offset + len(self.data)


@operation(
    "GET /jobs/<job_id>/logs",
    Answer(
        "Part of the log; or, without these headers, the log as it is written.",
        headers=LOG_HEADERS,
        media_types=(PLAIN_TEXT, EVENT_STREAM),
    ),
    tag=Tag.JOBS,
    needs=Right.READ,
    raises=[JobNotFound, AttemptNotFound, TooManyFollowers],
)
def get_job_log(path: JobPath, query: LogQuery, header: LogHeaders) -> Response:
    """Read what an attempt printed.

    With `follow=1` the answer grows as the log is written, attempt after attempt unless one is named, until the end.
    With `Accept: text/event-stream` it does so as server-sent events. The `data` of each is whole lines, without the
    last line end; its `id` is the offset after them (for a later attempt: the attempt's number, a colon, the offset).
    If it is sent back as `Last-Event-ID`, the stream resumes there, without gap or repetition, even after a restart of
    the service; browsers do that automatically. An event `attempt` says that a later attempt's log begins, `end` that
    the log has ended.

    To follow it by polling, ask again with `offset` set to the `X-Log-Next-Offset` of the previous answer; the answer
    is empty while there is nothing new, and never ends inside a character. The log of a job without attempts is empty.
    """
    as_events = request.accept_mimetypes.best_match([PLAIN_TEXT, EVENT_STREAM]) == EVENT_STREAM
    here = services()
    job_id = find_job_id(here.store, path.job_id)
    if query.follow or as_events:
        return follow_log(here, job_id, query, header.last_event_id, as_events=as_events)
    return read_part(here.store, job_id, query)


def follow_log(here: Services, job_id: str, query: LogQuery, last_event_id: str | None, *, as_events: bool) -> Response:
    """Return the log from the requested position on, as it is written."""
    job = here.store.get(job_id)
    if last_event_id:
        place = place_of(last_event_id, attempt=query.attempt)
        find_attempt(job, place.attempt)
    else:
        attempt = find_attempt(job, query.attempt)
        place = Position(attempt.number if attempt else 1, first_byte(here.store, job_id, query))
    follower = here.following.join(
        job,
        peer=request.remote_addr or "",
        caller=current_caller().name,
        is_shut_out=here.watch(request),
    )
    return log_stream(follower, place, is_one_attempt=query.attempt is not None, as_events=as_events)


def first_byte(store: JobStore, job_id: str, query: LogQuery) -> int:
    """Return the requested offset; a tail begins at a character."""
    if query.tail is None:
        return query.offset or 0
    log = store.read_log(job_id, attempt=query.attempt, offset=-query.tail, limit=LONGEST)
    return log.offset + skip_partial_start(log.data)


def read_part(store: JobStore, job_id: str, query: LogQuery) -> Response:
    """Return part of the log as it is now."""
    attempt = find_attempt(store.get(job_id), query.attempt)
    number = attempt.number if attempt else None
    offset = -query.tail if query.tail else query.offset or 0
    limit = query.limit or query.tail or DEFAULT_LIMIT_BYTES
    log = store.read_log(job_id, attempt=number, offset=offset, limit=limit)
    is_over = attempt is not None and attempt.ended_at is not None
    part = cut_between_characters(log, is_tail=query.tail is not None, is_over=is_over)
    response = Response(part.data, content_type=f"{PLAIN_TEXT}; charset=utf-8")
    response.headers["X-Log-Attempt"] = str(log.attempt)
    response.headers["X-Log-Offset"] = str(part.offset)
    response.headers["X-Log-Next-Offset"] = str(part.next_offset)
    response.headers["X-Log-Size"] = str(log.size)
    return response


def find_attempt(job: Job, number: int | None) -> Attempt | None:
    """Return the attempt with this number, or the last one; None while there is none."""
    if number is None:
        return job.attempts[-1] if job.attempts else None
    for attempt in job.attempts:
        if attempt.number == number:
            return attempt
    raise AttemptNotFound(f"Job {job.id} has no attempt {number}; it has {len(job.attempts)}.", job_id=job.id)


def cut_between_characters(log: LogSlice, *, is_tail: bool, is_over: bool) -> Part:
    """Cut no character in two: a tail begins at one, and an answer ends after one, unless the log itself does not."""
    skipped = skip_partial_start(log.data) if is_tail else 0
    data = log.data[skipped:]
    reaches_end = log.offset + len(log.data) >= log.size
    return Part(log.offset + skipped, data if reaches_end and is_over else without_partial_end(data))
