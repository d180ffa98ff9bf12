"""Checks the job store's database: that it answers, has this program's schema, and agrees on the time."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from shared.errors import ConfigurationError, StoreUnavailable
from shared.scheduling.hosts import LIVE_SECONDS
from shared.settings import Settings
from shared.sql import schema
from shared.sql.engine import Database
from shared.sql.tables import workers
from shared.sql.watching import read_workers
from worker.findings.clocks import compare
from worker.findings.finding import Finding, State, failure, ok, warning
from worker.host.machine import this_machine

MIGRATE = "Run: make migrate (python -m shared.sql.schema), with this program's version; then start the service."
RENAME = "Give one of the two another WORKER_HOST, and restart it: each name must belong to one machine only."
RECENT_SECONDS = 3600.0
UPGRADE = (
    "Start the newer program here: another part of the service has migrated the database. It cannot be migrated back."
)

OWN_ROLE = (
    "Give the service a role that owns its database and is not a superuser. In Compose, if the volume is from an "
    "earlier version: make backup, docker compose down, docker volume rm retrain_postgres-data, make restore."
)


def check_database(settings: Settings) -> Iterator[Finding]:
    """Check the database at DATABASE_URL."""
    if missing := _missing_file(settings.store_url):
        yield failure("database", f"there is none at {missing} yet", MIGRATE)
        return
    try:
        with closing(Database(settings.store_url)) as database:
            yield from _look(database, settings)
    except StoreUnavailable as error:
        advice = "Start the database, or correct DATABASE_URL: host, port, name, user and password; check the firewall."
        yield failure("database", error.message, advice)
    except ConfigurationError as error:
        yield failure("database", error.message, "Correct DATABASE_URL.")


def _look(database: Database, settings: Settings) -> Iterator[Finding]:
    dialect = database.engine.dialect
    with database.reading() as transaction:
        theirs, ours = transaction.now, datetime.now(UTC)
        version = ".".join(map(str, dialect.server_version_info or ()))
    yield ok("database", f"answers: {dialect.name} {version}".rstrip())
    schema_found = _schema(database)
    yield schema_found
    if schema_found.state is State.OK:
        yield _name(database, settings)
    if dialect.name == "postgresql":
        yield _role(database)
    if dialect.name != "sqlite":  # SQLite's clock is this host's
        yield compare("database", theirs, ours)


def _name(database: Database, settings: Settings) -> Finding:
    """Check whether another machine has, or wants, this worker's name."""
    name, mine = settings.worker_host, this_machine(settings)
    with database.reading() as transaction:
        worker = next(iter(read_workers(transaction, workers.c.host == name)), None)
    holder = worker.host.machine if worker else None
    if worker and holder and holder.id != mine.id and worker.silent_seconds < LIVE_SECONDS and not worker.has_left:
        return failure("host name", f"{name} is in use by a live worker on {holder.says}; this is {mine.says}", RENAME)
    if worker and worker.refused and (datetime.now(UTC) - worker.refused.at).total_seconds() < RECENT_SECONDS:
        return failure("host name", f"{name} is also asked for by a worker on {worker.refused.machine}", RENAME)
    return ok("host name", f"{name}, and no other machine asks for it")


def _schema(database: Database) -> Finding:
    try:
        schema.check(database)
    except ConfigurationError as error:
        current = error.facts["current"] or "missing"
        if needed := error.facts.get("needed"):
            return failure("database schema", f"{current}, and this program needs {needed}", MIGRATE)
        return failure("database schema", f"{current}, which is newer than this program", UPGRADE)
    return ok("database schema", "this program's")


def _role(database: Database) -> Finding:
    with database.reading() as transaction:
        row = transaction.one(sa.text("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"))
    if row is None or not row[0]:
        return ok("database role", "not a superuser")
    return warning("database role", "a superuser, who can read the server's files and run programs there", OWN_ROLE)


def _missing_file(url: str) -> Path | None:
    """Return the file of an SQLite database that does not exist yet, because connecting would create it."""
    try:
        address = make_url(url)
    except SQLAlchemyError:
        return None
    if address.get_backend_name() != "sqlite" or not address.database:
        return None
    file = Path(address.database)
    return None if file.exists() else file
