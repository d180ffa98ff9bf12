"""The models of a job as the API answers it. api.representation builds them from records."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field, PlainSerializer, WithJsonSchema

from api.http.models import AnswerBody
from shared.errors import Code, FailureType
from shared.jobs.model import JobState
from shared.scheduling.hosts import QueueCode


def rfc_3339(at: datetime) -> str:
    """Return the time in UTC, to the millisecond."""
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


class Reason(AnswerBody):
    """Why a job or an attempt ended as it did."""

    code: Code = Field(description="What exactly failed, for programs.")
    type: FailureType = Field(description="Who must act: says whether another attempt is worth it.")
    message: str = Field(description="The same for people: what failed, on what, and what to do.")


class Attempt(AnswerBody):
    """One try at a job: one container."""

    number: int
    host: str = Field(description="The machine.")
    runner: str | None = Field(description="docker, process, or another runner that is installed.")
    container: str | None
    run_id: str | None = Field(description="MLflow run.")
    gpu_ids: tuple[str, ...] = Field(description="The GPUs of that machine that were this attempt's alone.")
    exit_code: int | None
    oom_killed: bool
    reason: Reason | None
    started_at: Timestamp
    ended_at: Timestamp | None


class Transition(AnswerBody):
    """One change of state."""

    from_state: JobState | None = Field(serialization_alias="from")
    to_state: JobState = Field(serialization_alias="to")
    at: Timestamp
    attempt: int = Field(description="The attempt at that time; 0 before the first.")
    reason: str


class Dataset(AnswerBody):
    """The data; nulls for what is not known (yet), or what its origin does not have."""

    repo: str | None = Field(None, description="Where it came from.")
    rev: str | None = Field(None, description="The full revision.")
    path: str | None = Field(None, description="The path in it.")
    digest: str | None = Field(None, description="What its content was, as the training found it.")


class BaseModelUsed(AnswerBody):
    """The model that the training started from; name and version are null where the request names a run."""

    name: str | None = Field(None, description="Registered model.")
    version: str | None = Field(None, description="The version that its alias was, too.")
    run_id: str | None = Field(None, description="The MLflow run that trained it.")
    source: str | None = Field(None, description="Where MLflow keeps it.")


class Resolved(AnswerBody):
    """What the request's names stand for; later attempts use the same."""

    commit_sha: str | None
    image: str | None
    image_id: str | None
    dataset: Dataset | None = Field(description="What was pinned, and then what the training says that it used.")
    base_model_version: str | None = Field(
        description="The version that the base_model was at the first attempt; null if it is not a registered model."
    )
    base_model: BaseModelUsed | None = Field(description="What the training says that it began with.")


class Mlflow(AnswerBody):
    """The MLflow run of the last attempt."""

    experiment_id: str | None
    run_id: str
    url: str | None = Field(description="The run's page, where the tracking server has pages.")


class ModelVersion(AnswerBody):
    """A version in the model registry."""

    name: str
    version: str


class Queue(AnswerBody):
    """The queue, and where in it the job stands. Nulls, unless it is queued and was asked for by itself."""

    name: str
    position: int | None = Field(None, description="1 is the next of its queue.")
    code: QueueCode | None = Field(None, description=f"Why it waits, for programs: {QUEUE_CODES}")
    blocking: tuple[str, ...] = Field((), description="Ids of jobs that it waits for.")
    message: str | None = Field(None, description="Why it waits, for people.")


class Refusal(AnswerBody):
    """A request to MLflow that the guard refused."""

    call: str = Field(description="Method and route.")
    object: str = Field(description="What it was about, such as a model's name or a run's id.")
    count: int


class JobLinks(AnswerBody):
    """Where else to look."""

    self: str
    logs: str
    mlflow: str | None
    flower: str


class JobSummary(AnswerBody):
    """A job, without its history."""

    id: str
    retry_of: str | None = Field(description="The job that this one repeats (POST /jobs/<id>/retry).")
    submitted_by: str | None = Field(
        description="The caller that sent its request or, of a trigger's job, that made the trigger; null for jobs of "
        "an older version."
    )
    team: str | None = Field(description="That caller's team; null for none.")
    trigger: str | None = Field(description="The trigger that fired it (POST /triggers); null for a person's request.")
    triggered_by: Mapping[str, Any] | None = Field(
        description="What fired it: the trigger, the kind (fire: somebody asked for it), the occurrence's key, its "
        "time and facts."
    )
    request_id: str | None = Field(
        description="X-Request-Id of the request that made it: in the log lines about it, in the training's "
        "RETRAIN_REQUEST_ID and in the MLflow run's tag retrain.request_id. Null for jobs of an older version."
    )
    state: JobState
    reason: Reason | None = Field(
        description="Why it ended as it did, or why it waits for another attempt; of a success, that a step of its "
        "command failed (STEP_FAILED)."
    )
    attempts: tuple[Attempt, ...]
    request: Mapping[str, Any] = Field(
        description="The request, with defaults filled in and without credentials; see RetrainRequest."
    )
    had_credentials: bool = Field(description="Whether credentials came with it; they are deleted when the job ends.")
    resolved: Resolved
    mlflow: Mlflow | None
    model: ModelVersion | None = Field(description="The model version that the training registered.")
    promotion: Mapping[str, Any] | None = Field(
        description="Whether that model took the champion's place, and why, as mypackage.utility decided it: promoted, "
        "reason, metric, direction, challenger and champion (their values), champion_version, model_name, "
        "model_version, min_delta, min_value, datasets, guardrails, alias."
    )
    metrics: dict[str, float | None] = Field(description="The run's last values; null for NaN and infinity.")
    refused: tuple[Refusal, ...] = Field(
        description="What the training asked of MLflow and the guard before it refused, at most 20 different calls: "
        "such as moving an alias, or writing to what another job made."
    )
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


class JobPage(AnswerBody):
    """Some of the jobs, newest first."""

    jobs: list[JobSummary]
    next: str | None = Field(description="The next page; null on the last one.")
