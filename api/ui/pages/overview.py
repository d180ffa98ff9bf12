"""What is going on, at a glance: each thing leads to its page."""

from collections.abc import Mapping, Sequence
from typing import Any

from api.access.authorisation import team_seen
from api.ui.asking import ask
from api.ui.page import page
from api.ui.rendering import render
from api.ui.trigger_words import OUTCOMES, when_in_words
from api.views.jobs.job import get_job
from api.views.jobs.listing import list_jobs
from api.views.models.model import list_models
from api.views.statistics import get_statistics
from api.views.triggers.trigger import list_triggers
from api.views.workers import list_workers
from shared.jobs.model import JobState

SHOWN = 5
EXPLAINED = 3  # waiting jobs whose reason is looked up
WAITING = (JobState.QUEUED, JobState.RETRY_WAIT)


@page("GET /")
def overview() -> str:
    """Show counts that are kept, and a few of each."""
    triggers = ask(list_triggers, query={"next": SHOWN})
    return render(
        "overview.html",
        counts=ask(get_statistics) if team_seen() is None else None,  # those are of all teams
        states=[*JobState],
        waiting=_waiting(),
        failed=ask(list_jobs, query={"state": [JobState.FAILED], "limit": SHOWN})["jobs"],
        workers=ask(list_workers)["workers"],
        approvals=_approvals(),
        next=_next(triggers["triggers"]),
        pause=triggers["pause"],
        in_words=when_in_words,
        outcomes=OUTCOMES,
    )


def _waiting() -> Sequence[Mapping[str, Any]]:
    found = ask(list_jobs, query={"state": [*WAITING], "limit": EXPLAINED})["jobs"]
    return [ask(get_job, path={"job_id": job["id"]}) for job in found]


def _approvals() -> Sequence[tuple[str, Mapping[str, Any]]]:
    models = ask(list_models, query={"recorded": True})["models"]
    found = [(model["name"], each) for model in models for each in model["waiting"]]
    return found[:SHOWN]


def _next(triggers: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    coming = [each for each in triggers if each["next_at"]]
    return sorted(coming, key=lambda each: str(each["next_at"][0]))
