"""Connects to the database: transactions, the database's clock, and SQLAlchemy's errors turned into ours."""

import math
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, InvalidatePoolError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from shared.access.acts import Act, current_act
from shared.access.audit import AuditEntry, NewEntry
from shared.addresses.database_url import parse_database_url
from shared.alerts.model import Alerting
from shared.errors import ConfigurationError, StoreUnavailable
from shared.scheduling.limits import Limits
from shared.sql.ticket_lock import TicketLock

SWITCH_PAUSE_SECONDS = 0.01
PING_AFTER_SECONDS = 0.5  # without use: no server restarts in less time
WAIT_SECONDS = 5  # for a connection, and for a lock
STATEMENT_SECONDS = 30
KEPT_CONNECTIONS, MOST_CONNECTIONS = 10, 50
BEGIN_OPTION = "retrain_begin"
IDLE_SINCE = "idle_since"
DEFAULT_LIMITS = Limits()
NO_ALERTS = Alerting()
# Of each connection. The 2 MB that SQLite keeps by itself save no time: the system keeps the file's pages as well.
PAGES_KB = 256
# A cut network raises nothing: without these, a statement waits for the kernel's own timeout, which is hours.
CUT_IS_NOTICED = {
    "tcp_user_timeout": 8000,
    "keepalives": 1,
    "keepalives_idle": 3,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}
NO_BEGIN = ""
READING = {"sqlite": {BEGIN_OPTION: "DEFERRED"}, "postgresql": {"isolation_level": "REPEATABLE READ"}}
LOOKING = {"sqlite": {BEGIN_OPTION: NO_BEGIN}, "postgresql": {"isolation_level": "AUTOCOMMIT"}}
WRITING = {"sqlite": {BEGIN_OPTION: "IMMEDIATE"}, "postgresql": {"isolation_level": "READ COMMITTED"}}


class Lock(IntEnum):
    """Kinds of advisory locks; PostgreSQL keeps them apart from locks without a kind (job keys)."""

    TOTAL = 1
    HOST = 2
    SENDING = 3
    MODEL = 4
    TRIGGERS = 5
    AUDIT = 6  # taken at the very end, when there is something to record


@dataclass(frozen=True)
class Transaction:
    """An open transaction, and the database's time: at its start or, of one that only reads, when first asked for."""

    connection: Connection
    clock: Callable[[Connection], datetime]
    entries: list[NewEntry] = field(default_factory=list)  # for the audit

    @cached_property
    def now(self) -> datetime:
        """The time, which stays the same to the end."""
        return self.clock(self.connection)

    def execute(self, statement: sa.Executable, **values: Any) -> sa.CursorResult[Any]:
        """Run one statement, with the values of its parameters."""
        return self.connection.execute(statement, values)

    def one(self, statement: sa.Executable, **values: Any) -> sa.Row[Any] | None:
        """Return the first row, or None."""
        return self.connection.execute(statement, values).first()

    def all(self, statement: sa.Executable, **values: Any) -> list[sa.Row[Any]]:
        """Return all rows."""
        return self.connection.execute(statement, values).all()  # type: ignore[return-value]

    def record_act(self, subject: str, reason: str = "", *, act: Act | None = None) -> None:
        """Have the audit tell of a change: by this act, or by whoever acts. If nobody does, it is the service's own."""
        if (act := act or current_act()) is not None:
            self.entries.append(NewEntry.of(act, subject, reason=reason))

    def lock(self, key: str, kind: Lock | None = None, *, shared: bool = False) -> None:
        """Let only one transaction at a time pass for this key (SQLite has one writer at a time anyway).

        With ``shared`` any number of those pass together, but none with one that does not share.
        Take several in the order of their kinds, and locks without a kind before HOST: any other order may deadlock.
        """
        if self.connection.dialect.name != "postgresql":
            return
        if kind is None:
            taken = sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(key, 0))
        else:
            take = sa.func.pg_advisory_xact_lock_shared if shared else sa.func.pg_advisory_xact_lock
            taken = take(sa.literal(kind.value), sa.func.hashtext(key))
        self.connection.execute(sa.select(taken))


