"""Signing in with a token, once, and signing out."""

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from api.access.authentication import Authentication
from api.http.errors import NotAuthenticated
from api.ui import visits
from api.ui.rendering import as_answer, render


def register(blueprint: Blueprint, callers: Authentication) -> None:
    """Add the page, which is open to all, and its two actions."""

    @blueprint.get("/sign-in")
    def sign_in() -> Response:
        return visits.keep(as_answer(render("sign_in.html", next=_next())))

    @blueprint.post("/sign-in")
    def enter() -> BaseResponse:
        visits.require_own_form()
        try:
            cookie = callers.sign_in(request, request.form.get("token", "").strip())
        except NotAuthenticated as refusal:
            shown = render("sign_in.html", next=_next(), refusal=refusal.message)
            return as_answer(Response(shown, 401, mimetype="text/html"))
        return visits.begin(redirect(_next(), 303), cookie)  # type: ignore[arg-type]

    @blueprint.post("/sign-out")
    def sign_out() -> BaseResponse:
        visits.require_own_form()
        callers.signed_in.end(request)
        return visits.forget(redirect(url_for("ui.sign_in", told="signed-out"), 303))  # type: ignore[arg-type]


def _next() -> str:
    """Return where to go afterwards: a page of ours, whatever the address says."""
    wanted = request.values.get("next", "")
    is_ours = wanted.startswith("/ui/") and "\\" not in wanted and wanted.isprintable()
    return f"{request.script_root}{wanted}" if is_ours else url_for("ui.jobs")
