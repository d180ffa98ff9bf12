"""The page of what POST /retrain takes."""

from typing import Any

from deploy.docs.schemas import references, table

HEAD = """# Fields of POST /retrain

The fields of the last release, generated from its [openapi.json](../openapi.json) by `make reference`. A field that is
unknown or wrong is refused with 422, and the answer names it.
Names in the column *type* link to the table of their fields.
"""


def text(document: dict[str, Any]) -> str:
    """Return the page: the request, then the objects in it."""
    schemas = document["components"]["schemas"]
    request = schemas["RetrainRequest"]
    parts = [HEAD, table(request)]
    for name in _mentioned(request, schemas):
        schema = schemas[name]
        parts += [f"\n## {name}\n", str(schema.get("description", "")).strip() + "\n", _body(schema)]
    return "\n".join(parts) + "\n"


def _mentioned(schema: Any, schemas: dict[str, Any]) -> list[str]:
    """Return the schemas that this one mentions, and those that they mention, each once."""
    found: dict[str, None] = {}
    for name in references(schema):
        found |= dict.fromkeys([name, *_mentioned(schemas[name], schemas)])
    return list(found)


def _body(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return "One of " + ", ".join(f"`{value}`" for value in schema["enum"]) + "."
    return table(schema)
