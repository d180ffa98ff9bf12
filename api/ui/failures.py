"""Shows errors to people as pages: what failed, on what, and what to do."""

import json
from http import HTTPStatus

from flask import Response, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from api.access.signed_in import is_page
from api.http.problems import MEDIA_TYPE
from api.ui import visits
from api.ui.rendering import as_answer, render


def as_page(response: Response) -> BaseResponse:
    """Return a page instead of a problem document, if a page was asked for."""
    if response.mimetype != MEDIA_TYPE or not is_page(request):
        return response
    if response.status_code == HTTPStatus.UNAUTHORIZED and request.method == "GET":
        return redirect(url_for("ui.sign_in", next=request.full_path.rstrip("?")))
    problem = json.loads(response.get_data())
    shown = as_answer(Response(render("problem.html", problem=problem), response.status_code, mimetype="text/html"))
    for name in ("Retry-After", "Allow"):
        if name in response.headers:
            shown.headers[name] = response.headers[name]
    return visits.keep(shown)
