"""Reads the parts of a request that a view takes (header, path, query and body), each into its model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast, get_origin, get_type_hints

from flask import Request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import NotFound

from api.http.validation import refuse

Place = Literal["header", "path", "query", "body"]
PLACES: tuple[Place, ...] = ("header", "path", "query", "body")  # checked in this order


@dataclass(frozen=True)
class Input:
    """One part of the request, and the model that checks it."""

    place: Place
    model: type[BaseModel]
    lists: frozenset[str] = frozenset()  # query parameters that may be repeated

    @classmethod
    def of(cls, place: Place, model: type[BaseModel]) -> "Input":
        """Return the part for this model; whatever depends on the model's fields is computed once."""
        lists = frozenset(name for name, each in model.model_fields.items() if get_origin(each.annotation) is list)
        return cls(place, model, lists)

    @property
    def is_required(self) -> bool:
        """Whether it must be sent."""
        return any(each.is_required() for each in self.model.model_fields.values())

    def read(self, asked: Request, path_values: Mapping[str, str]) -> BaseModel:
        """Read and check it; raise InvalidRequest saying what is wrong with it."""
        return self.check(self._given(asked, path_values))

    def check(self, given: Mapping[str, Any]) -> BaseModel:
        """Return the model of these values; raise InvalidRequest saying what is wrong with them."""
        try:
            return self.model.model_validate(given)
        except ValidationError as error:
            if self.place == "path":
                raise NotFound from error
            refuse(error, self.model, self.place, given)

    def _given(self, asked: Request, path_values: Mapping[str, str]) -> Mapping[str, Any]:
        match self.place:
            case "header":
                names = (each.alias or name for name, each in self.model.model_fields.items())
                return {name: asked.headers[name] for name in names if name in asked.headers}
            case "path":
                return path_values
            case "query":
                return {
                    name: asked.args.getlist(name) if name in self.lists else first
                    for name, first in asked.args.items()
                }
            case "body":
                return cast(Mapping[str, Any], asked.get_json())


def inputs_of(view: Callable[..., Any]) -> tuple[Input, ...]:
    """Return what the view takes, by the names and types of its parameters."""
    hints = get_type_hints(view)
    hints.pop("return", None)
    if unknown := hints.keys() - set(PLACES):
        raise TypeError(f"{view.__name__} takes {', '.join(sorted(unknown))}; a view takes {', '.join(PLACES)}.")
    return tuple(Input.of(place, hints[place]) for place in PLACES if place in hints)
