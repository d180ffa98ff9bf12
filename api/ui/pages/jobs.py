"""The list of jobs, and what is done to several of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import request

from api.http.errors import FieldError, InvalidRequest
from api.operations.operation import Operation
from api.ui.asking import ask, ask_one_of_several, own_query
from api.ui.durations import in_words, seconds_between
from api.ui.git_pages import commit_page
from api.ui.page import page
from api.ui.rendering import render
from api.ui.sent import in_utc, whole_number
from api.views.jobs.job import cancel_job
from api.views.jobs.listing import list_jobs
from api.views.jobs.priority import change_priority
from api.views.jobs.retrain import retry_job
from shared.access.roles import Right
from shared.jobs.model import JobState
from shared.queue import HIGHEST_PRIORITY

MOST_SELECTED = 200
OF_THE_PAGE_ONLY = ("cursor", "limit", "told")


@dataclass(frozen=True)
class Act:
    """What may be done to several jobs at once."""

    name: str
    operation: Operation
    body: Callable[[], Mapping[str, Any]] = dict


def _priority() -> Mapping[str, Any]:
    return {"priority": whole_number(request.form.get("priority", ""))}


ACTS = {
    "cancel": Act("Cancel", cancel_job),
    "retry": Act("Repeat", retry_job),
    "priority": Act("Change the priority", change_priority, _priority),
}


@page("GET /jobs")
def jobs() -> str:
    """Show the jobs that the address's filters match, the newest first."""
    states = [each for each in request.args.getlist("state") if each]
    asked: dict[str, Any] = {"state": states} if states else {}
    if since := request.args.get("created_after"):
        asked["created_after"] = in_utc(since)
    found = ask(list_jobs, query=own_query(**asked))
    return render(
        "jobs.html",
        jobs=found["jobs"],
        next=found["next"],
        states=[*JobState],
        chosen=states,
        filters={name: value for name, value in request.args.items() if value and name not in OF_THE_PAGE_ONLY},
        priorities=range(HIGHEST_PRIORITY + 1),
        back=request.query_string.decode("ascii", "replace"),
        commit_page=commit_page,
        took=_took,
    )


@page("POST /jobs/selected", needs=Right.SUBMIT)
def act_on_selected() -> str:
    """Do the same to each selected job, one after the other, and say what became of each."""
    act, ids = ACTS.get(request.form.get("act", "")), [*dict.fromkeys(request.form.getlist("job"))]
    if act is None:
        raise InvalidRequest([FieldError("body", "/act", f"act must be one of {', '.join(ACTS)}", "UNKNOWN_ACT")])
    if len(ids) > MOST_SELECTED:
        message = f"at most {MOST_SELECTED} jobs are changed at once; these are {len(ids)}"
        raise InvalidRequest([FieldError("body", "/job", message, "TOO_MANY")])
    body = act.body()
    outcomes = {
        each: ask_one_of_several(act.operation, about=f"job:{each}"[:100], path={"job_id": each}, body=body)
        for each in ids
    }
    return render(
        "jobs_selected.html", act=act, outcomes=outcomes, shows_priority=bool(body), back=request.form.get("back", "")
    )


def _took(job: Mapping[str, Any]) -> str:
    """Return how long an ended job took since its first attempt began; empty for others."""
    began, ended = job["started_at"], job["ended_at"]
    return in_words(seconds_between(began, ended)) if began and ended else ""
