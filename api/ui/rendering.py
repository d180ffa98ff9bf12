"""Makes HTML of templates, and tells browsers what a page may do: load nothing from elsewhere, run no inline script."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from flask import Flask, Response, render_template, request, url_for
from markupsafe import Markup

from api.access.authorisation import current_caller, may_act_on
from api.services import services
from api.ui import visits
from api.ui.messages import MESSAGES
from shared.access.callers import CallerKind
from shared.access.roles import Right
from shared.version import service_version

STATIC = Path(str(files("api") / "ui" / "static"))
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# Name, page, and the right without which the page is not shown.
NAVIGATION = (
    ("Overview", "ui.overview", Right.READ),
    ("Jobs", "ui.jobs", Right.READ),
    ("Models", "ui.models", Right.READ),
    ("Triggers", "ui.triggers", Right.READ),
    ("Workers", "ui.workers", Right.READ),
    ("Alerts", "ui.alerts", Right.READ),
    ("Usage", "ui.usage", Right.READ),
    ("Audit", "ui.audit", Right.ADMINISTER),
)
OF_A_COOKIE = frozenset({CallerKind.TOKEN, CallerKind.ENVIRONMENT})


def render(template: str, **facts: Any) -> str:
    """Return the template as HTML. All that is put in is escaped."""
    return render_template(template, **facts)


def as_answer(html: str | Response) -> Response:
    """Return the response with a page's headers; a browser that has the same page already gets a 304."""
    response = Response(html, mimetype="text/html") if isinstance(html, str) else html
    if response.mimetype == "text/html":
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers["Cache-Control"] = "private, no-cache"
        response.vary.add("Cookie")
        if request.method == "GET" and response.status_code == 200:
            response.add_etag()
            response.make_conditional(request)
    return response


def version_of(name: str) -> str | None:
    """Return what changes with the file's content; None if there is no such file."""
    return _versions().get(name)


@cache
def _versions() -> Mapping[str, str]:
    """Read all files once, so that what is kept does not depend on which names are asked for."""
    found = (path for path in STATIC.rglob("*") if path.is_file())
    return {path.relative_to(STATIC).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()[:12] for path in found}


def register(app: Flask) -> None:
    """Give all templates what they need to know."""

    def static(name: str) -> str:
        return url_for("ui.static", name=name, v=version_of(name))

    def can(right: str) -> bool:
        return Right(right) in current_caller().rights

    def navigation() -> list[tuple[str, str]]:
        return [(name, url_for(page)) for name, page, right in NAVIGATION if right in current_caller().rights]

    @app.context_processor
    def known_to_all() -> dict[str, Any]:
        caller, here = current_caller(), services()
        return {
            "caller": caller,
            "can": can,
            "csrf": _hidden_field,
            "may_change": _may_change,
            "navigation": navigation,
            "can_sign_out": caller.kind in OF_A_COOKIE,
            "here": request.path,
            "mlflow": here.links.mlflow,
            "flower": here.links.flower,
            "static": static,
            "told": MESSAGES.get(request.args.get("told", "")),
            "version": service_version(),
        }


def _hidden_field() -> Markup:
    return Markup('<input type="hidden" name="{}" value="{}">').format(visits.FIELD, visits.form_token())


@dataclass(frozen=True)
class _Thing:
    submitted_by: str | None
    team: str | None


def _may_change(thing: Mapping[str, Any]) -> bool:
    """Return whether the caller may act on this answer of the API: a button that would be refused is not shown."""
    return may_act_on(_Thing(thing["submitted_by"], thing["team"]))
