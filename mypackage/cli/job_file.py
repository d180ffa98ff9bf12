"""A job's request in a YAML or JSON file: the fields of POST /retrain."""

import json
from pathlib import Path
from typing import Any

import click
import yaml


def read_job_file(path: Path) -> dict[str, Any]:
    """Return the request; UsageError, which repeats nothing of the file, where it is none."""
    try:
        value = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{path} cannot be read.") from error
    except yaml.MarkedYAMLError as error:
        place = f" at line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise click.UsageError(f"{path} is no YAML{place}: {error.problem}") from None
    except yaml.YAMLError as error:
        raise click.UsageError(f"{path} is no YAML.") from error
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise click.UsageError(f"{path} must hold fields of POST /retrain, such as experiment_name: iris")
    require_json(path, value)
    return value


def require_json(path: Path, value: dict[str, Any]) -> None:
    """Refuse what YAML has and JSON has not."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise click.UsageError(
            f"{path} holds a date, or another value that JSON has not: put quotes around it."
        ) from error
