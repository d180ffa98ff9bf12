"""JSON schemas of the OpenAPI document as tables of fields."""

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]
PREFIX = "#/components/schemas/"


def table(schema: Schema, *, page: str = "") -> str:
    """Return a Markdown table of an object's fields; its types link to their sections on the page."""
    required = set(schema.get("required", ()))
    rows = ["| field | type | default | |", "|---|---|---|---|"]
    for name, field in schema.get("properties", {}).items():
        default = "required" if name in required and "default" not in field else _default(field)
        rows.append(f"| `{name}` | {type_of(field, page)} | {default} | {_line(field.get('description', ''))} |")
    return "\n".join(rows)


def type_of(field: Schema, page: str = "") -> str:
    """Return what a value may be, in JSON's terms."""
    if "$ref" in field:
        name = field["$ref"].removeprefix(PREFIX)
        return f"[{name}]({page}#{name.lower()})"
    if parts := field.get("anyOf") or field.get("oneOf") or field.get("allOf"):
        return " or ".join(dict.fromkeys(type_of(part, page) for part in parts))
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if field.get("type") == "array":
        return f"list of {type_of(field.get('items', {}), page)}"
    if values := _values(field):
        return f"object of {type_of(values, page)}"
    return str(field.get("format") or field.get("type") or "any")


def references(schema: Any) -> Iterator[str]:
    """Yield the names of the schemas that this one mentions."""
    if isinstance(schema, Mapping):
        if "$ref" in schema:
            yield str(schema["$ref"]).removeprefix(PREFIX)
        for value in schema.values():
            yield from references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from references(value)


def _values(field: Schema) -> Schema | None:
    patterns = list(field.get("patternProperties", {}).values())
    more = field.get("additionalProperties")
    return patterns[0] if patterns else more if isinstance(more, Mapping) else None


def _default(field: Schema) -> str:
    value = field.get("default")
    if value in (None, "", [], {}):
        return ""
    return f"`{value}`" if not isinstance(value, bool) else f"`{str(value).lower()}`"


def _line(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")
