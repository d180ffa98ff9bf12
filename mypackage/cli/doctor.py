"""The subcommand doctor: starts the service's own checks, which are not part of this package, on a host of it."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import click

from .show import json_option

SERVICE = Path(__file__).resolve().parents[2]  # its programs run from their folder, next to this package
NEEDED = ("celery", "docker", "sqlalchemy")
NOT_HERE = (
    "This is not a host of the service: its checks must see what a worker sees. Run it on a host that trains: "
    "make doctor in the service's folder, or in deploy/: docker compose run --rm worker python -m worker.doctor."
)


@click.command()
@json_option
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Check a host of the service: Docker, Redis, database, MLflow, git, alerts, clocks.

    It runs on a host that trains, with the worker's settings, and says for each failure what to do. The exit code is 0
    if nothing failed, 1 if something did, and 2 where the service is not.

    \b
    Examples:
      retrain doctor
      retrain doctor --json
    """
    if not (SERVICE / "worker/doctor").is_dir() or any(find_spec(name) is None for name in NEEDED):
        raise click.UsageError(NOT_HERE)
    command = [sys.executable, "-m", "worker.doctor", *(["--json"] if as_json else [])]
    ctx.exit(subprocess.run(command, cwd=SERVICE, check=False).returncode)
