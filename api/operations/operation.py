"""The decorator that turns a view into an operation, with its route, its checks and its documentation."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from flask import Response, request
from pydantic import BaseModel

from api.access.authorisation import act, is_to_be_proven, require
from api.http.errors import (
    BodyTooLarge,
    ForeignPage,
    InvalidRequest,
    IssuerUnavailable,
    MalformedBody,
    MetricsOnly,
    NotAllowed,
    NotAuthenticated,
    NotFromThisMachine,
    TooManyRequests,
    TooManyWrongTokens,
    WrongContentType,
)
from api.operations.answers import Answer, Tag, json_response
from api.operations.inputs import Input, inputs_of
from shared.access.acts import acting
from shared.access.roles import Right
from shared.errors import RetrainError, StoreUnavailable

View = Callable[..., Response | BaseModel]
Errors = tuple[type[RetrainError], ...]

OF_BODIES: Errors = (MalformedBody, BodyTooLarge, WrongContentType)
OF_CHECKS: Errors = (
    NotAuthenticated,
    TooManyWrongTokens,
    NotAllowed,
    NotFromThisMachine,
    ForeignPage,
    MetricsOnly,
    InvalidRequest,
)


@dataclass(frozen=True)
class Operation:
    """One operation. Called with the values in its path, it answers the current request."""

    method: str
    path: str  # in Flask's form: /jobs/<job_id>
    view: View
    inputs: tuple[Input, ...]
    tag: Tag
    answers: tuple[Answer, ...]  # the first one applies if the view returns a model
    raises: Errors
    needs: Right | None  # None: open to all
    body_examples: Mapping[str, Any]
    signed_in: tuple[str, ...] = ()

    def __call__(self, **path_values: str) -> Response:
        """See whether the caller may, read the request, call the view, and answer with what it returns."""
        if self.needs is not None and not is_to_be_proven():
            require(self.needs)
        return self._perform({each.place: each.read(request, path_values) for each in self.inputs})

    def ask(self, **given: Mapping[str, Any]) -> Response:
        """Answer somebody who asks for it through a page, with the same checks; ``given`` is by place (path, query)."""
        if self.needs is not None:
            require(self.needs)
        return self._perform({each.place: each.check(given.get(each.place, {})) for each in self.inputs})

    def _perform(self, read: Mapping[str, BaseModel]) -> Response:
        with acting(act(self.id)):
            returned = self.view(**read)
        return returned if isinstance(returned, Response) else json_response(returned, self.answers[0].status)

    @cached_property
    def id(self) -> str:
        """The view's name in camel case."""
        first, *more = self.view.__name__.split("_")
        return first + "".join(word.capitalize() for word in more)

    @cached_property
    def documentation(self) -> tuple[str, str]:
        """The view's docstring: its first line, and the rest."""
        summary, _, description = inspect.cleandoc(self.view.__doc__ or "").partition("\n")
        return summary, description.strip()

    @cached_property
    def errors(self) -> Errors:
        """The errors that it may answer: for its inputs, for access, and those that its view declares."""
        takes_body = bool(self.signed_in) or any(each.place == "body" for each in self.inputs)
        return (
            *(OF_BODIES if takes_body else ()),
            *(OF_CHECKS if self.needs else ()),
            TooManyRequests,
            *((ForeignPage,) if self.signed_in and not self.needs else ()),
            *self.raises,
            *((StoreUnavailable,) if self.needs or self.signed_in else ()),
            *((IssuerUnavailable,) if self.needs else ()),
        )


def operation(
    route: str,
    *answers: Answer,
    tag: Tag,
    needs: Right | None,
    raises: Sequence[type[RetrainError]] = (),
    body_examples: Mapping[str, Any] | None = None,
    signed_in: Sequence[str] = (),
) -> Callable[[View], Operation]:
    """Turn a view into an operation: ``@operation("GET /jobs/<job_id>", Answer("The job.", Job), tag=Tag.JOBS)``.

    The view's parameters may be header, path, query and body; their types are the models that check them. It returns
    a response, or a model that is sent with the first answer's status. Its docstring is the operation's documentation,
    written for the caller. ``needs`` is the right without which nobody may call it. Where the sender may sign instead
    of sending a token, the view itself reads the body, and ``signed_in`` names the headers with the signature.
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
            needs=needs,
            body_examples=body_examples or {},
            signed_in=tuple(signed_in),
        )

    return decorate
