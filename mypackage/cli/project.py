"""Looks at the MLproject file of the commit that is submitted, so that a mistake is told now, not when its turn comes.

It knows only what is surely wrong: the worker, which alone has every commit, decides about all the rest.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from .checkout import git

FILE = "mlproject"  # in any case, as MLflow finds it
# What a parameter gets that has no default: fields of the request, and words of the service's own.
FROM_FIELDS = ("experiment_name", "model_name")
ALWAYS_THERE = ("base_model", "dataset_repo")
BOOLS = ("true", "1", "yes", "false", "0", "no")


def find_project(folder: Path, commit: str, location: str) -> Mapping[str, Any] | None:
    """Return what the commit's MLproject file says; None if there is none, or none that is a mapping."""
    place = f"{location.strip('/')}/" if location.strip("/") else ""
    names = git(folder, "ls-tree", "-z", "--full-tree", "--name-only", commit, *([place] if place else [])) or ""
    found = next((each for each in names.split("\0") if each.rpartition("/")[2].lower() == FILE), None)
    text = git(folder, "show", f"{commit}:{found}") if found else None
    try:
        said = yaml.safe_load(text) if text else None
    except (yaml.YAMLError, ValueError, RecursionError):  # ValueError: a date such as 2024-99-99
        return None
    return said if isinstance(said, dict) else None


def faults(project: Mapping[str, Any], request: Mapping[str, Any]) -> list[str]:
    """Return what of the request the project can never be trained with."""
    entry_points, name = project.get("entry_points"), request.get("entry_point", "main")
    given = request.get("parameters") or {}
    if not (isinstance(entry_points, dict) and isinstance(given, dict) and isinstance(name, str)):
        return []
    if name not in entry_points:
        is_script = "." in name  # MLflow runs a script of that name
        return [] if is_script else [f"it has no entry point '{name}' (it has: {', '.join(map(str, entry_points))})"]
    return list(_of_parameters(_declared(entry_points[name]), given, request))


def _declared(entry_point: Any) -> dict[str, Any]:
    declared = entry_point.get("parameters") if isinstance(entry_point, dict) else None
    return declared if isinstance(declared, dict) else {}


def _of_parameters(declared: Mapping[str, Any], given: Mapping[str, Any], request: Mapping[str, Any]) -> Iterator[str]:
    for name, says in ((str(name), says) for name, says in declared.items()):  # YAML may read a name as a number
        type_, default = (says.get("type"), says.get("default")) if isinstance(says, dict) else (says, None)
        has_field = name in ALWAYS_THERE or (name in FROM_FIELDS and request.get(name) is not None)
        if name in given:
            fits, what = CHECKS.get(str(type_), (lambda _: True, ""))
            if not fits(given[name]) and str(given[name]) != str(default):  # which MLflow passes on, whatever it is
                yield f"its parameter {name} is {given[name]!r:.100}, which is not {what}"
        elif default is None and not has_field:
            yield f"its parameter {name} needs a value"


def _is_whole(value: Any) -> bool:
    if isinstance(value, float):
        return value.is_integer()
    return not isinstance(value, bool) and _converts(int, value)


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool) and _converts(float, value)


def _is_bool(value: Any) -> bool:
    return value.lower() in BOOLS if isinstance(value, str) else value in (0, 1)


def _converts(number: Callable[[Any], object], value: Any) -> bool:
    try:
        number(value)
    except (ValueError, TypeError):
        return False
    return True


CHECKS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "int": (_is_whole, "a whole number"),
    "float": (_is_number, "a number"),
    "bool": (_is_bool, "true or false"),
}
