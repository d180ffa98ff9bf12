"""One trigger: when it fires next, why it did and did not fire, its jobs, and what may be done to it."""

from collections.abc import Mapping
from typing import Any

from flask import redirect, request, url_for
from werkzeug.wrappers import Response

from api.access.authorisation import current_caller
from api.services import services
from api.ui.asking import ask
from api.ui.definitions import as_json, as_yaml, leaves
from api.ui.page import page
from api.ui.rendering import render
from api.ui.trigger_words import OUTCOMES, policy_in_words, when_in_words
from api.views.jobs.listing import list_jobs
from api.views.triggers.actions import fire_trigger, list_trigger_events, pause_trigger, resume_trigger
from api.views.triggers.trigger import delete_trigger, get_trigger
from shared.access.roles import Right

EVENTS_SHOWN = 25
JOBS_SHOWN = 5
PARTS = ("template", "when", "policy")


@page("GET /triggers/<name>")
def trigger(name: str) -> str:
    """Show the trigger; ``before`` pages through its events."""
    found = ask(get_trigger, path={"name": name})
    before = {"before": request.args["before"]} if request.args.get("before") else {}
    events = ask(list_trigger_events, path={"name": name}, query={"limit": EVENTS_SHOWN, **before})
    jobs = ask(list_jobs, query={"trigger": name, "limit": JOBS_SHOWN})
    definition = definition_of(found)
    return render(
        "trigger.html",
        trigger=found,
        events=events["events"],
        older=events["events"][-1]["number"] if events["next"] else None,
        jobs=jobs["jobs"],
        says=when_in_words(found["when"]),
        rules=policy_in_words(found["policy"]),
        outcomes=OUTCOMES,
        leaves=list(leaves(definition)),
        yaml=as_yaml(definition),
        json=as_json(definition),
        is_of_file=is_of_file(found),
        may_write=may_write(found),
        fired=request.args.get("fired"),
    )


@page("POST /triggers/<name>/fire", needs=Right.OPERATE)
def fire(name: str) -> Response:
    """Submit its job now. The same form, sent twice, does it once."""
    once = {"Idempotency-Key": f"page {request.form['once'][:100]}"} if request.form.get("once") else {}
    reason = request.form.get("reason", "")
    job = ask(fire_trigger, path={"name": name}, header=once, body={"reason": reason})
    return redirect(url_for("ui.trigger", name=name, fired=job["id"]), 303)


@page("POST /triggers/<name>/pause", needs=Right.OPERATE)
def pause(name: str) -> Response:
    """Let it fire nothing."""
    ask(pause_trigger, path={"name": name}, body={"reason": request.form.get("reason", "")})
    return redirect(url_for("ui.trigger", name=name, told="paused"), 303)


@page("POST /triggers/<name>/resume", needs=Right.OPERATE)
def resume(name: str) -> Response:
    """Let it fire again."""
    ask(resume_trigger, path={"name": name}, body={})
    return redirect(url_for("ui.trigger", name=name, told="resumed"), 303)


@page("GET /triggers/<name>/delete", needs=Right.OPERATE)
def confirm_deletion(name: str) -> str:
    """Ask whether it is to be deleted."""
    found = ask(get_trigger, path={"name": name})
    return render("trigger_delete.html", trigger=found, says=when_in_words(found["when"]))


@page("POST /triggers/<name>/delete", needs=Right.OPERATE)
def delete_it(name: str) -> Response:
    """Delete it."""
    ask(delete_trigger, path={"name": name})
    return redirect(url_for("ui.triggers", told="trigger-deleted"), 303)


def definition_of(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what its author wrote, as POST /triggers takes it."""
    return {"name": found["name"], **{part: found[part] for part in PARTS if found[part]}}


def is_of_file(found: Mapping[str, Any]) -> bool:
    """Return whether only a file of the operator changes it."""
    return found["source"] is not None and services().settings.triggers_dir is not None


def may_write(found: Mapping[str, Any]) -> bool:
    """Return whether the caller may change what it does: a link that would be refused is not shown."""
    caller = current_caller()
    is_own = found["submitted_by"] is None or found["team"] == caller.team or caller.is_of_all_teams
    return Right.OPERATE in caller.rights and is_own and not is_of_file(found)
