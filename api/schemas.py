"""What the API answers, and how a job's record becomes JSON."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

from api.links import Links
from shared import jobs as records
from shared.errors import Code, FailureType
from shared.jobs import JobState


def rfc_3339(at: datetime) -> str:
    """The time in UTC, to the millisecond."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Timestamp = Annotated[
    datetime, PlainSerializer(rfc_3339, return_type=str), WithJsonSchema({"type": "string", "format": "date-time"})
]


class Body(BaseModel):
    """Anything that is answered as JSON."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


class Reason(Body):
    """Why a job or an attempt ended as it did."""

    code: Code = Field(description="What exactly failed, for programs.")
    type: FailureType = Field(description="Who must act: says whether another attempt is worth it.")
    message: str = Field(description="The same for people: what failed, on what, and what to do.")


class Attempt(Body):
    """One try at a job: one container."""

    number: int
    host: str = Field(description="The machine.")
    runner: str | None = Field(description="docker or process.")
    container: str | None
    run_id: str | None = Field(description="MLflow run.")
    exit_code: int | None
    oom_killed: bool
    reason: Reason | None
    started_at: Timestamp
    ended_at: Timestamp | None


class Transition(Body):
    """One change of state."""

    from_state: JobState | None = Field(serialization_alias="from")
    to_state: JobState = Field(serialization_alias="to")
    at: Timestamp
    attempt: int = Field(description="The attempt at that time; 0 before the first.")
    reason: str


class Resolved(Body):
    """What the request's names stand for; later attempts use the same."""

    commit_sha: str | None
    image: str | None
    image_id: str | None


class Mlflow(Body):
    """The MLflow run of the last attempt."""

    experiment_id: str | None
    run_id: str
    url: str | None = Field(description="The run's page, where the tracking server has pages.")


class ModelVersion(Body):
    """A version in the model registry."""

    name: str
    version: str


class JobLinks(Body):
    """Where else to look."""

    self: str
    logs: str
    mlflow: str | None
    flower: str


class JobSummary(Body):
    """A job, without its history."""

    id: str
    state: JobState
    reason: Reason | None = Field(description="Why it ended as it did, or why it waits for another attempt.")
    attempts: tuple[Attempt, ...]
    request: Mapping[str, Any] = Field(
        description="The request, with defaults filled in and without credentials; see RetrainRequest."
    )
    resolved: Resolved
    mlflow: Mlflow | None
    model: ModelVersion | None = Field(description="The model version that the training registered.")
    promotion: Mapping[str, Any] | None = Field(
        description="Whether that model took the champion's place, and why; as mypackage.utility decided it."
    )
    metrics: dict[str, float | None] = Field(description="The run's last values; null for NaN and infinity.")
    priority: int
    queue: str
    concurrency_key: str
    labels: Mapping[str, str]
    created_at: Timestamp
    queued_at: Timestamp
    started_at: Timestamp | None
    ended_at: Timestamp | None
    next_attempt_at: Timestamp | None
    links: JobLinks


class Job(JobSummary):
    """A job: our record of one request."""

    transitions: tuple[Transition, ...] = Field(description="Every change of state, oldest first.")


class JobPage(Body):
    """Some of the jobs, newest first."""

    jobs: list[JobSummary]
    next: str | None = Field(description="The next page; null on the last one.")


class Health(Body):
    """The process is alive."""

    status: Literal["ok"] = "ok"


class Ready(Body):
    """Requests can be served."""

    status: Literal["ready"] = "ready"
    store: Literal["ok"]
    redis: Literal["ok"]
    live_workers: int = Field(description="Workers that gave a sign of life within a minute; none are needed.")


class ProblemError(Body):
    """One thing that is wrong with a request."""

    place: Literal["body", "query", "header"] = Field(serialization_alias="in")
    pointer: str = Field(description="Which field, parameter or header (RFC 6901); empty for the whole.")
    message: str
    code: str


class Problem(Body):
    """An error (RFC 9457), as application/problem+json."""

    type: str
    title: str
    status: int
    code: str = Field(description="What exactly is wrong, for programs.")
    detail: str = Field(description="The same for people.")
    request_id: str
    errors: tuple[ProblemError, ...] = Field((), description="What is wrong with the request (VALIDATION_FAILED).")
    store: str | None = Field(None, description="ok or unavailable (NOT_READY).")
    redis: str | None = Field(None, description="ok or unavailable (NOT_READY).")
    live_workers: int | None = Field(None, description="NOT_READY only.")


def summary(job: records.Job, links: Links) -> JobSummary:
    """The job as it stands in a list."""
    return JobSummary.model_validate(_fields(job, links))


def whole_job(job: records.Job, links: Links) -> Job:
    """The job with its history."""
    return Job.model_validate({**_fields(job, links), "transitions": job.transitions})


def _fields(job: records.Job, links: Links) -> dict[str, Any]:
    same = {name: getattr(job, name) for name in JobSummary.model_fields if hasattr(job, name)}
    result = job.result or {}
    versions = result.get("model_versions") or []
    return {
        **same,
        "resolved": job,
        "mlflow": {"experiment_id": job.experiment_id, "run_id": job.run_id, "url": links.run(job)}
        if job.run_id
        else None,
        "model": {"name": versions[-1]["name"], "version": str(versions[-1]["version"])} if versions else None,
        "promotion": result.get("decision"),
        "metrics": result.get("metrics") or {},
        "links": {
            "self": links.job(job),
            "logs": links.logs(job),
            "mlflow": links.run(job),
            "flower": links.task(job),
        },
    }
