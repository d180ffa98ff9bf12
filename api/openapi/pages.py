"""Serves /docs (Swagger UI, from files that are installed with the API) and /openapi.json."""

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from flask import Blueprint, Flask, Response, jsonify, redirect, request, send_from_directory
from werkzeug.wrappers import Response as BaseResponse

from api.openapi.document import document
from api.operations.operation import Operation

PAGE = files("api") / "docs_page"
# The browser itself keeps the page from loading anything from elsewhere.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
STARTING_POINTS = {"page": "ui/", "documentation": "docs", "openapi": "openapi.json", "jobs": "jobs", "ready": "readyz"}


def register(app: Flask, operations: Sequence[Operation]) -> None:
    """Add both to the app. The document is built on first request, because that takes as long as the app's start."""
    blueprint = Blueprint("docs", __name__)
    html, script = ((PAGE / name).read_text(encoding="utf-8") for name in ("index.html", "start.js"))

    @blueprint.get("/docs")
    def page() -> BaseResponse:
        if request.path.endswith("/"):
            return redirect("../docs")  # from here, the page would look for its files in the wrong folder
        return Response(html, mimetype="text/html", headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY})

    @blueprint.get("/")
    def start_page() -> BaseResponse:
        if any(kind == "text/html" for kind, _ in request.accept_mimetypes):  # a person's browser names it
            return redirect(f"{request.script_root}/ui/" if request.script_root else "ui/")
        return jsonify({name: f"{request.script_root}/{path}" for name, path in STARTING_POINTS.items()})

    @blueprint.get("/docs/start.js")
    def start() -> Response:
        return Response(script, mimetype="text/javascript")

    @blueprint.get("/docs/swagger/<path:name>")
    def swagger(name: str) -> Response:
        return send_from_directory(str(files("flask_swagger_ui") / "dist"), name)

    @cache
    def described() -> dict[str, Any]:
        return document(operations)

    @blueprint.get("/openapi.json")
    def openapi() -> Response:
        servers = {"servers": [{"url": request.script_root}]} if request.script_root else {}
        # Not by jsonify, which sorts: Swagger would open on another example than the first.
        return Response(json.dumps({**described(), **servers}), mimetype="application/json")

    app.register_blueprint(blueprint)
