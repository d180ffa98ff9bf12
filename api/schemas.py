"""What the API answers, as models. api.representation makes them of records."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

from shared.errors import Code, FailureType
from shared.jobs.model import JobState
from shared.jobs.statistics import WorkerState
from shared.scheduling.hosts import QueueCode


def rfc_3339(at: datetime) -> str:
    """The time in UTC, to the millisecond."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Timestamp = Annotated[
    datetime, PlainSerializer(rfc_3339, return_type=str), WithJsonSchema({"type": "string", "format": "date-time"})
]

QUEUE_CODES = (
    "NEXT (nothing is in its way), NO_WORKER (none serves this queue, on the host that it asks for), NEWER_REQUEST (no "
    "live worker knows a field of its request, as while workers are upgraded), NO_HOST_FITS (it "
    "asks for more than any host has), SLOTS (all are taken), KEY_LIMIT (jobs of its concurrency_key run, or go before "
    "it), TOTAL_LIMIT (as many jobs run as may), GPUS (all are taken), GPUS_RESERVED (kept free for a job that has "
    "waited longer), DISK_FULL, NO_FIREWALL (what keeps trainings apart does not stand), "
    "DRAINED (a person wants the host to take nothing new)."
)


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
    gpu_ids: tuple[str, ...] = Field(description="The GPUs of that machine that were this attempt's alone.")
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


class Dataset(Body):
    """The data; nulls for what is not known (yet), or what its origin does not have."""

    repo: str | None = Field(None, description="Where it came from.")
    rev: str | None = Field(None, description="The full revision.")
    path: str | None = Field(None, description="The path in it.")
    digest: str | None = Field(None, description="What its content was, as the training found it.")


class BaseModelUsed(Body):
    """The model that the training started from; name and version are null where the request names a run."""

    name: str | None = Field(None, description="Registered model.")
    version: str | None = Field(None, description="The version that its alias was, too.")
    run_id: str | None = Field(None, description="The MLflow run that trained it.")
    source: str | None = Field(None, description="Where MLflow keeps it.")


class Resolved(Body):
    """What the request's names stand for; later attempts use the same."""

    commit_sha: str | None
    image: str | None
    image_id: str | None
    dataset: Dataset | None = Field(description="What was pinned, and then what the training says that it used.")
    base_model_version: str | None = Field(
        description="The version that the base_model was at the first attempt; null where it is no registered model."
    )
    base_model: BaseModelUsed | None = Field(description="What the training says that it began with.")


class Mlflow(Body):
    """The MLflow run of the last attempt."""

    experiment_id: str | None
    run_id: str
    url: str | None = Field(description="The run's page, where the tracking server has pages.")


class ModelVersion(Body):
    """A version in the model registry."""

    name: str
    version: str


class Queue(Body):
    """The queue, and where in it the job stands. Nulls, unless it is queued and was asked for by itself."""

    name: str
    position: int | None = Field(None, description="1 is the next of its queue.")
    code: QueueCode | None = Field(None, description=f"Why it waits, for programs: {QUEUE_CODES}")
    blocking: tuple[str, ...] = Field((), description="Ids of jobs that it waits for.")
    message: str | None = Field(None, description="Why it waits, for people.")


class JobLinks(Body):
    """Where else to look."""

    self: str
    logs: str
    mlflow: str | None
    flower: str


class JobSummary(Body):
    """A job, without its history."""

    id: str
    retry_of: str | None = Field(description="The job that this one repeats (POST /jobs/<id>/retry).")
    request_id: str | None = Field(
        description="X-Request-Id of the request that made it: in the log lines about it, in the training's "
        "RETRAIN_REQUEST_ID and in the MLflow run's tag retrain.request_id. Null for jobs of an older version."
    )
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
        description="Whether that model took the champion's place, and why, as mypackage.utility decided it: promoted, "
        "reason, metric, direction, challenger and champion (their values), champion_version, model_name, "
        "model_version, min_delta, min_value, datasets, guardrails, alias."
    )
    metrics: dict[str, float | None] = Field(description="The run's last values; null for NaN and infinity.")
    priority: int
    queue: Queue
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


class Drain(Body):
    """That a person wants a host to take nothing new."""

    since: Timestamp
    reason: str


class Refused(Body):
    """A worker on another machine that was refused, because the host's name is in use."""

    machine: str
    at: Timestamp = Field(description="When it asked for the last time.")


class Worker(Body):
    """A host's worker, as it last described itself, and what that host runs."""

    host: str = Field(description="The machine.")
    state: WorkerState
    seen_at: Timestamp = Field(description="Its last sign of life.")
    queues: tuple[str, ...] = Field(description="The queues that it serves.")
    runner: str = Field(description="docker or process.")
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
    jobs: tuple[str, ...] = Field(description="Ids of the jobs that it runs.")


class WorkerList(Body):
    """All workers that gave a sign of life within a week, or have jobs still."""

    workers: list[Worker]


class AlertTestResult(Body):
    """What became of a test message."""

    channel: str
    outcome: Literal["sent", "refused", "not_now", "no_worker", "no_answer"] = Field(
        description="refused: somebody must act. not_now: nobody answers there, or asks to be left alone for a while. "
        "no_worker: none is alive. no_answer: one is, and has not said in time what became of it."
    )
    cause: str = Field(description="Why, where it was not sent.")


class AlertTestResults(Body):
    """What became of each test message."""

    results: tuple[AlertTestResult, ...]


class Champion(Body):
    """A model's champion, by a person's decision."""

    model: str
    version: str
    previous_version: str | None = Field(description="The version with the alias previous; null for none.")
    reason: str
    changed: bool = Field(description="false when this version was champion already.")


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
    errors: tuple[ProblemError, ...] = Field((), description="What is wrong with the request (with status 422).")
    store: str | None = Field(None, description="ok or unavailable (NOT_READY).")
    redis: str | None = Field(None, description="ok or unavailable (NOT_READY).")
    live_workers: int | None = Field(None, description="NOT_READY only.")
