"""Errors to application/problem+json (RFC 9457): the one place that knows which error has which status."""

import logging
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, json, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge
from werkzeug.http import HTTP_STATUS_CODES  # the standard library's differ between versions of Python

from api.http.errors import Refusal
from api.http.json_request import MAX_BODY_BYTES
from api.http.request_ids import request_id
from shared.errors import (
    HostNotFound,
    IdempotencyKeyReused,
    JobEnded,
    JobNotEnded,
    JobNotFound,
    RetrainError,
    StateUnknown,
    StoreUnavailable,
)
from shared.secrets.redactor import Redactor

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
STORE_DOWN = (
    "The job store does not answer. Try again; a POST is safe to repeat when it carries the same Idempotency-Key."
)
BUG = "The API failed. Its log has the reason under this request_id."


@dataclass(frozen=True)
class Problem:
    """An error as the caller sees it."""

    status: int
    code: str
    detail: str
    headers: dict[str, str] = field(default_factory=dict)
    members: dict[str, Any] = field(default_factory=dict)

    def response(self) -> Response:
        """The answer."""
        body = {
            "type": "about:blank",
            "title": HTTP_STATUS_CODES[self.status],
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "request_id": request_id(),
            **self.members,
        }
        return Response(json.dumps(body), self.status, self.headers, content_type=MEDIA_TYPE)


def register(app: Flask, redactor: Redactor) -> None:
    """Answer every error with a problem document, without secrets: it may repeat what another program said."""

    def hide(response: Response) -> Response:
        if response.mimetype == MEDIA_TYPE:
            response.set_data(redactor.json(response.get_data(as_text=True)))
        return response

    app.after_request(hide)
    app.register_error_handler(RetrainError, on_known_error)
    app.register_error_handler(HTTPException, on_http_error)
    app.register_error_handler(Exception, on_bug)


def on_known_error(error: RetrainError) -> Response:
    """Answer an error of ours."""
    match error:
        case Refusal():
            problem = Problem(error.status, error.code, error.message, dict(error.headers), dict(error.members))
        case JobNotFound():
            problem = Problem(HTTPStatus.NOT_FOUND, "JOB_NOT_FOUND", error.message)
        case HostNotFound():
            problem = Problem(HTTPStatus.NOT_FOUND, "HOST_NOT_FOUND", error.message)
        case JobEnded():
            problem = Problem(HTTPStatus.CONFLICT, "JOB_ENDED", error.message)
        case StateUnknown():
            problem = Problem(HTTPStatus.CONFLICT, "STATE_UNKNOWN", error.message)
        case JobNotEnded():
            problem = Problem(HTTPStatus.CONFLICT, "JOB_NOT_ENDED", error.message)
        case IdempotencyKeyReused():
            problem = Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "IDEMPOTENCY_KEY_REUSED", error.message)
        case StoreUnavailable():
            logger.warning("job store unavailable", extra={"cause": error.message})
            headers = {"Retry-After": "5"}
            problem = Problem(HTTPStatus.SERVICE_UNAVAILABLE, "STORE_UNAVAILABLE", STORE_DOWN, headers)
        case _:
            return on_bug(error)
    return problem.response()


def on_http_error(error: HTTPException) -> Response:
    """Answer what Flask itself refuses: no such path, not this method, a body that is too large."""
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    headers = {name: value for name, value in error.get_headers() if name.lower() != "content-type"}
    # The name of 413 differs between versions of Python.
    code = "BODY_TOO_LARGE" if isinstance(error, RequestEntityTooLarge) else status.name
    return Problem(status, code, _detail(error), headers).response()


def _detail(error: HTTPException) -> str:
    match error:
        case RequestEntityTooLarge():
            return f"The body is larger than {MAX_BODY_BYTES} bytes."
        case MethodNotAllowed():
            return f"This path does not take {request.method}; it takes {', '.join(sorted(error.valid_methods or ()))}."
        case _ if error.code == HTTPStatus.NOT_FOUND:
            return "There is nothing at this path. GET /docs shows what there is."
    return error.description or ""


def on_bug(error: Exception) -> Response:
    """Answer a fault of ours, which the caller learns nothing about; the log has it."""
    # Flask comes here outside of the log context, too: what breaks after the view.
    facts = {"request_id": request_id(), "method": request.method, "route": str(request.url_rule)}
    logger.error("request failed", exc_info=error, extra=facts)
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "INTERNAL", BUG).response()
