"""What single parts cost: imports, the store's own calls, an API that others keep busy."""

import json
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path

from shared.sql import SqlStore, schema
from tests.bench.row import Options, Row
from tests.bench.rows import followers, hasty, hostile
from tests.bench.samples import Sample
from tests.support.jobs import a_host, new_job, submit

INSERT = "one INSERT, synchronous=FULL"
IMPORT_SECONDS = 120


@contextmanager
def nowhere(_: Options) -> Iterator[None]:
    """Need nothing."""
    with nullcontext():
        yield


@contextmanager
def two_databases(_: Options) -> Iterator[tuple[SqlStore, sqlite3.Connection]]:
    """Yield a job store, and a plain table."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        store = SqlStore(f"sqlite:///{Path(name) / 'jobs.db'}")
        schema.upgrade(store)
        with closing(sqlite3.connect(Path(name) / "plain.db", isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("CREATE TABLE jobs (id TEXT PRIMARY KEY, body TEXT)")
            yield store, connection
        store.close()


def _record(databases: tuple[SqlStore, sqlite3.Connection]) -> Iterator[Sample]:
    store, plain = databases
    while True:
        new = new_job()
        yield Sample(_milliseconds(lambda: store.submit(new)), _insert(plain))  # noqa: B023 - called at once


def _claim(databases: tuple[SqlStore, sqlite3.Connection]) -> Iterator[Sample]:
    store, plain = databases
    host = a_host()
    while True:
        job_id = submit(store)
        claim = _milliseconds(lambda: store.claim(job_id, host=host, lease_seconds=30))  # noqa: B023 - called at once
        yield Sample(claim, _insert(plain))


def _insert(plain: sqlite3.Connection) -> float:
    row = (str(uuid.uuid4()), json.dumps({"experiment_name": "bench"}))
    return _milliseconds(lambda: plain.execute("INSERT INTO jobs VALUES (?, ?)", row))


def _milliseconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def _imports(module: str, baseline: str) -> Callable[[None], Iterator[Sample]]:
    def measure(_: None) -> Iterator[Sample]:
        while True:
            yield Sample(_import(module), _import(baseline))

    return measure


def _import(module: str) -> float:
    command = [sys.executable, "-c", f"import {module}"]
    return _milliseconds(lambda: subprocess.run(command, check=True, timeout=IMPORT_SECONDS))


def _followed(_: None) -> Iterator[Sample]:
    while True:
        ours, alone = followers.costs()
        yield Sample(ours.get_seconds * 1000, alone.get_seconds * 1000)


def _followed_memory(_: None) -> Iterator[Sample]:
    while True:
        ours, alone = followers.costs()
        yield Sample(ours.pss_bytes / 1e6, alone.pss_bytes / 1e6)


def _beset(_: None) -> Iterator[Sample]:
    while True:
        ours, alone = hostile.costs()
        yield Sample(ours.p99_seconds * 1000, alone.p99_seconds * 1000)


def _polled(_: None) -> Iterator[Sample]:
    while True:
        ours, alone = hasty.costs()
        yield Sample(ours * 1000, alone * 1000)


API, WORKER = _imports("api.app", "flask"), _imports("worker.__main__", "mlflow")
FOLLOWED = "GET a job whose log 50 follow"
BESET = "p99 of GET beside hostile clients"
POLLED = "p99 of 5 beside one who polls and 200 slow"
ROWS = [
    Row("record-job", "store.submit, SQLite", "ms", INSERT, two_databases, _record, samples=50, warm_up=5),
    Row("claim-job", "store.claim, SQLite", "ms", INSERT, two_databases, _claim, samples=50, warm_up=5),
    Row("import-api", "import the API", "ms", "import flask", nowhere, API, samples=5, warm_up=1),
    Row("import-worker", "import the worker", "ms", "import mlflow", nowhere, WORKER, samples=5, warm_up=1),
    Row("followed", FOLLOWED, "ms", "followed by none", nowhere, _followed, samples=1, warm_up=0),
    Row("followed-memory", "PSS of the API then", "MB", "followed by none", nowhere, _followed_memory, 1, 0),
    Row("beset", BESET, "ms", "alone", nowhere, _beset, samples=1, warm_up=0),
    Row("polled", POLLED, "ms", "alone", nowhere, _polled, samples=1, warm_up=0),
]
