"""What the document says about answers: their bodies, headers and the problems that each operation may answer."""

from http import HTTPStatus
from typing import Any

from flask_openapi3.models.tag import Tag
from flask_openapi3.types import ResponseDict
from pydantic import BaseModel
from werkzeug.http import HTTP_STATUS_CODES

from api.http.problems import MEDIA_TYPE

SCHEMAS = "#/components/schemas/"
JOBS = Tag(name="jobs", description="Retrainings.")
WORKERS = Tag(name="workers", description="Hosts with a worker.")
ALERTS = Tag(name="alerts", description="Who is told of jobs.")
MODELS = Tag(name="models", description="Champions in MLflow's model registry.")
HEALTH = Tag(name="health", description="Is the service there? Open to all.")
BEARER: list[dict[str, list[str]]] = [{"bearer": []}]

HEADERS = {
    "Location": "The job's address.",
    "ETag": "Changes with all that is answered of the job; send it as If-None-Match.",
    "Retry-After": "Seconds until it is worth asking again.",
    "Link": 'The next page, as <…>; rel="next"; absent on the last one.',
    "Idempotency-Replayed": "true when the job is that of an earlier request with this Idempotency-Key.",
    "X-Log-Attempt": "The attempt whose log this is; 0 while there is none.",
    "X-Log-Offset": "Where in the log the answer begins, in bytes.",
    "X-Log-Next-Offset": "The offset to ask for next.",
    "X-Log-Size": "Bytes in the log so far.",
    "X-Request-Id": "This request's id: the one that you sent, or a new one.",
    "WWW-Authenticate": "How to authenticate.",
}

PROBLEMS = {
    HTTPStatus.BAD_REQUEST: ("MALFORMED_JSON", "The body is no JSON object."),
    HTTPStatus.UNAUTHORIZED: ("UNAUTHORIZED", "No bearer token, or none that is known."),
    HTTPStatus.FORBIDDEN: (
        "LOOPBACK_ONLY",
        "No tokens are set, so only the API's own machine is served. FOREIGN_ORIGIN: a web page of another origin asks "
        "for a change. METRICS_ONLY: the token is one of METRICS_TOKENS.",
    ),
    HTTPStatus.NOT_FOUND: ("JOB_NOT_FOUND", "There is no such job (or attempt: ATTEMPT_NOT_FOUND)."),
    HTTPStatus.CONFLICT: ("JOB_ENDED", "The job has ended; there is nothing to cancel."),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (
        "BODY_TOO_LARGE",
        "The body is larger than 1 MB, or holds more text or values than any job needs.",
    ),
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: ("UNSUPPORTED_MEDIA_TYPE", "The body is not sent as application/json."),
    HTTPStatus.UNPROCESSABLE_ENTITY: (
        "VALIDATION_FAILED",
        "Something in the request is wrong; errors[] points at it. "
        "IDEMPOTENCY_KEY_REUSED: the key was used with another body.",
    ),
    HTTPStatus.INTERNAL_SERVER_ERROR: ("INTERNAL", "A fault of the API; its log has the reason under the request_id."),
    HTTPStatus.SERVICE_UNAVAILABLE: ("STORE_UNAVAILABLE", "The job store does not answer for now."),
}
ALWAYS = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE,
)


def answer(description: str, model: type[BaseModel] | None = None, *headers: str) -> dict[str, Any]:
    """An answer with a JSON body, or with none."""
    content = {"application/json": {"schema": {"$ref": f"{SCHEMAS}{model.__name__}"}}} if model else None
    return {"description": description, "headers": _headers(*headers), **({"content": content} if content else {})}


def text(description: str, *headers: str) -> dict[str, Any]:
    """An answer of plain text."""
    return {
        "description": description,
        "headers": _headers(*headers),
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }


def event_stream(response: dict[str, Any]) -> dict[str, Any]:
    """The answer, which may be asked for as server-sent events too."""
    return {**response, "content": {**response["content"], "text/event-stream": {"schema": {"type": "string"}}}}


def problems(*special: HTTPStatus) -> ResponseDict:
    """The problems that every protected operation may answer, and the special ones of this operation."""
    return {int(status): problem(status) for status in sorted((*ALWAYS, *special))}


def problem(status: HTTPStatus, *, code: str = "", description: str = "") -> dict[str, Any]:
    """A problem document."""
    usual_code, usual_description = PROBLEMS[status]
    headers = {
        HTTPStatus.UNAUTHORIZED: ("WWW-Authenticate",),
        HTTPStatus.SERVICE_UNAVAILABLE: ("Retry-After",),
    }.get(status, ())
    example = {
        "type": "about:blank",
        "title": HTTP_STATUS_CODES[status],
        "status": int(status),
        "code": code or usual_code,
        "detail": description or usual_description,
        "request_id": "2f1c1be7b0a04f4f8e0f0c8d6a3c9a11",
    }
    content = {MEDIA_TYPE: {"schema": {"$ref": f"{SCHEMAS}Problem"}, "example": example}}
    return {"description": description or usual_description, "headers": _headers(*headers), "content": content}


def _headers(*names: str) -> dict[str, Any]:
    return {name: {"description": HEADERS[name], "schema": {"type": "string"}} for name in (*names, "X-Request-Id")}
