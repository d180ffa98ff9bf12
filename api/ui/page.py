"""The decorator that turns a view into a page, with its route and its checks."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPMethod

from flask import Response
from werkzeug.wrappers import Response as BaseResponse

from api.access.authorisation import require
from api.ui import visits
from api.ui.rendering import as_answer
from shared.access.roles import Right

Shown = str | BaseResponse
View = Callable[..., Shown]


@dataclass(frozen=True)
class Page:
    """One page, or one action of a page's form. Called with the values in its path, it answers the current request."""

    method: str
    path: str  # below /ui, in Flask's form: /jobs/<job_id>
    view: View
    needs: Right

    def __call__(self, **path_values: str) -> BaseResponse:
        """See whether the caller may and whether a form is our own, and answer with what the view returns."""
        require(self.needs)
        if self.method != HTTPMethod.GET:
            visits.require_own_form()
        shown = self.view(**path_values)
        return visits.keep(as_answer(shown)) if isinstance(shown, (str, Response)) else shown

    @property
    def name(self) -> str:
        """By which templates refer to it: ``url_for("ui.NAME")``."""
        return self.view.__name__


def page(route: str, *, needs: Right = Right.READ) -> Callable[[View], Page]:
    """Turn a view into a page: ``@page("GET /jobs/<job_id>")``. It returns HTML, or a response such as a redirect."""
    method, path = route.split()
    return lambda view: Page(method, path, view, needs)
