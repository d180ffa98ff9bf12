"""Brings the database's schema up to date (`python -m shared.sql.schema`), or refuses to start on a wrong one."""

import argparse
import logging
import sys
from pathlib import Path

import sqlalchemy as sa

from shared import logs
from shared.errors import ConfigurationError, RetrainError
from shared.settings import Settings
from shared.sql.engine import Database, Transaction

MIGRATE = "python -m shared.sql.schema"
MIGRATIONS = Path(__file__).with_name("migrations")


def upgrade(database: Database) -> None:
    """Apply the missing migrations; two processes that do so at once take turns."""
    with database.writing() as transaction:
        transaction.lock("schema")
        _current(transaction)
        migrate(transaction, "head")


def migrate(transaction: Transaction, revision: str) -> None:
    """Apply the migrations up to this one."""
    # It tells of each plug-in as it is loaded. Those that only check would keep its 20 MB for as long as they run.
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.set_main_option("recursive_version_locations", "true")
    config.attributes["connection"] = transaction.connection
    command.upgrade(config, revision)


def check(database: Database) -> None:
    """Raise ConfigurationError unless the schema is the one that this code was written for."""
    with database.reading() as transaction:
        current = _current(transaction)
    needed = revisions()[-1]
    if current != needed:
        raise ConfigurationError(
            f"The job store's schema is {current or 'missing'}, and {needed} is needed. Run: {MIGRATE}",
            current=current,
            needed=needed,
        )


def revisions() -> list[str]:
    """Return what this program's migrations are called, the newest last: their files begin with that."""
    return sorted(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").rglob("[0-9]*_*.py"))


def _current(transaction: Transaction) -> str | None:
    if not sa.inspect(transaction.connection).has_table("alembic_version"):
        return None
    current = transaction.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    if current is not None and current not in revisions():
        raise ConfigurationError(
            f"The job store's schema ({current}) is newer than this program. Start the newer program.", current=current
        )
    return current


def main(arguments: list[str]) -> int:
    """Upgrade the configured database."""
    argparse.ArgumentParser(
        prog=MIGRATE, description="Bring the job store's schema (DATABASE_URL, or SQLite in DATA_DIR) up to date."
    ).parse_args(arguments)
    try:
        settings = Settings.load()
        if settings.log_format == "json":
            logs.configure(settings.log_level, "json")
        database = Database(settings.store_url)
        upgrade(database)
    except RetrainError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    database.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
