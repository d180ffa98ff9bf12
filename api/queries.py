"""Paths, query parameters and headers that the API takes."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictStr,
    WithJsonSchema,
    model_validator,
)

from api.http.errors import ModelVersionNotFound
from api.paging import decode_cursor
from shared.errors import JobNotFound
from shared.jobs.model import JobState
from shared.jobs.records import Cursor
from shared.requests.retrain_request import Text, Word

MAX_WAIT_SECONDS = 60
MAX_LOG_BYTES = 8 * 2**20
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
EVENT_ID = r"^(\d{1,6}:)?\d{1,18}$"
MODEL_NAME = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff/:]{1,256}")
JOB_ID = re.compile(r"[A-Za-z0-9-]{1,36}")


def _split(values: Any) -> Any:
    return [word for value in values for word in str(value).split(",")] if isinstance(values, list) else values


def _check_time(value: Any) -> Any:
    if isinstance(value, str) and not RFC_3339.fullmatch(value):
        raise ValueError("is no RFC 3339 time, such as 2026-01-31T12:00:00Z (in a URL, '+' is written %2B)")
    return value


def _to_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is outside the years that a calendar has in UTC") from error


def _check_job_id(value: str) -> str:
    if not JOB_ID.fullmatch(value):  # no database need be asked, and PostgreSQL's text takes no NUL
        raise JobNotFound("There is no such job. GET /jobs lists those that exist.", job_id=value)
    return value


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _check_model(value: str) -> str:
    if not MODEL_NAME.fullmatch(value):
        raise ModelVersionNotFound("There is no such model: MLflow allows no such name.")
    return value


def _describe(**schema: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", **schema})


Filter = Annotated[str, Field(min_length=1, max_length=314, pattern=r"^[^\x00-\x1f\x7f]*$")]
Time = Annotated[
    datetime,
    BeforeValidator(_check_time),
    AfterValidator(_to_utc),
    _describe(format="date-time", example="2026-01-31T12:00:00Z"),
]


class CancelRequest(BaseModel):
    """How to cancel."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    force: StrictBool = Field(False, description="Kill the training at once, without a grace.")


class RetryRequest(BaseModel):
    """How to repeat a job."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    pin: StrictBool = Field(
        True, description="Train the commit that the job's commit_hash stood for; false to look it up again."
    )
    git_uri: StrictStr | None = Field(
        None,
        max_length=2048,
        description="The job's own git_uri with a token, as in https://TOKEN@host/path.git: those that came with the "
        "job were deleted when it ended.",
    )
    dataset_repo: StrictStr | None = Field(
        None, max_length=2048, description="The job's own dataset_repo with a token, likewise."
    )


class AlertTestRequest(BaseModel):
    """Which alert channels to try."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    to: Annotated[frozenset[Word], Field(min_length=1, max_length=20)] | None = Field(
        None, description="Their names; by default those that a job goes to that names none.", examples=[["team-a"]]
    )


class ChampionRequest(BaseModel):
    """Which version becomes champion, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    version: Annotated[StrictStr, BeforeValidator(_as_text), Field(pattern=r"^[1-9][0-9]{0,8}$")] = Field(
        description="The version's number; also as a number."
    )
    reason: Annotated[Text, Field(min_length=1, max_length=500)] = Field(
        description="Why, for those who ask later.", examples=["wrong labels in the data of version 7"]
    )


class DrainRequest(BaseModel):
    """Why a host is to take nothing new."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    reason: Annotated[Text, Field(max_length=500)] = Field(
        "", description="Why, for those whose jobs wait for it.", examples=["new GPUs on Friday"]
    )


class HostPath(BaseModel):
    """Which host."""

    host: str = Field(description="The host's name, as in GET /workers.")


class ModelPath(BaseModel):
    """Which model."""

    model: Annotated[str, AfterValidator(_check_model)] = Field(description="The registered model's name.")


class JobPath(BaseModel):
    """Which job."""

    job_id: Annotated[str, AfterValidator(_check_job_id)] = Field(description="The job's id.")


class Query(BaseModel):
    """Query parameters; a misspelt one is refused, for its filter would silently not be applied."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class JobsQuery(Query):
    """Which jobs to list."""

    state: Annotated[list[JobState], BeforeValidator(_split)] = Field(
        default_factory=list, description="Any of these states; repeat it, or separate them by commas."
    )
    experiment: Filter | None = Field(None, description="Jobs of this MLflow experiment.")
    model: Filter | None = Field(None, description="Jobs of this registered model.")
    label: Filter | None = Field(None, description="A label's name, or name=value.")
    created_after: Time | None = Field(None, description="Jobs accepted after this RFC 3339 time.")
    limit: int = Field(50, ge=1, le=200, description="Jobs on a page.")
    cursor: Annotated[Cursor, BeforeValidator(decode_cursor), _describe()] | None = Field(
        None, description="Where the page begins: take it from the link to the next page."
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


class WorkersQuery(Query):
    """It has none."""


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

    last_event_id: str | None = Field(
        None,
        alias="Last-Event-ID",
        pattern=EVENT_ID,
        description="The last event's id: the stream goes on behind it, whatever offset or tail say. Where attempt is "
        "given, too, it must be of that attempt.",
    )


class SubmitHeaders(BaseModel):
    """Headers of a submission."""

    idempotency_key: str | None = Field(
        None,
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x20-\x7e]+$",
        description="A word of your own for this request. Sent again with the same body, it answers the same job.",
    )


class ReadHeaders(BaseModel):
    """Headers of a read."""

    if_none_match: str | None = Field(
        None,
        alias="If-None-Match",
        description="The ETag that you have: 304 while the job, with its place in the queue, is as it was.",
    )
