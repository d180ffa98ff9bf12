"""Describes one operation in OpenAPI."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from pydantic import BaseModel

from api.http.problems import BUG, MEDIA_TYPE, Kind, Problem, kind_of
from api.operations.answers import JSON, Answer
from api.operations.inputs import Input
from api.operations.operation import Operation

SCHEMAS = "#/components/schemas/"
Models = dict[type[BaseModel], dict[str, Any]]  # a reference for each, or the whole schema if it describes parameters

BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": "A token of POST /tokens (art_…), one of API_TOKENS, or a signed token (JWT) of OIDC_ISSUER. Where "
    "none is set up, the API serves only its own machine, without a token.",
}
FAULT = "A bug in the API; its log has the reason under the request_id."
REQUEST_ID = {"X-Request-Id": "This request's id: the one that you sent, or a new one."}
OF_PROBLEMS = {
    "Accept-Post": "What the body may be.",
    "Retry-After": "Seconds until it is worth asking again.",
    "WWW-Authenticate": "How to authenticate.",
}


def describe(operation: Operation, models: Models) -> dict[str, Any]:
    """Return the complete description."""
    summary, description = operation.documentation
    taken = {each.place: each for each in operation.inputs}
    parameters = [
        parameter
        for place in ("header", "path", "query")
        if (each := taken.get(place))
        for parameter in _parameters(each, models)
    ]
    return {
        "tags": [operation.tag.name.lower()],
        "summary": summary,
        "description": description,
        "operationId": operation.id,
        **({"parameters": parameters} if parameters else {}),
        **({"requestBody": _body(taken["body"], operation, models)} if "body" in taken else {}),
        **({"requestBody": _signed_body(operation)} if operation.signed_in else {}),
        "responses": {**_answers(operation.answers, models), **_problems(operation, models)},
        **({"security": security} if (security := _security(operation)) else {}),
    }


def signature_schemes(operations: Iterable[Operation]) -> dict[str, Any]:
    """Return the security schemes of all headers in which senders sign."""
    names = sorted({name for operation in operations for name in operation.signed_in})
    return {
        name.lower(): {"type": "apiKey", "in": "header", "name": name, "description": "Of the body, by a secret."}
        for name in names
    }


def _security(operation: Operation) -> list[dict[str, Any]]:
    """Return the ways to prove who sends it, of which one is needed."""
    token: list[dict[str, Any]] = [{"bearer": []}] if operation.needs else []
    return [*token, *({name.lower(): []} for name in operation.signed_in)]


def _signed_body(operation: Operation) -> dict[str, Any]:
    examples = {"examples": dict(operation.body_examples)} if operation.body_examples else {}
    return {"content": {JSON: {"schema": {"type": "object"}, **examples}}, "required": True}


def _parameters(taken: Input, models: Models) -> Iterator[dict[str, Any]]:
    schema = models[taken.model]
    for name, each in schema.get("properties", {}).items():
        yield {
            "name": name,
            "in": taken.place,
            "description": each.get("description", ""),
            "required": name in schema.get("required", ()),
            "schema": each,
        }


def _body(taken: Input, operation: Operation, models: Models) -> dict[str, Any]:
    examples = {"examples": dict(operation.body_examples)} if operation.body_examples else {}
    return {"content": {JSON: {"schema": models[taken.model], **examples}}, "required": taken.is_required}


def _answers(answers: Iterable[Answer], models: Models) -> dict[str, Any]:
    return {str(int(each.status)): _answer(each, models) for each in answers}


def _answer(answer: Answer, models: Models) -> dict[str, Any]:
    content: dict[str, Any] = {kind: {"schema": {"type": "string"}} for kind in answer.media_types}
    if answer.body:
        content[JSON] = {"schema": models[answer.body], **({"example": answer.example} if answer.example else {})}
    described = {"description": answer.description, "headers": _headers(answer.headers)}
    return {**described, "content": content} if content else described


def _problems(operation: Operation, models: Models) -> dict[str, Any]:
    """Return, for each status, all errors that are answered with it."""
    found = [(kind_of(error), error.__doc__ or "") for error in operation.errors]
    if operation.needs:
        found.append((BUG, FAULT))
    found.sort(key=lambda each: each[0].status)
    return {
        str(int(status)): _problem(list(same), models) for status, same in groupby(found, lambda each: each[0].status)
    }


def _problem(found: list[tuple[Kind, str]], models: Models) -> dict[str, Any]:
    (kind, says), *others = found
    description = " ".join([says, *(f"{other.code}: {meaning}" for other, meaning in others)])
    headers = {name: OF_PROBLEMS[name] for each, _ in found for name in each.headers}
    example = Problem.of(kind, says, "2f1c1be7b0a04f4f8e0f0c8d6a3c9a11").as_json()
    content = {MEDIA_TYPE: {"schema": models[Problem], "example": example}}
    return {"description": description, "headers": _headers(headers), "content": content}


def _headers(said: Mapping[str, str]) -> dict[str, Any]:
    return {
        name: {"description": words, "schema": {"type": "string"}} for name, words in {**said, **REQUEST_ID}.items()
    }
