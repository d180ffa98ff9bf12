"""What the store's own calls cost, beside one statement on a plain table of the same kind of database, as durable."""

import sqlite3
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from shared.sql import SqlStore, schema
from tests.bench.row import Options, Row
from tests.bench.samples import Sample
from tests.bench.timing import milliseconds
from tests.support.jobs import a_host, ended, new_job, submit
from tests.support.servers.postgres import PostgresServer, serving

TABLE = "CREATE TABLE jobs (id TEXT PRIMARY KEY, body TEXT)"
BODY = '{"experiment_name": "bench"}'
LEASE_SECONDS = 30
INSERT, SELECT = "one INSERT", "one SELECT by its key"


@dataclass(frozen=True)
class Databases:
    """A job store, and a plain table."""

    store: SqlStore
    plain: "sqlite3.Connection | psycopg.Connection[tuple[str, str]]"
    mark: str  # where a statement has a value

    def insert(self) -> str:
        """Insert a row, commit it, and return its key."""
        key = str(uuid.uuid4())
        self.plain.execute(f"INSERT INTO jobs VALUES ({self.mark}, {self.mark})", (key, BODY))  # noqa: S608 - a mark, no value
        return key

    def select(self, key: str) -> None:
        """Read that row."""
        self.plain.execute(f"SELECT * FROM jobs WHERE id = {self.mark}", (key,)).fetchone()  # noqa: S608 - a mark, no value


@contextmanager
def on_sqlite(_: Options) -> Iterator[Databases]:
    """Two files, written as durably as each other."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        store = SqlStore(f"sqlite:///{Path(name) / 'jobs.db'}")
        schema.upgrade(store)
        with closing(sqlite3.connect(Path(name) / "plain.db", isolation_level=None)) as plain:
            plain.execute("PRAGMA journal_mode = WAL")
            plain.execute("PRAGMA synchronous = FULL")
            plain.execute(TABLE)
            yield Databases(store, plain, "?")
        store.close()


@contextmanager
def on_postgresql(_: Options) -> Iterator[Databases]:
    """Two databases of one server, which is set as its image has it: each commit is flushed to the disk."""
    with serving() as server:
        store = SqlStore(server.url(server.create_database()))
        with closing(_plain(server)) as plain:
            plain.execute(TABLE)
            yield Databases(store, plain, "%s")
        store.close()


def _plain(server: PostgresServer) -> "psycopg.Connection[tuple[str, str]]":
    url = server.url(server.create_database(migrated=False)).replace("+psycopg", "")
    return psycopg.connect(url, autocommit=True)


def _record(databases: Databases) -> Iterator[Sample]:
    while True:
        new = new_job()
        yield Sample(
            milliseconds(lambda: databases.store.submit(new)),  # noqa: B023 - called at once
            milliseconds(databases.insert),
        )


def _claim(databases: Databases) -> Iterator[Sample]:
    store, host = databases.store, a_host()
    while True:
        job_id = submit(store)
        yield Sample(
            milliseconds(lambda: store.claim(job_id, host=host, lease_seconds=LEASE_SECONDS)),  # noqa: B023 - called at once
            milliseconds(databases.insert),
        )


def _read(databases: Databases) -> Iterator[Sample]:
    job_id, key = ended(databases.store), databases.insert()
    while True:
        yield Sample(milliseconds(lambda: databases.store.get(job_id)), milliseconds(lambda: databases.select(key)))


CALLS: list[tuple[str, str, str, Callable[[Databases], Iterator[Sample]]]] = [
    ("record-job", "store.submit", INSERT, _record),
    ("claim-job", "store.claim", INSERT, _claim),
    ("read-job", "store.get", SELECT, _read),
]
ROWS = [
    Row(name + suffix, f"{call}, {database}", "ms", baseline, place, measure, samples=50, warm_up=5)
    for suffix, database, place in (("", "SQLite", on_sqlite), ("-postgresql", "PostgreSQL", on_postgresql))
    for name, call, baseline, measure in CALLS
]
