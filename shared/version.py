"""Reads the service's version from pyproject.toml, which is present because the programs run from their folder."""

import tomllib
from functools import cache
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


@cache
def service_version() -> str:
    """Return the released version."""
    return str(tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["version"])
