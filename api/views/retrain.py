"""POST /retrain and POST /jobs/<id>/retry."""

from http import HTTPStatus

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.types import ResponseDict

from api.openapi.answers import BEARER, JOBS, answer, problem, problems
from api.queries import JobPath, RetryRequest, SubmitHeaders
from api.retrying import retry
from api.schemas import Job
from api.services import services
from api.submission import submit
from api.views.jobs import job_response
from shared.jobs.records import Submission
from shared.links import Links
from shared.requests.retrain_request import RetrainRequest

blueprint = APIBlueprint("retrain", __name__, abp_tags=[JOBS], abp_security=BEARER)

SUBMIT_RESPONSES: ResponseDict = {
    202: answer("The job.", Job, "Location", "ETag", "Retry-After", "Idempotency-Replayed"),
    **problems(HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
}
RETRY_RESPONSES: ResponseDict = {
    **SUBMIT_RESPONSES,
    **problems(HTTPStatus.NOT_FOUND),
    409: problem(
        HTTPStatus.CONFLICT,
        code="JOB_NOT_ENDED",
        description="The job goes on; there is nothing to repeat yet. REQUEST_OUTDATED: it was recorded by another "
        "version, and its request is not valid any more.",
    ),
    422: problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        code="CREDENTIALS_NEEDED",
        description="The job came with credentials, which were deleted when it ended; send them again. "
        "VALIDATION_FAILED: something in the request is wrong, or an address is not the job's own; errors[] points at "
        "it. IDEMPOTENCY_KEY_REUSED: the key was used with another body.",
    ),
}


@blueprint.post("/retrain", responses=SUBMIT_RESPONSES, operation_id="retrain")
def retrain(header: SubmitHeaders, body: RetrainRequest) -> Response:
    """Ask for a retraining.

    The job is recorded before the answer is sent: what was answered with 202 is trained, whatever fails meanwhile.
    Follow it at the address in `Location`.

    Send an `Idempotency-Key` to be able to repeat the request safely: the same key with the same body answers the same
    job; with another body it is refused.
    """
    here = services()
    return accepted(submit(body, idempotency_key=header.idempotency_key, services=here), here.links)


@blueprint.post("/jobs/<job_id>/retry", responses=RETRY_RESPONSES, operation_id="retryJob")
def retry_job(path: JobPath, header: SubmitHeaders, body: RetryRequest) -> Response:
    """Repeat a job that has ended.

    The answer is a new job with the same request and `retry_of`. It trains the same commit as the first one, where
    that got as far as finding it; with `{"pin": false}` the request's `commit_hash` is looked up again.

    A job's credentials are deleted when it ends. If it came with any, send the address that they were in once more,
    with them: `{"git_uri": "https://TOKEN@host/path.git"}`. Otherwise no body is needed.

    `Location` and `Idempotency-Key` are as for `POST /retrain`.
    """
    here = services()
    return accepted(retry(path.job_id, body, idempotency_key=header.idempotency_key, services=here), here.links)


def accepted(submission: Submission, links: Links) -> Response:
    """The job, where to follow it, and whether an earlier request made it."""
    response = job_response(submission.job, links)
    response.status_code = HTTPStatus.ACCEPTED
    response.headers["Location"] = links.job(submission.job)
    if not submission.created:
        response.headers["Idempotency-Replayed"] = "true"
    return response
