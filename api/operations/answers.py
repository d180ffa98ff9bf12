"""Declares what an operation answers when it succeeds, and under which tag it is documented."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from typing import Any

from flask import Response
from pydantic import BaseModel

JSON = "application/json"


class Tag(Enum):
    """The groups of operations, in the order in which the documentation shows them."""

    JOBS = "Retrainings."
    TRIGGERS = "Retrainings that start by themselves."
    MODELS = "Champions in MLflow's model registry."
    WORKERS = "Hosts with a worker."
    ALERTS = "Who is told of jobs."
    ACCESS = "Who may do what, and who did what."
    HEALTH = "Is the service there? Open to all."


@dataclass(frozen=True)
class Answer:
    """One answer. Without a body's model or a media type, it has no content."""

    description: str
    body: type[BaseModel] | None = None
    status: HTTPStatus = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)  # names and their meaning
    media_types: tuple[str, ...] = ()  # of text answers; a body is JSON
    example: Any = None


def json_response(body: BaseModel, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """Return the model as JSON; NaN and infinity as null."""
    return Response(body.model_dump_json(by_alias=True), status, mimetype=JSON)
