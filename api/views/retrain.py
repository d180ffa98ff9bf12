"""POST /retrain."""

from http import HTTPStatus

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.types import ResponseDict

from api.documented import BEARER, JOBS, answer, problems
from api.queries import SubmitHeaders
from api.schemas import Job
from api.services import services
from api.submission import submit
from api.views.jobs import job_response
from shared.retrain_request import RetrainRequest

blueprint = APIBlueprint("retrain", __name__, abp_tags=[JOBS], abp_security=BEARER)

SUBMIT_RESPONSES: ResponseDict = {
    202: answer("The job.", Job, "Location", "ETag", "Retry-After", "Idempotency-Replayed"),
    **problems(HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
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
    submission = submit(body, idempotency_key=header.idempotency_key, services=here)
    response = job_response(submission.job, here.links)
    response.status_code = HTTPStatus.ACCEPTED
    response.headers["Location"] = here.links.job(submission.job)
    if not submission.created:
        response.headers["Idempotency-Replayed"] = "true"
    return response
