"""Asks the API's own operations, as the caller of this request: the only way in which a page reads or acts."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Response, request

from api.access import refused
from api.http.problems import on_known_error
from api.operations.operation import Operation
from shared.errors import RetrainError

PAGES_OWN = frozenset({"told"})  # query parameters of pages, and not of what they ask


def ask(operation: Operation, **given: Mapping[str, Any]) -> Any:
    """Return the operation's JSON answer. ``given`` is by place, as in ``path={"job_id": …}, body={"force": True}``.

    Raises what the operation raises, which is shown as a page.
    """
    response = ask_response(operation, **given)
    return json.loads(response.get_data()) if response.mimetype == "application/json" else None


@dataclass(frozen=True)
class Outcome:
    """What became of one of several requests: the operation's answer, or why it was refused."""

    answer: Any = None
    refusal: str | None = None


def ask_one_of_several(operation: Operation, *, about: str, **given: Mapping[str, Any]) -> Outcome:
    """Ask as `ask` does, and return a refusal in the API's words; the audit has it as one of ``about``."""
    try:
        return Outcome(ask(operation, **given))
    except RetrainError as error:
        problem = json.loads(on_known_error(error).get_data())
        refused.note(operation.id, about, problem["code"])
        return Outcome(refusal=problem["detail"])


def ask_response(operation: Operation, **given: Mapping[str, Any]) -> Response:
    """Return the operation's answer as it is, such as a log."""
    return operation.ask(**given)


def own_query(**more: Any) -> dict[str, Any]:
    """Return this page's query as an operation takes it: empty fields of a form say nothing."""
    sent = {name: values for name, values in request.args.lists() if name not in PAGES_OWN and any(values)}
    return {**{name: values[0] if len(values) == 1 else values for name, values in sent.items()}, **more}
