"""`python -m api`: checks the settings and the store's schema, then serves in one process with threads."""

import argparse
import logging
import os
import sys

from api.access.authentication import require_tokens_on_public_address
from api.app import Api, create_app
from api.http.serving import Bounds, Server, listen
from api.live.changes import Changes
from api.services import EXTENSION, Services
from api.triggers.folder import TriggerFolder
from shared import logs
from shared.errors import RetrainError
from shared.live_secrets import environment, redactor_of
from shared.own_files import keep_files_private
from shared.proxies import go_directly_to_own_parts
from shared.queue import BackgroundQueue, CeleryQueue
from shared.settings import Settings
from shared.sql import SqlStore, schema
from shared.sql.watching import find_change_counter


def prepare() -> tuple[Server, Services, BackgroundQueue]:
    """Build the server; raise ConfigurationError or StoreUnavailable if it cannot serve."""
    settings = Settings.load()
    go_directly_to_own_parts(os.environ, settings)
    redactor = redactor_of(settings, environment())
    logs.configure(settings.log_level, settings.log_format, redactor)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a line for each request that waits for a thread
    store = SqlStore(
        settings.store_url,
        limits=settings.limits,
        alerting=settings.alerting,
        teams_isolated=settings.teams_isolated,
        audit_log=settings.audit_log,
    )
    schema.check(store)
    require_tokens_on_public_address(settings, store)
    queue = BackgroundQueue(CeleryQueue(settings, redactor), store)
    counter = find_change_counter(settings.store_url)
    changes = Changes(counter) if counter else None
    vault = settings.vault()
    app = create_app(settings, store=store, queue=queue, vault=vault, redactor=redactor, changes=changes)
    return make_server(app, settings), app.extensions[EXTENSION], queue


def make_server(app: Api, settings: Settings) -> Server:
    """Listen, and return the server."""
    return Server(
        app,
        listen(settings),
        threads=settings.api_threads + settings.api_followers + settings.api_tabs,
        bounds=Bounds(settings.api_connections, settings.api_connections_per_peer),
    )


def main() -> int:
    """Serve until a signal ends it."""
    argparse.ArgumentParser(
        prog="python -m api",
        description="Serve the HTTP API at API_HOST:API_PORT.",
        epilog="Settings come from the environment and .env; docs/reference/settings.md lists them.",
    ).parse_args()
    keep_files_private()
    try:
        server, here, queue = prepare()
        folder = TriggerFolder.of(here)
    except RetrainError as error:
        sys.stderr.write(f"The API does not start. {error}\n")
        return 1
    if folder is not None:
        folder.watch()
    server.serve(on_stop=here.send_away)
    queue.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
