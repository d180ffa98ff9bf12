"""Encrypts what is stored again, under the key that seals now, while API and workers use it."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from shared.errors import ConfigurationError
from shared.secrets.vault import Vault
from shared.sql.engine import Database
from shared.sql.tables import attempts, jobs
from shared.sql.triggers.tables import triggers

logger = logging.getLogger(__name__)

BATCH = 200
SEALED = ((jobs, "secret"), (triggers, "secret"), (triggers, "hook_secret"))
CLOCKS_DIFFER_SECONDS = 60


@dataclass(frozen=True)
class _Place:
    table: sa.Table
    column: sa.Column[bytes]


def reseal(database: Database, vault: Vault) -> int:
    """Encrypt again what older keys sealed; return how much that was. It may be interrupted, and repeated."""
    return sum(_reseal(database, vault, _Place(table, table.c[name])) for table, name in SEALED)


def attempts_since_before(database: Database, at: float) -> int:
    """Return how many attempts have not ended that began before then: their tokens are of the key of that time."""
    latest = datetime.fromtimestamp(at + CLOCKS_DIFFER_SECONDS, UTC)
    asked = sa.select(sa.func.count()).where(attempts.c.ended_at.is_(None), attempts.c.started_at <= latest)
    with database.reading() as transaction:
        return int(transaction.connection.scalar(asked) or 0)


def _reseal(database: Database, vault: Vault, place: _Place) -> int:
    count, after = 0, ""
    while True:
        asked = sa.select(place.table.c.id, place.column).where(place.column.is_not(None), place.table.c.id > after)
        with database.reading() as transaction:
            rows = transaction.connection.execute(asked.order_by(place.table.c.id).limit(BATCH)).all()
        if not rows:
            return count
        after = rows[-1][0]
        found = {row: (bytes(sealed), _resealed(vault, bytes(sealed))) for row, sealed in rows}
        changes = {row: (sealed, new) for row, (sealed, new) in found.items() if new is not None}
        count += _write(database, place, changes)


def _resealed(vault: Vault, sealed: bytes) -> bytes | None:
    try:
        return vault.resealed(sealed)
    except ConfigurationError as error:  # nobody can open it, with the old key or without
        logger.warning("left as it is", extra={"cause": error.message})
        return None


def _write(database: Database, place: _Place, changes: dict[str, tuple[bytes, bytes]]) -> int:
    """Write them, but for those that somebody changed or that ended since they were read."""
    if not changes:
        return 0
    with database.writing() as transaction:
        done = [
            transaction.connection.execute(
                place.table.update()
                .where(place.table.c.id == row, place.column == sealed)
                .values({place.column.name: new})
            ).rowcount
            for row, (sealed, new) in changes.items()
        ]
    return sum(done)
