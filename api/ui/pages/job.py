"""One job: all that is known of it, and what may be done to it."""

from flask import redirect, url_for
from werkzeug.wrappers import Response

from api.ui.asking import ask
from api.ui.page import page
from api.ui.pages.log import log_of
from api.ui.rendering import render
from api.views.jobs.job import cancel_job, get_job
from shared.access.roles import Right


@page("GET /jobs/<job_id>")
def job(job_id: str) -> str:
    """Show the job."""
    found = ask(get_job, path={"job_id": job_id})
    return render("job.html", job=found, log=log_of(found))


@page("POST /jobs/<job_id>/cancel", needs=Right.SUBMIT)
def cancel(job_id: str) -> Response:
    """Cancel it."""
    ask(cancel_job, path={"job_id": job_id})
    return redirect(url_for("ui.job", job_id=job_id, told="cancelled"), 303)
