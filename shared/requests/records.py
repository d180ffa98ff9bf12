"""Turns a request into its record and back: without defaults, and tolerant of other versions' fields."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

Model = TypeVar("Model", bound=BaseModel)


def field_names(model: type[BaseModel], before: str = "") -> Iterator[str]:
    """Yield the names of all fields, as in shared.requests.fields."""
    for name, field in model.model_fields.items():
        yield f"{before}{name}"
        if (group := _group(field)) is not None:
            yield from field_names(group, f"{before}{name}.")


def without_defaults(sent: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return what differs; pydantic's exclude_defaults keeps the defaults of fields with their own serializer."""
    return {
        name: without_defaults(value, defaults[name]) if isinstance(defaults.get(name), dict) else value
        for name, value in sent.items()
        if name not in defaults or value != defaults[name]
    }


def filled(default: Any, value: Any) -> Any:
    """Return the value as it is shown: with the defaults of fields in it that are not set."""
    return {**default, **value} if isinstance(default, dict) and isinstance(value, Mapping) else value


def as_recorded(model: type[Model], record: Mapping[str, Any]) -> Model:
    """Return the model with the recorded fields that it knows; nothing is validated again."""
    known = {
        name: _value(model.model_fields[name], value) for name, value in record.items() if name in model.model_fields
    }
    return model.model_construct(**known)


def _value(field: FieldInfo, value: Any) -> Any:
    if isinstance(value, Mapping) and (group := _group(field)) is not None:
        return as_recorded(group, value)
    return (
        frozenset(value) if isinstance(value, list) else value
    )  # JSON turns a set into a list; there are no other lists


def _group(field: FieldInfo) -> type[BaseModel] | None:
    """Return the model of a field that has fields itself, also if it may be null."""
    kinds = get_args(field.annotation) or (field.annotation,)
    return next((each for each in kinds if isinstance(each, type) and issubclass(each, BaseModel)), None)
