"""Repeats an ended job as a new one."""

from dataclasses import replace

from pydantic import Field, StrictBool, StrictStr, ValidationError

from api.http.errors import CredentialsNeeded, FieldError, InvalidRequest, RequestOutdated
from api.http.models import RequestBody
from api.http.validation import refuse
from api.services import Services
from api.submission import accept, make_job
from shared.errors import JobNotEnded
from shared.jobs.model import Job
from shared.jobs.records import Submission
from shared.requests.retrain_request import RetrainRequest


class RetryRequest(RequestBody):
    """How to repeat a job."""

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


def retry(job: Job, wish: RetryRequest, *, idempotency_key: str | None, services: Services) -> Submission:
    """Record the new job and send it; if the key was used for the same repetition, return that job."""
    if not job.state.is_terminal:
        raise JobNotEnded(f"Job {job.id} is {job.state}. Wait for its end or cancel it, then repeat it.", job_id=job.id)
    new = replace(
        make_job(request_of(job, wish), services),
        retry_of=job.id,
        commit_sha=job.commit_sha if wish.pin else None,
        image_id=job.image_id if wish.pin else None,
        dataset_repo=job.dataset_repo if wish.pin else None,
        base_model_version=job.base_model_version if wish.pin else None,
    )
    if job.had_secret and new.secret is None:
        raise credentials_needed(job)
    payload = {"retry_of": job.id, "pin": wish.pin}
    return accept(new, idempotency_key=idempotency_key, payload=payload, services=services)


def request_of(job: Job, wish: RetryRequest) -> RetrainRequest:
    """Return the job's request with the credentials that were sent now."""
    try:
        stored = RetrainRequest.model_validate(job.request)
    except ValidationError as error:
        raise outdated(job, error) from None
    given = wish.model_dump(include={"git_uri", "dataset_repo"}, exclude_none=True)
    if not given:
        return stored
    try:
        request = RetrainRequest.model_validate({**job.request, **given})
    except ValidationError as error:
        refuse(error, RetrainRequest, "body", given)  # only what was sent now can be wrong
    require_the_same_addresses(job, stored, request)
    return request


def require_the_same_addresses(job: Job, stored: RetrainRequest, request: RetrainRequest) -> None:
    """Refuse to repeat a job with another repository or other data."""
    (before, _), (now, _) = stored.without_credentials(), request.without_credentials()
    others = [name for name in ("git_uri", "dataset_repo") if getattr(before, name) != getattr(now, name)]
    if others:
        message = f"is not that of job {job.id}, apart from credentials; for another one send POST /retrain"
        raise InvalidRequest(
            [FieldError("body", f"/{name}", f"{name} {message}", "ANOTHER_ADDRESS") for name in others]
        )


def credentials_needed(job: Job) -> CredentialsNeeded:
    """Return the error for missing credentials; which of the two addresses had them is no longer known."""
    message = (
        f"git_uri or dataset_repo of job {job.id} had credentials in it, which were deleted when the job ended: send "
        "the address that needs them again, both if both do, such as https://TOKEN@host/path.git"
    )
    return CredentialsNeeded([FieldError("body", "/git_uri", message, CredentialsNeeded.code)])


def outdated(job: Job, error: ValidationError) -> RequestOutdated:
    """Return the error naming the fields, which were valid for the version that recorded the job."""
    found = [each for each in error.errors() if each["loc"]]
    if unknown := sorted(".".join(map(str, each["loc"])) for each in found if each["type"] == "extra_forbidden"):
        return RequestOutdated(
            f"Job {job.id} was recorded by a later version of this service, and asks for what this one does not know "
            f"({', '.join(unknown)}). Ask an API of that version.",
            job_id=job.id,
        )
    names = ", ".join(sorted({str(each["loc"][0]) for each in found}))
    return RequestOutdated(
        f"Job {job.id} was recorded by another version of this service, and its request is not valid any more "
        f"({names}). Send it again with POST /retrain.",
        job_id=job.id,
    )
