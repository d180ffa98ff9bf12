"""Gives each request an id: in the answer's X-Request-Id, in problem documents and in log lines."""

import re
import uuid
from typing import cast

from flask import Flask, Response, g, request

HEADER = "X-Request-Id"
SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def request_id() -> str:
    """Return the current request's id: the caller's own if it is sane, else a new one."""
    if "request_id" not in g:
        given = request.headers.get(HEADER, "")
        g.request_id = given if SANE.fullmatch(given) else uuid.uuid4().hex
    return cast(str, g.request_id)


def register(app: Flask) -> None:
    """Add the id, and the headers common to all answers."""

    @app.after_request
    def complete(response: Response) -> Response:
        response.headers[HEADER] = request_id()
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers.setdefault("Cache-Control", "no-cache")  # ask again, with If-None-Match
        return response