class Database:
    """Opens transactions on one database.

    ``clock`` replaces the database's clock in simulations. ``kept`` is how many connections to SQLite stay open: each
    keeps up to a megabyte of pages and statements, and takes a millisecond to open.
    """

    def __init__(
        self,
        url: str,
        *,
        limits: Limits = DEFAULT_LIMITS,
        alerting: Alerting = NO_ALERTS,
        teams_isolated: bool = False,
        clock: Callable[[], datetime] | None = None,
        kept: int = KEPT_CONNECTIONS,
    ) -> None:
        self.engine = create_engine(url, kept)
        self.limits = limits
        self.alerting = alerting
        self.teams_isolated = teams_isolated
        self._clock = (lambda _connection: clock()) if clock else CLOCKS[self.engine.dialect.name]
        self._ticket_lock = TicketLock()

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """Open a transaction that sees one state of the database."""
        with self._transaction(READING) as transaction:
            yield transaction

    @contextmanager
    def looking(self) -> Iterator[Transaction]:
        """Run one statement that reads: it sees one state of the database, and needs no round trips around it."""
        with self._transaction(LOOKING) as transaction:
            yield transaction

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """Open a transaction that is committed at the end, or leaves nothing behind."""
        with self._take_turn(), self._transaction(WRITING) as transaction:
            _ = transaction.now  # before anything is waited for
            yield transaction
            written = self._write_audit(transaction) if transaction.entries else ()
        if written:
            self._audit_was_written(written)

    def _write_audit(self, transaction: Transaction) -> Sequence[AuditEntry]:
        """Write the transaction's entries, right before its end."""
        raise NotImplementedError

    def _audit_was_written(self, entries: Sequence[AuditEntry]) -> None:
        """Do what follows once they are committed."""

    @contextmanager
    def _take_turn(self) -> Iterator[None]:
        """Queue for SQLite's only write lock: SQLite itself just polls for it, which can starve a thread."""
        if self.engine.dialect.name != "sqlite":
            yield
            return
        if not self._ticket_lock.take(timeout_seconds=WAIT_SECONDS):
            raise StoreUnavailable(f"The job store does not answer: no turn to write within {WAIT_SECONDS} s")
        try:
            yield
        finally:
            self._ticket_lock.end()

    @contextmanager
    def _transaction(self, options: Mapping[str, dict[str, str]]) -> Iterator[Transaction]:
        chosen: dict[str, Any] = options[self.engine.dialect.name]
        try:
            with self.engine.connect().execution_options(**chosen) as connection, connection.begin():
                yield Transaction(connection, self._clock)
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            raise StoreUnavailable(f"The job store does not answer: {_cause(error)}") from error
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            raise StoreUnavailable(f"The job store's connection broke: {_cause(error)}") from error


def _cause(error: SQLAlchemyError) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0][:300]


def _time_in_postgresql(connection: Connection) -> datetime:
    now: datetime = connection.execute(CLOCK).scalar_one()
    return now.astimezone(UTC)


def _time_in_sqlite(_connection: Connection) -> datetime:
    """Return this machine's time, which is SQLite's own; in milliseconds, as SQLite tells it."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


CLOCK = sa.select(sa.func.clock_timestamp())
CLOCKS = {"postgresql": _time_in_postgresql, "sqlite": _time_in_sqlite}


def create_engine(url: str, kept: int = KEPT_CONNECTIONS) -> Engine:
    """Create the engine; raise ConfigurationError if the URL does not name a supported database."""
    address = parse_database_url(url)
    return _sqlite(address, kept) if address.get_backend_name() == "sqlite" else _postgresql(address)


def _postgresql(url: URL) -> Engine:
    limits = {
        "lock_timeout": WAIT_SECONDS,
        "statement_timeout": STATEMENT_SECONDS,
        "idle_in_transaction_session_timeout": STATEMENT_SECONDS,  # for a client that is gone: its locks must go too
    }
    options = " ".join(["-c TimeZone=UTC", *(f"-c {name}={seconds * 1000}" for name, seconds in limits.items())])
    engine = sa.create_engine(
        url,
        hide_parameters=True,  # in errors: they include a job's sealed credentials
        pool_timeout=WAIT_SECONDS,
        pool_size=KEPT_CONNECTIONS,
        max_overflow=MOST_CONNECTIONS - KEPT_CONNECTIONS,
        connect_args={"connect_timeout": WAIT_SECONDS, "options": options, **CUT_IS_NOTICED},
    )
    _ping_what_was_idle(engine)
    return engine


def _ping_what_was_idle(engine: Engine) -> None:
    """Replace connections that broke while nobody used them; SQLAlchemy's own pre-ping costs each use a round trip."""

    @sa.event.listens_for(engine, "checkin")
    def on_checkin(_connection: Any, record: Any) -> None:
        record.info[IDLE_SINCE] = time.monotonic()

    @sa.event.listens_for(engine, "checkout")
    def on_checkout(connection: Any, record: Any, _proxy: Any) -> None:
        if time.monotonic() < record.info.get(IDLE_SINCE, math.inf) + PING_AFTER_SECONDS:  # or it is new
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error  # which has the pool connect once more


def _sqlite(url: URL, kept: int) -> Engine:
    folder = Path(str(url.database)).parent
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        where = f"{folder}, the folder of DATABASE_URL (DATA_DIR without it)"
        raise ConfigurationError(f"{where}, cannot be made: {error.strerror}. Choose another one.") from error
    engine = sa.create_engine(
        url,
        hide_parameters=True,
        pool_size=kept,
        max_overflow=MOST_CONNECTIONS - kept,
        pool_timeout=WAIT_SECONDS,
        pool_use_lifo=True,  # few connections do most of the work, and the others keep no pages
    )

    @sa.event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # or the driver begins transactions by its own rules
        connection.execute(f"PRAGMA busy_timeout = {round(WAIT_SECONDS * 1000)}")
        _switch_to_wal(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA cache_size = -{PAGES_KB}")
        connection.execute("PRAGMA temp_store = MEMORY")  # or each new job, with its indexes, takes a file on the disk

    @sa.event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        if (kind := connection.get_execution_options().get(BEGIN_OPTION, "DEFERRED")) != NO_BEGIN:
            connection.exec_driver_sql(f"BEGIN {kind}")

    return engine


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Switch a new file to WAL; while another process does so, SQLite refuses at once, whatever the busy_timeout."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(SWITCH_PAUSE_SECONDS)
        else:
            return
