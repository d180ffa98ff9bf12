"""Turns pydantic's errors about a request into messages for the caller: where it is wrong, and what would be right."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from itertools import groupby, islice
from typing import Any, Literal, NoReturn

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from api.http.errors import FieldError, InvalidRequest
from shared.requests.retrain_request import EARLIER_NAMES

MAX_SHOWN = 100
MAX_ERRORS = 50  # reported at once, because every unknown name is compared with all known ones


Place = Literal["body", "query", "header"]


def refuse(error: ValidationError, model: type[BaseModel], place: Place, sent: Mapping[str, Any]) -> NoReturn:
    """Raise InvalidRequest for what the model found in that place of the request, where this was sent."""
    raise InvalidRequest(errors_of(error, model, place, dict(sent) if place == "body" else None)) from None


def errors_of(
    error: ValidationError, model: type[BaseModel], place: Place, body: dict[str, Any] | None
) -> list[FieldError]:
    """Return what the model found, each place once."""
    found = error.errors(include_url=False, include_input=False)
    located = sorted(((_locate(e, body), e) for e in found), key=lambda pair: pair[0])
    groups = islice(groupby(located, key=lambda pair: pair[0]), MAX_ERRORS)
    return [_to_error(model, place, path, [e for _, e in same]) for path, same in groups]


def _locate(error: ErrorDetails, body: dict[str, Any] | None) -> tuple[str, ...]:
    """Return the path into the body, without what pydantic adds to it (a union's branch, '[key]')."""
    if body is None:
        return tuple(str(part) for part in error["loc"][:1])
    path: list[str] = []
    value: Any = body
    for said in error["loc"]:
        part = said if _leads_into(value, said) else EARLIER_NAMES.get(str(said), said)
        if _leads_into(value, part):
            value = value[part]
        elif error["type"] != "missing":
            break
        path.append(str(part))
    return tuple(path)


def _leads_into(value: Any, part: str | int) -> bool:
    return part in value if isinstance(value, dict) else isinstance(value, list) and isinstance(part, int)


def _to_error(model: type[BaseModel], place: Place, path: tuple[str, ...], found: Sequence[ErrorDetails]) -> FieldError:
    """Return one error for a place, however many branches of a union failed."""
    telling = [e for e in found if not e["type"].endswith("_type")] or found
    name = ".".join(map(_shown, path)) or f"the {place}"
    messages = dict.fromkeys(_message(model, name, path, e) for e in telling)
    pointer = "".join(f"/{_shown(part).replace('~', '~0').replace('/', '~1')}" for part in path)
    return FieldError(place, pointer, "; ".join(messages), telling[0]["type"].upper())


def _message(model: type[BaseModel], name: str, path: tuple[str, ...], error: ErrorDetails) -> str:
    match error["type"]:
        case "missing":
            return f"{name} is required"
        case "extra_forbidden":
            return f"{name} is unknown{_suggestion(path[-1], _names(model, path[:-1]))}"
        case "value_error":
            return f"{name} {error['msg'].removeprefix('Value error, ')}"
        case "too_short" | "too_long" if (
            error["ctx"]["field_type"] == "Value"
        ):  # pydantic would count the "items" of a string
            least, most = error["ctx"].get("min_length"), error["ctx"].get("max_length")
            return f"{name} must have {f'at least {least}' if least else f'at most {most}'} characters"
    return f"{name}: {error['msg'].replace('Input should', 'should')}"


def _names(model: type[BaseModel], path: Iterable[str]) -> tuple[str, ...]:
    """Return the names known at this place, including those that a model accepts besides its fields."""
    for name in path:
        annotation = model.model_fields[name].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return ()
        model = annotation
    return _documented(model)


@lru_cache  # creating a schema costs more than checking a request
def _documented(model: type[BaseModel]) -> tuple[str, ...]:
    return tuple(model.model_json_schema().get("properties", ()))


def _suggestion(name: str, known: tuple[str, ...]) -> str:
    if len(name) <= MAX_SHOWN and (near := get_close_matches(name, known, n=1)):
        return f"; did you mean {near[0]}?"
    return f"; known are {', '.join(known)}"


def _shown(part: str) -> str:
    """Return the caller's own name, unless it looks like an address, which may contain a token, or is very long."""
    return "…" if "://" in part or "@" in part or len(part) > MAX_SHOWN else part
