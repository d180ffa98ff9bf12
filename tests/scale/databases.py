"""The database that is put under load, and what it costs its machine."""

import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg
import sqlalchemy as sa

from shared.sql import SqlStore, schema
from tests.support.servers.postgres import PostgresServer, serving


@dataclass(frozen=True)
class Loaded:
    """A store, and what its database has used so far."""

    store: SqlStore
    size_bytes: Callable[[], int]
    cpu_seconds: Callable[[], float]
    settle: Callable[[], None]  # what a database does by itself sooner or later
    snapshot: Callable[[], AbstractContextManager[None]]  # reads one state of it to the end, as a backup does


@contextmanager
def open_database(kind: str) -> Iterator[Loaded]:
    """An empty one: PostgreSQL as its image comes, in a container of its own, or an SQLite file."""
    with _open_postgresql() if kind == "postgresql" else _open_sqlite() as loaded:
        yield loaded
        loaded.store.close()


@contextmanager
def _open_postgresql() -> Iterator[Loaded]:
    with serving() as server:
        url = server.url(server.create_database())
        store = SqlStore(url)
        yield Loaded(
            store,
            size_bytes=lambda: _ask(store, sa.func.pg_database_size(sa.func.current_database())),
            cpu_seconds=lambda: _cpu_seconds_of(server),
            settle=lambda: vacuum(store),
            snapshot=lambda: _snapshot_of_postgresql(url),
        )


@contextmanager
def _open_sqlite() -> Iterator[Loaded]:
    with tempfile.TemporaryDirectory(prefix="scale-") as folder:
        file = Path(folder) / "jobs.db"
        store = SqlStore(f"sqlite:///{file}")
        schema.upgrade(store)
        process = psutil.Process()
        yield Loaded(
            store,
            size_bytes=lambda: file.stat().st_size,
            cpu_seconds=lambda: sum(process.cpu_times()[:2]),  # the simulator's own in it
            settle=lambda: _run(store, "ANALYZE"),
            snapshot=lambda: _snapshot_of_sqlite(file),
        )


@contextmanager
def _snapshot_of_postgresql(url: str) -> Iterator[None]:
    """On a connection of its own: the store's may not be idle in a transaction for long. pg_dump's may."""
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("SELECT count(*) FROM alembic_version")
        yield


@contextmanager
def _snapshot_of_sqlite(file: Path) -> Iterator[None]:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM alembic_version").fetchone()
        yield


def _ask(store: SqlStore, what: sa.ColumnElement[int]) -> int:
    with store.reading() as transaction:
        answer: int = transaction.execute(sa.select(what)).scalar_one()
        return answer


def _cpu_seconds_of(server: PostgresServer) -> float:
    stats: Any = server.container.stats(stream=False, one_shot=True)
    nanoseconds: int = stats["cpu_stats"]["cpu_usage"]["total_usage"]
    return nanoseconds / 1e9


def vacuum(store: SqlStore) -> None:
    """Do at once what PostgreSQL does by itself sooner or later."""
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("SET statement_timeout = 0"))
        connection.execute(sa.text("VACUUM (ANALYZE, PARALLEL 0)"))
        connection.invalidate()  # its setting must not stay in the pool


def _run(store: SqlStore, statement: str) -> None:
    with store.engine.connect() as connection:
        connection.execute(sa.text(statement))
