"""Turns errors into application/problem+json (RFC 9457): the only place that knows which error has which status."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, g, json, request
from pydantic import Field
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge
from werkzeug.http import HTTP_STATUS_CODES  # the standard library's names differ between versions of Python

from api.http.errors import FieldError, Refusal
from api.http.json_request import MAX_BODY_BYTES
from api.http.models import AnswerBody
from api.http.request_ids import request_id
from shared.errors import (
    HostNotFound,
    IdempotencyKeyReused,
    JobEnded,
    JobNotEnded,
    JobNotFound,
    JobNotWaiting,
    ModelOfAnotherTeam,
    NotChampion,
    ObservationRefused,
    PromotionNotFound,
    PromotionSettled,
    RetrainError,
    StateUnknown,
    StoreUnavailable,
    TokenEnded,
    TokenExists,
    TokenNotFound,
    TooManyJobsQueued,
    TriggerChanged,
    TriggerExists,
    TriggerNotFound,
)
from shared.secrets.redactor import Redactor

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
STORE_DOWN = (
    "The job store does not answer. Try again; a POST is safe to repeat when it carries the same Idempotency-Key."
)
FAILED = "The API failed. Its log has the reason under this request_id."


class Problem(AnswerBody):
    """An error (RFC 9457), as application/problem+json."""

    type: str
    title: str
    status: int
    code: str = Field(description="What exactly is wrong, for programs.")
    detail: str = Field(description="The same for people.")
    request_id: str
    errors: tuple[FieldError, ...] = Field((), description="What is wrong with the request (with status 422).")
    store: str | None = Field(None, description="ok or unavailable (NOT_READY).")
    redis: str | None = Field(None, description="ok or unavailable (NOT_READY).")
    live_workers: int | None = Field(None, description="NOT_READY only.")

    @classmethod
    def of(cls, kind: "Kind", detail: str, request_id: str, members: Mapping[str, Any] | None = None) -> "Problem":
        """Return the problem document for an error of this kind."""
        facts = {"status": int(kind.status), "code": kind.code, "detail": detail, "request_id": request_id}
        title = HTTP_STATUS_CODES[kind.status]
        return cls.model_validate({"type": "about:blank", "title": title, **facts, **(members or {})})

    def as_json(self) -> dict[str, Any]:
        """Return the members that this problem has."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


@dataclass(frozen=True)
class Kind:
    """How errors of a class are answered."""

    status: HTTPStatus
    code: str
    headers: Mapping[str, str] = field(default_factory=dict)


BUG = Kind(HTTPStatus.INTERNAL_SERVER_ERROR, "INTERNAL")
OF_SHARED: Mapping[type[RetrainError], Kind] = {
    JobNotFound: Kind(HTTPStatus.NOT_FOUND, "JOB_NOT_FOUND"),
    HostNotFound: Kind(HTTPStatus.NOT_FOUND, "HOST_NOT_FOUND"),
    JobEnded: Kind(HTTPStatus.CONFLICT, "JOB_ENDED"),
    StateUnknown: Kind(HTTPStatus.CONFLICT, "STATE_UNKNOWN"),
    ModelOfAnotherTeam: Kind(HTTPStatus.FORBIDDEN, "MODEL_OF_ANOTHER_TEAM"),
    PromotionNotFound: Kind(HTTPStatus.NOT_FOUND, "PROMOTION_NOT_FOUND"),
    PromotionSettled: Kind(HTTPStatus.CONFLICT, "PROMOTION_SETTLED"),
    NotChampion: Kind(HTTPStatus.CONFLICT, "NOT_CHAMPION"),
    ObservationRefused: Kind(HTTPStatus.CONFLICT, "OBSERVATION_REFUSED"),
    JobNotEnded: Kind(HTTPStatus.CONFLICT, "JOB_NOT_ENDED"),
    JobNotWaiting: Kind(HTTPStatus.CONFLICT, "JOB_NOT_WAITING"),
    TooManyJobsQueued: Kind(HTTPStatus.TOO_MANY_REQUESTS, "TOO_MANY_JOBS_QUEUED"),
    IdempotencyKeyReused: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "IDEMPOTENCY_KEY_REUSED"),
    TriggerNotFound: Kind(HTTPStatus.NOT_FOUND, "TRIGGER_NOT_FOUND"),
    TriggerExists: Kind(HTTPStatus.CONFLICT, "TRIGGER_EXISTS"),
    TriggerChanged: Kind(HTTPStatus.PRECONDITION_FAILED, "TRIGGER_CHANGED"),
    TokenNotFound: Kind(HTTPStatus.NOT_FOUND, "TOKEN_NOT_FOUND"),
    TokenExists: Kind(HTTPStatus.CONFLICT, "TOKEN_EXISTS"),
    TokenEnded: Kind(HTTPStatus.CONFLICT, "TOKEN_ENDED"),
    StoreUnavailable: Kind(HTTPStatus.SERVICE_UNAVAILABLE, "STORE_UNAVAILABLE", {"Retry-After": "5"}),
}


def kind_of(error: type[RetrainError]) -> Kind:
    """Return how errors of this class are answered; an unexpected class is a bug of ours."""
    if issubclass(error, Refusal):
        return Kind(error.status, error.code, error.headers)
    return OF_SHARED.get(error, BUG)


def register(app: Flask, redactor: Redactor) -> None:
    """Answer every error with a problem document, redacted because it may repeat another program's message."""

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
    kind = kind_of(type(error))
    if kind is BUG:
        return on_bug(error)
    if isinstance(error, StoreUnavailable):
        logger.warning("job store unavailable", extra={"cause": error.message})
        return _answer(kind, STORE_DOWN)
    if isinstance(error, Refusal):
        return _answer(replace(kind, headers=error.own_headers), error.message, error.members)
    return _answer(kind, error.message)


def on_http_error(error: HTTPException) -> Response:
    """Answer what Flask itself refuses: an unknown path, a wrong method, a body that is too large."""
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    headers = {name: value for name, value in error.get_headers() if name.lower() != "content-type"}
    # The name of 413 differs between versions of Python.
    code = "BODY_TOO_LARGE" if isinstance(error, RequestEntityTooLarge) else status.name
    return _answer(Kind(status, code, headers), _detail(error))


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
    """Answer a bug of ours; only the log has the details."""
    # Flask also comes here outside the log context, for what breaks after the view.
    facts = {"request_id": request_id(), "method": request.method, "route": str(request.url_rule)}
    logger.error("request failed", exc_info=error, extra=facts)
    return _answer(BUG, FAILED)


def _answer(kind: Kind, detail: str, members: Mapping[str, Any] | None = None) -> Response:
    g.problem = kind.code  # for the audit
    body = Problem.of(kind, detail, request_id(), members).as_json()
    return Response(json.dumps(body), kind.status, dict(kind.headers), content_type=MEDIA_TYPE)
