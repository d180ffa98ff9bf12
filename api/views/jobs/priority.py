"""POST /jobs/<id>/priority."""

import logging

from flask import Response
from pydantic import Field, StrictInt

from api.access.finding import find_job_to_change
from api.http.models import RequestBody
from api.operations.answers import Answer, Tag
from api.operations.operation import operation
from api.permission import require_permitted_priority
from api.schemas import Job
from api.services import services
from api.views.jobs.job import JOB_HEADERS, JobPath, find_job, job_response
from shared.access.roles import Right
from shared.errors import JobNotFound, JobNotWaiting
from shared.jobs.model import JobState
from shared.queue import HIGHEST_PRIORITY, send_or_leave_to_sweep

logger = logging.getLogger(__name__)


class PriorityRequest(RequestBody):
    """Which priority."""

    priority: StrictInt = Field(ge=0, le=HIGHEST_PRIORITY, description="0 to 9; higher goes first.", examples=[9])


@operation(
    "POST /jobs/<job_id>/priority",
    Answer("The job.", Job, headers=JOB_HEADERS),
    tag=Tag.JOBS,
    needs=Right.SUBMIT,
    raises=[JobNotFound, JobNotWaiting],
)
def change_priority(path: JobPath, body: PriorityRequest) -> Response:
    """Change the priority of a job that waits.

    It then goes before all waiting jobs of a lower priority, and keeps its age among those of the same. One whose
    priority was lowered may still begin at its former turn, if it could have begun then. The job must be `queued` or in
    `retry_wait`: one that has begun is not interrupted. What its request asked for stays in `request`, and a repetition
    of the job begins with that. The request may be repeated. Where the operator limits the priority that you may ask
    for, the limit holds here too. A submitter changes its own jobs, an operator any.
    """
    here = services()
    require_permitted_priority(body.priority, here)
    before = find_job_to_change(here.store, path.job_id)
    job = here.store.set_priority(before.id, body.priority)
    if job.priority != before.priority:
        logger.info("priority changed", extra={"job_id": job.id, "priority": job.priority, "before": before.priority})
        if job.state is JobState.QUEUED:  # the message that was sent before waits among those of the old priority
            send_or_leave_to_sweep(job, queue=here.queue, unmark=here.store)
    return job_response(*find_job(here, job.id))
