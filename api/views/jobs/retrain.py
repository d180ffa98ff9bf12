"""POST /retrain and POST /jobs/<id>/retry."""

from dataclasses import replace
from http import HTTPStatus

from flask import Response
from pydantic import BaseModel, Field

from api.access.finding import find_job_to_change
from api.examples import NEW_JOB, REQUESTS
from api.http.errors import CredentialsNeeded, RequestOutdated
from api.operations.answers import Answer, Tag
from api.operations.operation import operation
from api.retrying import RetryRequest, retry
from api.schemas import Job
from api.services import links, services
from api.submission import submit
from api.views.jobs.job import JOB_HEADERS, JobPath, job_response
from shared.access.roles import Right
from shared.errors import IdempotencyKeyReused, JobNotEnded, JobNotFound, ModelOfAnotherTeam, TooManyJobsQueued
from shared.jobs.records import Submission
from shared.requests.retrain_request import RetrainRequest

ACCEPTED = Answer(
    "The job.",
    Job,
    HTTPStatus.ACCEPTED,
    {
        "Location": "The job's address.",
        **JOB_HEADERS,
        "Idempotency-Replayed": "true when the job is that of an earlier request with this Idempotency-Key.",
    },
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


@operation(
    "POST /retrain",
    replace(ACCEPTED, example=NEW_JOB),
    tag=Tag.JOBS,
    needs=Right.SUBMIT,
    raises=[IdempotencyKeyReused, TooManyJobsQueued, ModelOfAnotherTeam],
    body_examples=REQUESTS,
)
def retrain(header: SubmitHeaders, body: RetrainRequest) -> Response:
    """Submit a retraining.

    The job is recorded before the answer is sent: once answered with 202, it is trained whatever fails meanwhile.
    Follow it at the address in `Location`.

    The project is read when the job's turn comes: a wrong ref or parameter is told then. `retrain submit` looks before.

    Send an `Idempotency-Key` so that you can repeat the request safely: the same key with the same body returns the
    same job; with another body, it is refused. Other callers' keys are never yours.
    """
    here = services()
    return accepted(submit(body, idempotency_key=header.idempotency_key, services=here))


@operation(
    "POST /jobs/<job_id>/retry",
    ACCEPTED,
    tag=Tag.JOBS,
    needs=Right.SUBMIT,
    raises=[
        JobNotFound,
        JobNotEnded,
        RequestOutdated,
        CredentialsNeeded,
        IdempotencyKeyReused,
        TooManyJobsQueued,
        ModelOfAnotherTeam,
    ],
)
def retry_job(path: JobPath, header: SubmitHeaders, body: RetryRequest) -> Response:
    """Repeat a job that has ended.

    The answer is a new job with the same request and `retry_of`. It trains the same commit as the first job, if that
    got as far as resolving it; with `{"pin": false}` the request's `commit_hash` is looked up again.

    A job's credentials are deleted when it ends. If it came with any, send the address with them again:
    `{"git_uri": "https://TOKEN@host/path.git"}`. Otherwise no body is needed.

    A submitter repeats its own jobs, an operator any; the new job belongs to who repeats it.

    `Location` and `Idempotency-Key` work as for `POST /retrain`.
    """
    here = services()
    job = find_job_to_change(here.store, path.job_id)
    return accepted(retry(job, body, idempotency_key=header.idempotency_key, services=here))


def accepted(submission: Submission) -> Response:
    """Return the job, where to follow it, and whether an earlier request created it."""
    response = job_response(submission.job)
    response.status_code = HTTPStatus.ACCEPTED
    response.headers["Location"] = links().job(submission.job)
    if not submission.created:
        response.headers["Idempotency-Replayed"] = "true"
    return response
