"""Reads triggers from YAML files, one each. ${TRIGGER_…} in a text stands for a variable, so that none has a secret."""

import os
import re
from pathlib import Path
from typing import Any

import click

from ..job_file import read_fields_file

FIELDS = "the fields of POST /triggers: name, template, when, policy"
POLICIES = "policies"
SUFFIXES = (".yaml", ".yml")
VARIABLE = re.compile(r"\$\{(TRIGGER_\w+)\}", re.ASCII)  # as the service's TRIGGERS_DIR has it


def read_trigger(path: Path) -> dict[str, Any]:
    """Return the trigger; raise UsageError, which repeats nothing of the file, if it is not one."""
    return {name: value for name, value in read_candidates(path).items() if name != POLICIES}


def read_candidates(path: Path) -> dict[str, Any]:
    """Return the same with the policies that the file has for backtests, which are no part of the trigger."""
    trigger = read_fields_file(path, FIELDS)
    if not isinstance(trigger.get("name"), str):
        raise click.UsageError(f"{path} must contain {FIELDS}; it has no name.")
    filled: dict[str, Any] = with_variables(trigger, path)
    return filled


def read_folder(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the triggers of a folder's files by name; raise UsageError if two have the same."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(each for each in folder.iterdir() if each.suffix in SUFFIXES and not each.name.startswith(".")):
        trigger = read_trigger(path)
        if trigger["name"] in found:
            raise click.UsageError(f"{path} has the name {trigger['name']}, which another file of the folder has.")
        found[trigger["name"]] = trigger
    return found


def with_variables(value: Any, path: Path) -> Any:
    """Return the value with this process's variables in its texts; raise UsageError if one is not set."""
    match value:
        case dict():
            return {name: with_variables(each, path) for name, each in value.items()}
        case list():
            return [with_variables(each, path) for each in value]
        case str():
            return VARIABLE.sub(lambda found: _variable(found[1], path), value)
    return value


def _variable(name: str, path: Path) -> str:
    if name not in os.environ:
        raise click.UsageError(f"{path} needs the variable {name}, which is not set.")
    return os.environ[name]
