"""The decorator that makes an operation of a view. Its route, reading, checks and documentation follow from that."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from flask import Response, request
from pydantic import BaseModel

from api.http.errors import (
    BodyTooLarge,
    ForeignPage,
    InvalidRequest,
    MalformedBody,
    MetricsOnly,
    NotAuthenticated,
    NotFromThisMachine,
    WrongContentType,
)
from api.operations.answers import Answer, Tag, json_response
from api.operations.inputs import Input, inputs_of
from shared.errors import RetrainError, StoreUnavailable

View = Callable[..., Response | BaseModel]
Errors = tuple[type[RetrainError], ...]

OF_BODIES: Errors = (MalformedBody, BodyTooLarge, WrongContentType)
OF_CHECKS: Errors = (NotAuthenticated, NotFromThisMachine, ForeignPage, MetricsOnly, InvalidRequest)


@dataclass(frozen=True)
class Operation:
    """One operation. Called with the values in its path, it answers the request at hand."""

    method: str
    path: str  # as Flask writes it: /jobs/<job_id>
    view: View
    inputs: tuple[Input, ...]
    tag: Tag
    answers: tuple[Answer, ...]  # the first one is that of a view which returns a model
    raises: Errors
    needs_token: bool
    body_examples: Mapping[str, Any]

    def __call__(self, **path_values: str) -> Response:
        """Read the request, call the view, and answer with what it returns."""
        read = {each.place: each.read(request, path_values) for each in self.inputs}
        returned = self.view(**read)
        return returned if isinstance(returned, Response) else json_response(returned, self.answers[0].status)

    @cached_property
    def id(self) -> str:
        """The view's name, as OpenAPI writes names."""
        first, *more = self.view.__name__.split("_")
        return first + "".join(word.capitalize() for word in more)

    @cached_property
    def documentation(self) -> tuple[str, str]:
        """The view's docstring: its first line, and all that follows."""
        summary, _, description = inspect.cleandoc(self.view.__doc__ or "").partition("\n")
        return summary, description.strip()

    @cached_property
    def errors(self) -> Errors:
        """What it may be refused with: for what it takes, for who asks, and what its view says that it raises."""
        takes_body = any(each.place == "body" for each in self.inputs)
        return (
            *(OF_BODIES if takes_body else ()),
            *(OF_CHECKS if self.needs_token else ()),
            *self.raises,
            *((StoreUnavailable,) if self.needs_token else ()),
        )


def operation(
    route: str,
    *answers: Answer,
    tag: Tag,
    raises: Sequence[type[RetrainError]] = (),
    needs_token: bool = True,
    body_examples: Mapping[str, Any] | None = None,
) -> Callable[[View], Operation]:
    """Make an operation of a view: ``@operation("GET /jobs/<job_id>", Answer("The job.", Job), tag=Tag.JOBS)``.

    The view's parameters are called header, path, query and body, as far as it takes them; their types are the models
    that check them. It returns a response, or a model that is sent with the first answer's status. Its docstring is
    the operation's documentation, written for the caller.
    """
    method, path = route.split()

    def decorate(view: View) -> Operation:
        return Operation(
            method=method,
            path=path,
            view=view,
            inputs=inputs_of(view),
            tag=tag,
            answers=answers,
            raises=tuple(raises),
            needs_token=needs_token,
            body_examples=body_examples or {},
        )

    return decorate
