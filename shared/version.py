"""Which version of the service this is. The programs run from their folder, so pyproject.toml is there to be read."""

import tomllib
from functools import cache
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


@cache
def service_version() -> str:
    """Return the version as it is released."""
    return str(tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["version"])
