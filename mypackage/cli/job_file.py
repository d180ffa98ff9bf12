"""Reads fields of a request in YAML or JSON, from a file or the command line."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import yaml


def read_job_file(path: Path) -> dict[str, Any]:
    """Return the request; raise UsageError, which repeats nothing of the file, if it is not one."""
    return read_fields_file(path, "fields of POST /retrain, such as experiment_name: iris")


def read_fields_file(path: Path, what: str) -> dict[str, Any]:
    """Return the fields; raise UsageError if the file has none, which says ``what`` they are."""
    try:
        value = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{path} cannot be read.") from error
    except yaml.MarkedYAMLError as error:
        place = f" at line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise click.UsageError(f"{path} is not YAML{place}: {error.problem}") from None
    except yaml.YAMLError as error:
        raise click.UsageError(f"{path} is not YAML.") from error
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise click.UsageError(f"{path} must contain {what}")
    require_json(path, value)
    return value


def read_fields(texts: Iterable[str]) -> dict[str, Any]:
    """Parse fields written as NAME=VALUE or GROUP.NAME=VALUE, with values as in a file."""
    fields: dict[str, Any] = {}
    for text in texts:
        name, equals, written = text.partition("=")
        if not name or not equals:
            raise click.BadParameter("must be NAME=VALUE or GROUP.NAME=VALUE")
        try:
            value = yaml.safe_load(written)
        except yaml.YAMLError as error:
            raise click.BadParameter(f"The value of {name} is not YAML: put quotes around it.") from error
        group, dot, inner = name.partition(".")
        fields = laid_over(fields, {group: {inner: value} if dot else value})
    require_json("--set", fields)
    return fields


def laid_over(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Merge both; ``over`` wins, and groups are merged field by field."""
    groups = {name for name, value in over.items() if isinstance(value, dict) and isinstance(under.get(name), dict)}
    return {**under, **over, **{name: laid_over(under[name], over[name]) for name in groups}}


def require_json(place: object, value: dict[str, Any]) -> None:
    """Refuse values that YAML has and JSON does not; ``place`` says where they were written."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise click.UsageError(
            f"{place} contains a date, or another value that JSON does not have: put quotes around it."
        ) from error
