"""One job: all that is known of it, and what may be done to it."""

from datetime import UTC, datetime

from flask import Response, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from api.http.errors import InvalidRequest
from api.services import services
from api.ui.asking import ask
from api.ui.durations import in_words, seconds_between
from api.ui.one_job.asked import asked
from api.ui.one_job.decision import told
from api.ui.one_job.elsewhere import places, run_of
from api.ui.one_job.failing import explain
from api.ui.one_job.timeline import timeline
from api.ui.one_job.waiting import advice_for
from api.ui.page import page
from api.ui.pages.log import log_of
from api.ui.rendering import render
from api.ui.sent import whole_number
from api.views.jobs.job import cancel_job, get_job
from api.views.jobs.priority import change_priority
from api.views.jobs.retrain import retry_job
from shared.access.roles import Right


@page("GET /jobs/<job_id>")
def job(job_id: str) -> str:
    """Show the job."""
    found, mlflow = ask(get_job, path={"job_id": job_id}), services().links.mlflow
    return render(
        "job.html",
        job=found,
        advice=advice_for(found["queue"]),
        explanation=explain(found["reason"]),
        timeline=timeline(found["transitions"], datetime.now(UTC).isoformat()),
        runs={each["number"]: run_of(found, each["run_id"], mlflow) for each in found["attempts"]},
        places=places(found, mlflow),
        asked=asked(found["request"]),
        decision=told(found["promotion"]),
        log=log_of(found),
        took=lambda begins, ends: in_words(seconds_between(begins, ends)),
    )


@page("POST /jobs/<job_id>/cancel", needs=Right.SUBMIT)
def cancel(job_id: str) -> BaseResponse:
    """Cancel it; ``force`` in the form kills it at once."""
    is_forced = request.form.get("force") == "yes"
    ask(cancel_job, path={"job_id": job_id}, body={"force": is_forced})
    return redirect(url_for("ui.job", job_id=job_id, told="killed" if is_forced else "cancelled"), 303)


@page("POST /jobs/<job_id>/priority", needs=Right.SUBMIT)
def prioritise(job_id: str) -> BaseResponse:
    """Change the priority of a job that waits."""
    priority = whole_number(request.form.get("priority", ""))
    ask(change_priority, path={"job_id": job_id}, body={"priority": priority})
    return redirect(url_for("ui.job", job_id=job_id, told="priority-changed"), 303)


@page("GET /jobs/<job_id>/kill", needs=Right.SUBMIT)
def kill(job_id: str) -> str:
    """Ask whether it is to be killed without a grace."""
    return render("job_kill.html", job=ask(get_job, path={"job_id": job_id}))


@page("GET /jobs/<job_id>/retry", needs=Right.SUBMIT)
def retry_with(job_id: str) -> str:
    """Ask how to repeat it."""
    return render("job_retry.html", job=ask(get_job, path={"job_id": job_id}))


@page("POST /jobs/<job_id>/retry", needs=Right.SUBMIT)
def retry(job_id: str) -> BaseResponse:
    """Repeat it, and show the new job."""
    addresses = {name: sent for name in ("git_uri", "dataset_repo") if (sent := request.form.get(name, "").strip())}
    is_pinned = request.form.get("pin", "yes") == "yes"
    try:
        new = ask(retry_job, path={"job_id": job_id}, body={"pin": is_pinned, **addresses})
    except InvalidRequest as error:
        job = ask(get_job, path={"job_id": job_id})
        shown = render("job_retry.html", job=job, wrong=[each.message for each in error.errors], pin=is_pinned)
        return Response(shown, error.status, mimetype="text/html")
    return redirect(url_for("ui.job", job_id=new["id"], told="submitted"), 303)
