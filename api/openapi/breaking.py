"""`python -m api.openapi.breaking RELEASED NEW` lists the changes that would break callers of the last release."""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from api.openapi.schemas import ANSWERS, REQUESTS, differences

Part = Mapping[str, Any]
FIRST_ERROR = 400


def breaking_changes(released: Part, new: Part) -> list[str]:
    """Return each breaking change; none if the new document has another major version, which may break callers."""
    if _major(released) != _major(new):
        return []
    paths = _inlined(new["paths"], new)
    return [
        f"{method.upper()} {path}: {change}"
        for path, item in _inlined(released["paths"], released).items()
        for method, operation in item.items()
        for change in _of_operation(operation, paths.get(path, {}).get(method))
    ]


def _major(document: Part) -> str:
    return str(document["info"]["version"]).partition(".")[0]


def _inlined(part: Any, document: Part, inside: frozenset[str] = frozenset()) -> Any:
    """Return the part with its references resolved; a schema inside itself means anything."""
    if isinstance(part, list):
        return [_inlined(each, document, inside) for each in part]
    if not isinstance(part, Mapping):
        return part
    if isinstance(reference := part.get("$ref"), str):
        found: Any = {} if reference in inside else document
        for step in reference.removeprefix("#/").split("/") if found else ():
            found = found[step]
        return _inlined({**found, **{k: v for k, v in part.items() if k != "$ref"}}, document, inside | {reference})
    return {name: _inlined(each, document, inside) for name, each in part.items()}


def _of_operation(old: Part, new: Part | None) -> Iterator[str]:
    if new is None:
        yield "is gone"
        return
    if new.get("security") and not old.get("security"):
        yield "asks for a token"
    yield from _of_parameters(_parameters(old), _parameters(new))
    yield from _of_body(old.get("requestBody", {}), new.get("requestBody", {}))
    for status, answer in old["responses"].items():
        if int(status) < FIRST_ERROR:
            yield from _of_answer(f"answer {status}", answer, new["responses"].get(status))


def _parameters(operation: Part) -> dict[str, Part]:
    return {f"{each['in']} parameter {each['name']}": each for each in operation.get("parameters", ())}


def _of_parameters(old: Mapping[str, Part], new: Mapping[str, Part]) -> Iterator[str]:
    for name, parameter in old.items():
        if name in new:
            yield from differences(parameter["schema"], new[name]["schema"], name, REQUESTS)
        else:
            yield f"{name} is not taken any more"
    for name, parameter in new.items():
        if parameter.get("required") and not old.get(name, {}).get("required"):
            yield f"{name} is required"


def _of_body(old: Part, new: Part) -> Iterator[str]:
    if new.get("required") and not old.get("required"):
        yield "a body is required"
    for kind, content in old.get("content", {}).items():
        if kind in new.get("content", {}):
            yield from differences(content["schema"], new["content"][kind]["schema"], "body", REQUESTS)
        else:
            yield f"a body of {kind} is not taken any more"


def _of_answer(name: str, old: Part, new: Part | None) -> Iterator[str]:
    if new is None:
        yield f"{name} is gone"
        return
    for header in sorted(old.get("headers", {}).keys() - new.get("headers", {}).keys()):
        yield f"{name} has no header {header} any more"
    for kind, content in old.get("content", {}).items():
        if kind in new.get("content", {}):
            yield from differences(new["content"][kind]["schema"], content["schema"], name, ANSWERS)
        else:
            yield f"{name} is not given as {kind} any more"


def main(released: str, new: str) -> int:
    """Print each breaking change; return 1 if there is one."""
    changes = breaking_changes(*(json.loads(Path(each).read_text(encoding="utf-8")) for each in (released, new)))
    for change in changes:
        sys.stderr.write(f"{change}\n")
    if changes:
        sys.stderr.write(
            f"This breaks what {released} promised to callers. Undo it, or raise the major version in "
            "api/__init__.py.\n"
        )
    return 1 if changes else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
