"""Runs Flower, by default only on this machine, as it can shut workers down. FLOWER_BASIC_AUTH is its login."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import click
from celery import Celery
from celery.bin.base import CLIContext
from flower.command import flower  # type: ignore[import-untyped]

from deploy.flower_address import listens_at
from shared import logs
from shared.errors import ConfigurationError
from shared.live_secrets import environment, redactor_of
from shared.own_files import keep_files_private
from shared.queue import make_celery
from shared.settings import Settings

SAVE_SECONDS = 30.0
MAX_TASKS = 5000


def command(settings: Settings, *, save_seconds: float = SAVE_SECONDS) -> list[str]:
    """Return Flower's command line."""
    address, port = listens_at(settings)
    path = urlsplit(settings.flower_url).path.strip("/")
    return [
        "flower",
        f"--address={address}",
        f"--port={port}",
        *([f"--url-prefix={path}"] if path else []),
        f"--max-tasks={MAX_TASKS}",
        "--persistent=True",
        f"--db={settings.data_dir / 'flower.db'}",
        f"--state-save-interval={round(save_seconds * 1000)}",
    ]


def login(settings: Settings) -> dict[str, str]:
    """Return the login as Flower reads it itself; argv would show it."""
    return {"FLOWER_BASIC_AUTH": settings.flower_basic_auth.get_secret_value()}


def main() -> int:
    """Run Flower until it is stopped."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.flower_dashboard",
        description="Run Flower at FLOWER_URL. FLOWER_BASIC_AUTH must be user:password.",
    )
    parser.add_argument(
        "--save-seconds", type=float, default=SAVE_SECONDS, help="how often its history is saved, for when it is killed"
    )
    options = parser.parse_args()
    try:
        settings = Settings.load()
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if not settings.flower_basic_auth:
        sys.stderr.write("Set FLOWER_BASIC_AUTH to user:password. Flower does not start without.\n")
        return 1
    os.environ.update(login(settings))
    redactor = redactor_of(settings, environment())
    if settings.log_format == "json":
        logs.configure(settings.log_level, "json", redactor)
    else:  # Tornado's own way
        logs.hide_in_streams(redactor)
    logging.getLogger("flower.inspector").setLevel(logging.ERROR)  # it asks before the first worker is there
    keep_files_private()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    app = make_celery(settings, with_results=True)
    arguments = command(settings, save_seconds=options.save_seconds)
    sys.argv = ["celery", *arguments]  # Flower looks for its options there
    run(app, arguments)
    return 0


def run(app: Celery, arguments: Sequence[str]) -> Any:
    """Run Flower as Celery's command line does, without loading that: it brings a shell and all other commands."""
    context = CLIContext(app, no_color=False, workdir=None)
    with click.Context(click.Command("celery"), obj=context) as parent:
        return flower.main(args=list(arguments[1:]), prog_name="flower", standalone_mode=False, parent=parent)


if __name__ == "__main__":
    sys.exit(main())
