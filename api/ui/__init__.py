"""The pages at /ui/: a client of the API's own operations, for people.

It reads and acts only through ``asking``, so that a page shows what the API answers, and may what its caller may.
"""

from flask import Blueprint, Flask, Response, request, send_from_directory

from api.access.authentication import Authentication
from api.access.signed_in import PAGES
from api.ui import failures, live, rendering
from api.ui.pages import found_pages, sign_in

FOREVER_SECONDS = 365 * 24 * 3600


def register(app: Flask, callers: Authentication) -> None:
    """Add the pages to the app. Call it before what answers errors is registered: pages show those as pages."""
    blueprint = Blueprint("ui", __name__, url_prefix=PAGES, template_folder="templates")

    @blueprint.get("/static/<path:name>")
    def static(name: str) -> Response:
        is_versioned = "v" in request.args and request.args["v"] == rendering.version_of(name)
        response = send_from_directory(rendering.STATIC, name, max_age=FOREVER_SECONDS if is_versioned else None)
        if is_versioned:
            response.cache_control.immutable = True
        return response

    for each in found_pages():
        blueprint.add_url_rule(each.path, endpoint=each.name, view_func=each, methods=[each.method])
    sign_in.register(blueprint, callers)
    live.register(blueprint)
    app.register_blueprint(blueprint)
    app.after_request(failures.as_page)
    rendering.register(app)
