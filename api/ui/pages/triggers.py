"""The triggers: when each fires next, what came of it last, and pausing all of them."""

from flask import redirect, request, url_for
from werkzeug.wrappers import Response

from api.access.authorisation import current_caller, team_seen
from api.ui.asking import ask
from api.ui.page import page
from api.ui.rendering import render
from api.ui.trigger_words import OUTCOMES, when_in_words
from api.views.triggers.actions import pause_triggers, resume_triggers
from api.views.triggers.trigger import list_triggers
from shared.access.roles import Right


@page("GET /triggers")
def triggers() -> str:
    """Show all triggers, by name."""
    found = ask(list_triggers)
    may_pause_all = Right.OPERATE in current_caller().rights and team_seen() is None
    return render("triggers.html", **found, in_words=when_in_words, outcomes=OUTCOMES, may_pause_all=may_pause_all)


@page("POST /triggers/pause", needs=Right.OPERATE)
def pause_all() -> Response:
    """Let no trigger fire."""
    ask(pause_triggers, body={"reason": request.form.get("reason", "")})
    return redirect(url_for("ui.triggers", told="all-paused"), 303)


@page("POST /triggers/resume", needs=Right.OPERATE)
def resume_all() -> Response:
    """Let triggers fire again."""
    ask(resume_triggers, body={})
    return redirect(url_for("ui.triggers", told="all-resumed"), 303)
