"""What was told to whom: alerts, the channels that they go to, and what may be sent in from outside."""

from dataclasses import dataclass

from flask import redirect, request, url_for
from werkzeug.wrappers import Response

from api.services import services
from api.ui.asking import ask, own_query
from api.ui.page import page
from api.ui.rendering import render
from api.views.alerts import list_alert_channels, list_alerts, test_alerts
from api.views.jobs.job import get_job
from api.views.triggers.trigger import list_triggers
from shared.access.roles import Right
from shared.alerts.model import AlertState
from shared.jobs.triggers import Kind

OF_ONE_JOB = 20
SENDERS = (
    ("GitHub", "/hooks/github", Kind.GIT),
    ("GitLab", "/hooks/gitlab", Kind.GIT),
    ("Gitea and Forgejo", "/hooks/gitea", Kind.GIT),
    ("MLflow", "/hooks/mlflow", Kind.REGISTRY),
)
TRIED = {  # what became of a test message, in words
    "sent": "arrived",
    "refused": "was refused, until somebody acts",
    "not_now": "was not taken now; alerts are tried again",
    "no_worker": "was not sent",
    "no_answer": "has no answer yet",
}


@dataclass(frozen=True)
class Sender:
    """Who may send something in: where to, and how many triggers wait for it."""

    name: str
    address: str
    waiting: int


@page("GET /alerts")
def alerts() -> str:
    """Show the alerts that the address's filters match, the newest first."""
    return _shown()


@page("POST /alerts/test", needs=Right.OPERATE)
def try_alerts() -> str:
    """Have a worker send a test message, and show what became of it."""
    channel = request.form.get("channel", "")
    return _shown(tried=ask(test_alerts, body={"to": [channel]} if channel else {})["results"])


@page("GET /alerts/test")
def tried_alerts() -> Response:
    """Lead back from the answer to a form, which a browser may ask for again by itself."""
    return redirect(url_for("ui.alerts"), 303)


@page("GET /jobs/<job_id>/alerts")
def job_alerts(job_id: str) -> str:
    """Show one job's alerts; its page takes them from here."""
    ask(get_job, path={"job_id": job_id})  # which says so if there is none
    found = ask(list_alerts, query={"job_id": job_id, "limit": OF_ONE_JOB})
    return render("job_alerts_page.html", alerts=found["alerts"], has_more=found["next"] is not None, job_id=job_id)


def _shown(tried: object = ()) -> str:
    query = own_query() if request.method == "GET" else {}
    found, channels = ask(list_alerts, query=query), ask(list_alert_channels)
    triggers = ask(list_triggers)["triggers"]
    waiting = [each["kind"] for each in triggers if each["has_secret"]]
    api = services().links.below(request.script_root).api or request.url_root.rstrip("/")
    senders = [Sender(name, f"{api}{path}", waiting.count(kind)) for name, path, kind in SENDERS]
    return render(
        "alerts.html",
        alerts=found["alerts"],
        next=found["next"],
        channels=channels["channels"],
        events=channels["events"],
        states=[*AlertState],
        senders=senders,
        signals=[each["name"] for each in triggers if each["kind"] == Kind.SIGNAL],
        signal_address=f"{api}/triggers/NAME/signal",
        tried=tried,
        words=TRIED,
    )
