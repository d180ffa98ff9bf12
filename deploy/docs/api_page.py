"""The page of the HTTP API, from its OpenAPI document."""

from typing import Any

from deploy.docs.schemas import table, type_of

HEAD = """# HTTP API

The API of the last release, generated from its [openapi.json](../openapi.json) by `make reference`. A running service
shows its own at `/docs`, to try out, and serves the document at `/openapi.json`.

Errors are `application/problem+json` (RFC 9457) with a `code` for programs.

With `API_TOKENS` set, every request but those of `health` needs `Authorization: Bearer TOKEN`.
"""


def text(document: dict[str, Any]) -> str:
    """Return the page: operations by their tag, then the objects in them."""
    parts = [HEAD]
    for tag in document["tags"]:
        parts.append(f"## {tag['name']}\n")
        for path, item in document["paths"].items():
            for method, operation in item.items():
                if tag["name"] in operation["tags"]:
                    parts.append(_operation(method, path, operation))
    parts.append("## Objects\n")
    for name, schema in document["components"]["schemas"].items():
        parts.append(_object(name, schema))
    return "\n".join(parts).rstrip() + "\n"


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    lines = [f"### {method.upper()} {path}\n", f"**{operation['summary']}**\n", operation["description"] + "\n"]
    if parameters := operation.get("parameters"):
        lines += ["| parameter | in | type | |", "|---|---|---|---|"]
        lines += [_parameter(each) for each in parameters]
        lines.append("")
    if body := operation.get("requestBody"):
        needed = "required" if body.get("required", True) else "optional"
        lines.append(f"Body ({needed}): {_content(body)}.\n")
    lines += ["| answer | | body |", "|---|---|---|"]
    lines += [_answer(status, each) for status, each in operation["responses"].items()]
    return "\n".join(lines) + "\n"


def _parameter(parameter: dict[str, Any]) -> str:
    name = f"`{parameter['name']}`" + (" (required)" if parameter.get("required") else "")
    return (
        f"| {name} | {parameter['in']} | {type_of(parameter['schema'])} | {_line(parameter.get('description', ''))} |"
    )


def _answer(status: str, answer: dict[str, Any]) -> str:
    return f"| {status} | {_line(answer['description'])} | {_content(answer)} |"


def _content(part: dict[str, Any]) -> str:
    kinds = part.get("content", {})
    return ", ".join(dict.fromkeys(type_of(each.get("schema", {})) for each in kinds.values()))


def _object(name: str, schema: dict[str, Any]) -> str:
    lines = [f"### {name}\n", _line(schema.get("description", "")) + "\n"]
    if "enum" in schema:
        lines.append("One of " + ", ".join(f"`{value}`" for value in schema["enum"]) + ".")
    else:
        lines.append(table(schema))
    return "\n".join(lines) + "\n"


def _line(words: str) -> str:
    return " ".join(words.split()).replace("|", r"\|")
