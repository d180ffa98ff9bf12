"""Stores the audit: entries without a gap, each with a hash of itself and of the one before."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import sqlalchemy as sa

from shared.access.audit import NO_HASH, AuditEntry, AuditFilter, NewEntry
from shared.sql.access.audit_log import log_to
from shared.sql.access.tables import audit
from shared.sql.engine import Database, Lock, Transaction

FIELDS = [field.name for field in fields(AuditEntry)]
HEAD = sa.select(audit.c.number, audit.c.hash).order_by(audit.c.number.desc()).limit(1)
INSERT = sa.insert(audit)
LOCKED_HEAD = (
    f"SELECT pg_advisory_xact_lock({Lock.AUDIT.value}, hashtext('audit')); "  # noqa: S608 - a number of our own
    "SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1"
)


class Audit(Database):
    """The part of the JobStore that is about the audit."""

    def __init__(self, url: str, *, audit_log: str = "", **options: Any) -> None:
        super().__init__(url, **options)
        self._log = log_to(audit_log)

    def record_entries(self, entries: Sequence[NewEntry]) -> None:
        """Add entries about what changed nothing."""
        with self.writing() as transaction:
            transaction.entries.extend(entries)

    def list_audit(self, where: AuditFilter, *, limit: int, before_number: int | None = None) -> Sequence[AuditEntry]:
        """Return the entries that match, the newest first."""
        wanted = _matching(where)
        wanted += [audit.c.number < before_number] if before_number is not None else []
        with self.reading() as transaction:
            newest = sa.select(audit).where(*wanted).order_by(audit.c.number.desc()).limit(limit)
            return [AuditEntry(**{name: getattr(row, name) for name in FIELDS}) for row in transaction.all(newest)]

    def _write_audit(self, transaction: Transaction) -> Sequence[AuditEntry]:
        """Give them numbers and hashes. From here to the commit, nobody else records anything."""
        number, hashed = _take_head(transaction)
        written: list[AuditEntry] = []
        for new in transaction.entries:
            written.append(AuditEntry.after(number, hashed, new, transaction.now))
            number, hashed = written[-1].number, written[-1].hash
        transaction.connection.execute(INSERT, [vars(each) for each in written])
        return written

    def _audit_was_written(self, entries: Sequence[AuditEntry]) -> None:
        self._log(entries)


def _take_head(transaction: Transaction) -> tuple[int, str]:
    """Return the last entry's number and hash, which stay the last ones until this transaction adds to them."""
    if transaction.connection.dialect.name != "postgresql":
        row = transaction.one(HEAD)
        return (row.number, row.hash) if row is not None else (0, NO_HASH)
    # One round trip for two statements, because all wait for who has the lock. Each sees what is committed by then.
    cursor = transaction.connection.exec_driver_sql(LOCKED_HEAD).cursor
    cursor.nextset()
    return cursor.fetchone() or (0, NO_HASH)


def _matching(where: AuditFilter) -> list[sa.ColumnElement[bool]]:
    same = {name: value for name in ("caller", "action", "subject", "outcome") if (value := getattr(where, name))}
    matching: list[sa.ColumnElement[bool]] = [audit.c[name] == value for name, value in same.items()]
    matching += [audit.c.at >= where.since] if where.since is not None else []
    matching += [audit.c.at <= where.until] if where.until is not None else []
    return matching
