"""Brings the database's schema up to date (`python -m shared.sql.schema`), or refuses to start on a wrong one."""

import argparse
import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from shared import logs
from shared.errors import ConfigurationError, RetrainError
from shared.settings import Settings
from shared.sql.engine import Database, Transaction

MIGRATE = "python -m shared.sql.schema"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.set_main_option("path_separator", "os")
    return config


def upgrade(database: Database) -> None:
    """Apply the missing migrations; two processes that do so at once take turns."""
    with database.writing() as transaction:
        transaction.lock("schema")
        config = _config()
        _current(transaction, ScriptDirectory.from_config(config))
        config.attributes["connection"] = transaction.connection
        command.upgrade(config, "head")


def check(database: Database) -> None:
    """Raise ConfigurationError unless the schema is the one that this code was written for."""
    scripts = ScriptDirectory.from_config(_config())
    with database.reading() as transaction:
        current = _current(transaction, scripts)
    if current != scripts.get_current_head():
        raise ConfigurationError(
            f"The job store's schema is {current or 'missing'}, and {scripts.get_current_head()} is needed. "
            f"Run: {MIGRATE}",
            current=current,
            needed=scripts.get_current_head(),
        )


def _current(transaction: Transaction, scripts: ScriptDirectory) -> str | None:
    current = MigrationContext.configure(transaction.connection).get_current_revision()
    if current is not None and current not in {script.revision for script in scripts.walk_revisions()}:
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
