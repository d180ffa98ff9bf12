"""GET /jobs."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from flask import Response
from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from api.access.authorisation import current_caller, team_seen
from api.http.models import Query
from api.operations.answers import Answer, Tag, json_response
from api.operations.operation import operation
from api.paging import decode_cursor, next_page
from api.representation import summary
from api.schemas import JobPage
from api.services import links, services
from shared.access.roles import Right
from shared.access.tokens import ME
from shared.jobs.model import JobState
from shared.jobs.records import Cursor, JobFilter

RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")

ID_START = re.compile(r"[0-9a-f-]{6,36}")
COMMIT_START = re.compile(r"[0-9a-f]{6,64}")


def _split(values: Any) -> Any:
    return [word for value in values for word in str(value).split(",")] if isinstance(values, list) else values


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _check_time(value: Any) -> Any:
    if isinstance(value, str) and not RFC_3339.fullmatch(value):
        raise ValueError("is not an RFC 3339 time, such as 2026-01-31T12:00:00Z (in a URL, '+' is written %2B)")
    return value


def _to_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is outside the years that a calendar has in UTC") from error


def _describe(**schema: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", **schema})


Filter = Annotated[str, Field(min_length=1, max_length=314, pattern=r"^[^\x00-\x1f\x7f]*$")]
Start = Annotated[str, BeforeValidator(_lower), Field(pattern=f"^{ID_START.pattern}$")]
Commit = Annotated[str, BeforeValidator(_lower), Field(pattern=f"^{COMMIT_START.pattern}$")]
Time = Annotated[
    datetime,
    BeforeValidator(_check_time),
    AfterValidator(_to_utc),
    _describe(format="date-time", example="2026-01-31T12:00:00Z"),
]


class JobsQuery(Query):
    """Which jobs to list."""

    state: Annotated[list[JobState], BeforeValidator(_split)] = Field(
        default_factory=list, description="Any of these states; repeat it, or separate them by commas."
    )
    experiment: Filter | None = Field(None, description="Jobs of this MLflow experiment.")
    model: Filter | None = Field(None, description="Jobs of this registered model.")
    trigger: Filter | None = Field(None, description="Jobs that this trigger fired.")
    submitted_by: Filter | None = Field(None, description="Jobs of this caller; me for your own.")
    team: Filter | None = Field(None, description="Jobs of this team.")
    id: Start | None = Field(None, description="Jobs whose id begins so: at least its first 6 characters.")
    commit: Commit | None = Field(
        None, description="Jobs of the commit whose SHA begins so: at least its first 6 characters."
    )
    host: Filter | None = Field(None, description="Jobs whose last attempt ran or runs on this host.")
    label: Filter | None = Field(None, description="A label's name, or name=value.")
    q: Filter | None = Field(
        None,
        description="What you would type into one box: the first 6 or more characters of an id or a commit; the whole "
        "name of a model, an experiment, a trigger or a host; or a label as name=value. Finds the jobs of which any of "
        "these is true.",
    )
    created_after: Time | None = Field(None, description="Jobs accepted after this RFC 3339 time.")
    limit: int = Field(50, ge=1, le=200, description="Jobs on a page.")
    cursor: Annotated[Cursor, BeforeValidator(decode_cursor), _describe()] | None = Field(
        None, description="Where the page begins: take it from the link to the next page."
    )


NEXT_PAGE = {"Link": 'The next page, as <…>; rel="next"; absent on the last one.'}


@operation("GET /jobs", Answer("A page of jobs.", JobPage, headers=NEXT_PAGE), tag=Tag.JOBS, needs=Right.READ)
def list_jobs(query: JobsQuery) -> Response:
    """List jobs, newest first.

    A job must match all filters. Follow `next` (or the `Link` header) to the next page; jobs that arrive meanwhile do
    not shift the pages. Jobs in a list have no transitions, and their `queue` has only its name.
    """
    here = services()
    where = job_filter(query)
    found = here.store.list(where, limit=query.limit + 1, after=query.cursor) if _may_be_seen(where) else ()
    shown, more = found[: query.limit], len(found) > query.limit
    following = next_page(shown[-1]) if more else None
    response = json_response(JobPage(jobs=[summary(job, links()) for job in shown], next=following))
    if following:
        response.headers["Link"] = f'<{following}>; rel="next"'
    return response


def job_filter(query: JobsQuery) -> JobFilter:
    """Return the filter for the store."""
    name, has_value, value = (query.label or "").partition("=")
    return JobFilter(
        states=frozenset(query.state) or None,
        experiment_name=query.experiment,
        model_name=query.model,
        trigger=query.trigger,
        submitted_by=current_caller().name if query.submitted_by == ME else query.submitted_by,
        team=query.team or team_seen(),
        label=(name, value if has_value else None) if query.label else None,
        id_start=query.id,
        commit_start=query.commit,
        host=query.host,
        any_of=_found_by(query.q.strip()) if query.q else (),
        created_after=query.created_after,
    )


def _found_by(words: str) -> tuple[JobFilter, ...]:
    """Return the ways in which a job may be what somebody typed."""
    name, has_value, value = words.partition("=")
    low = words.lower()
    return (
        *((JobFilter(label=(name, value)),) if has_value else ()),
        *((JobFilter(id_start=low),) if ID_START.fullmatch(low) else ()),
        *((JobFilter(commit_start=low),) if COMMIT_START.fullmatch(low) else ()),
        JobFilter(model_name=words),
        JobFilter(experiment_name=words),
        JobFilter(trigger=words),
        JobFilter(host=words),
    )


def _may_be_seen(where: JobFilter) -> bool:
    return team_seen() in (None, where.team)
