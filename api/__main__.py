"""`python -m api`: check the settings and the store's schema, then serve with gunicorn in one process of threads."""

import argparse
import signal
import sys
from types import FrameType
from typing import Any

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]
from gunicorn.glogging import Logger  # type: ignore[import-untyped]

from api.access import require_tokens_on_public_address
from api.app import Api, create_app
from api.services import EXTENSION, Services
from api.slow_clients import SlowClientWorker
from shared import logs
from shared.errors import RetrainError
from shared.live_secrets import environment, redactor_of
from shared.own_files import keep_files_private
from shared.queue import CeleryQueue
from shared.settings import Settings
from shared.sql import SqlStore, schema

STOP_SECONDS = 10


class OurLog(Logger):  # type: ignore[misc]
    """Gunicorn's lines, in the form of all others."""

    def setup(self, cfg: Any) -> None:
        """Leave the lines to the root logger's handler."""
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


class Server(BaseApplication):  # type: ignore[misc]
    """Gunicorn around the app."""

    def __init__(self, app: Api, *, bind: str, threads: int, log_level: str) -> None:
        self._app = app
        self._options = {
            "bind": bind,
            "workers": 1,
            "worker_class": ApiWorker,
            "threads": threads,
            "keepalive": 0,  # SlowClientWorker relies on it; and what idles would hold up a stop
            "graceful_timeout": STOP_SECONDS,
            "control_socket_disable": True,  # it would be one socket in the home folder for all gunicorns of a user
            "proc_name": "retrain-api",
            "logger_class": OurLog,
            "loglevel": log_level.lower(),
            "post_worker_init": stop_gently,
        }
        super().__init__()

    def load_config(self) -> None:
        """Take our options; no configuration file and no command line."""
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Api:
        """The app; it opens its connections in the worker process, at the first request."""
        return self._app


class ApiWorker(SlowClientWorker):
    """Gunicorn's process of threads: whatever ends it, those who wait or follow are sent away first."""

    def send_away(self) -> None:
        """Let nobody wait or follow any more. Takes no lock: a signal handler calls it."""
        here: Services = self.wsgi.extensions[EXTENSION]
        here.long_poll.stop()
        here.following.stop()

    def is_parent_alive(self) -> bool:
        """Gunicorn ends this process when its parent was killed, which no signal tells."""
        is_alive: bool = super().is_parent_alive()
        if not is_alive:
            self.send_away()
        return is_alive


def stop_gently(worker: ApiWorker) -> None:
    """Let every signal that stops the worker answer the requests that wait, then end as SIGTERM does.

    Gunicorn's own way for SIGINT and SIGQUIT takes the thread pool's lock inside the signal handler: now and then it
    waits for itself, until it is killed (seen with 26.2).
    """

    def on_signal(number: int, frame: FrameType | None) -> None:
        worker.send_away()
        worker.handle_exit(number, frame)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, on_signal)


def prepare() -> Server:
    """Build the server; ConfigurationError, StoreUnavailable when it cannot serve."""
    settings = Settings.load()
    redactor = redactor_of(settings, environment())
    logs.configure(settings.log_level, settings.log_format, redactor)
    require_tokens_on_public_address(settings)
    store = SqlStore(settings.store_url, limits=settings.limits, alerting=settings.alerting)
    schema.check(store)
    store.close()  # no connection may be shared with the worker process
    queue = CeleryQueue(settings, redactor)
    app = create_app(settings, store=store, queue=queue, vault=settings.vault(), redactor=redactor)
    host = f"[{settings.api_host}]" if ":" in settings.api_host else settings.api_host
    threads = settings.api_threads + settings.api_followers  # made as they are needed
    return Server(app, bind=f"{host}:{settings.api_port}", threads=threads, log_level=settings.log_level)


def main() -> int:
    """Serve until a signal ends it."""
    argparse.ArgumentParser(
        prog="python -m api",
        description="Serve the HTTP API at API_HOST:API_PORT.",
        epilog="Settings come from the environment and .env; the README lists them.",
    ).parse_args()
    keep_files_private()
    try:
        server = prepare()
    except RetrainError as error:
        sys.stderr.write(f"The API does not start. {error}\n")
        return 1
    server.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
