"""Builds the OpenAPI document from the operations, their models and the errors that they raise."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from api import API_VERSION
from api.http.problems import Problem
from api.openapi.describing import BEARER, SCHEMAS, Models, describe, signature_schemes
from api.operations.answers import Tag
from api.operations.operation import Operation

INFO = {
    "title": "Automated Training",
    "version": API_VERSION,
    "description": "Retrains models: send it a git repository with an MLflow Project, and follow the job.",
}
Schemas = dict[str, Any]
Used = tuple[type[BaseModel], JsonSchemaMode]


class _AsAccepted(GenerateJsonSchema):
    """Says of a set what is accepted as one: an item that comes twice counts once."""

    def set_schema(self, schema: core_schema.SetSchema) -> JsonSchemaValue:
        return _with_repetitions(super().set_schema(schema))

    def frozenset_schema(self, schema: core_schema.FrozenSetSchema) -> JsonSchemaValue:
        return _with_repetitions(super().frozenset_schema(schema))


def _with_repetitions(schema: JsonSchemaValue) -> JsonSchemaValue:
    return {name: value for name, value in schema.items() if name != "uniqueItems"}


def document(operations: Iterable[Operation]) -> dict[str, Any]:
    """Return the whole document."""
    described = list(operations)
    models, components = _schemas(described)
    paths: dict[str, Any] = {}
    for each in described:
        path = each.path.replace("<", "{").replace(">", "}")
        paths.setdefault(path, {})[each.method.lower()] = describe(each, models)
    return {
        "openapi": "3.1.0",
        "info": INFO,
        "tags": [{"name": tag.name.lower(), "description": tag.value} for tag in Tag],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": {"bearer": BEARER, **signature_schemes(described)}},
    }


def as_text(operations: Iterable[Operation]) -> str:
    """Return the document as the text of a file."""
    return json.dumps(document(operations), indent=2, ensure_ascii=False) + "\n"


def _schemas(operations: Iterable[Operation]) -> tuple[Models, Schemas]:
    """Return each model's schema, and the document's components: all except those that become parameters."""
    used: list[Used] = [*_used(operations), (Problem, "serialization")]
    found, schema = models_json_schema(used, ref_template=f"{SCHEMAS}{{model}}", schema_generator=_AsAccepted)
    components: Schemas = schema["$defs"]
    models: Models = {model: found[model, mode] for model, mode in used}
    for operation in operations:
        for each in operation.inputs:
            if each.place != "body" and "$ref" in models[each.model]:
                models[each.model] = components.pop(models[each.model]["$ref"].removeprefix(SCHEMAS))
    return models, components


def _used(operations: Iterable[Operation]) -> Iterator[Used]:
    for operation in operations:
        for each in operation.inputs:
            yield each.model, "validation"
        for answer in operation.answers:
            if answer.body:
                yield answer.body, "serialization"
