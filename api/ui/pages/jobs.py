"""The list of jobs, and what is done to several of them."""

from api.ui.asking import ask, own_query
from api.ui.page import page
from api.ui.rendering import render
from api.views.jobs.listing import list_jobs
from shared.jobs.model import JobState


@page("GET /jobs")
def jobs() -> str:
    """Show the jobs that the address's filters match, the newest first."""
    found = ask(list_jobs, query=own_query())
    return render("jobs.html", jobs=found["jobs"], next=found["next"], states=[*JobState])
