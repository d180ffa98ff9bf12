"""Runs Flower, by default only on this machine, as it can shut workers down. FLOWER_BASIC_AUTH is its login."""

import argparse
import logging
import os
import sys
from urllib.parse import urlsplit

from shared import logs
from shared.errors import ConfigurationError
from shared.live_secrets import environment, redactor_of
from shared.own_addresses import is_this_machine
from shared.own_files import keep_files_private
from shared.queue import make_celery
from shared.settings import Settings

SAVE_SECONDS = 30.0
MAX_TASKS = 5000
PORT = 5555


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


def listens_at(settings: Settings) -> tuple[str, int]:
    """Return address and port. Where people reach it by a proxy, FLOWER_URL is that, and says nothing of them."""
    url = urlsplit(settings.flower_url)
    own = url.hostname if is_this_machine(url.hostname) else None
    address = settings.flower_host or own
    return address or "127.0.0.1", (url.port if address else None) or PORT


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
    app.start(arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
