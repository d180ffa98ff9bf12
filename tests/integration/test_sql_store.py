"""What only a database has: connections that break, locks, other processes, a clock of its own."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from shared.errors import ConfigurationError, StoreUnavailable
from shared.jobs import JobState
from shared.sql import SqlStore, engine
from shared.store import JobFilter, JobStore, Resolved, WorkerBeat
from tests.fakes.store import MemoryStore
from tests.support.jobs import (
    HOST,
    QUEUES,
    SUCCEEDED,
    WAITED_TOO_LONG,
    claim,
    new_job,
    running,
    submit,
    try_claim,
)
from tests.support.postgres import PostgresServer
from tests.support.stores import fresh_database
from tests.support.threads import at_once
from tests.support.waiting import wait_until

BEAT = WorkerBeat(host=HOST, slots=1, queues=QUEUES, runner="docker")
Call = Callable[[JobStore], object]
READS: dict[str, Call] = {
    "get": lambda store: store.get("id"),
    "get_version": lambda store: store.get_version("id"),
    "list": lambda store: store.list(JobFilter(), limit=1),
    "read_log": lambda store: store.read_log("id", attempt=1, offset=0, limit=1),
    "find_orphans": lambda store: store.find_orphans(host=HOST),
    "find_overdue": lambda store: store.find_overdue(),
    "running_on": lambda store: store.running_on(HOST),
    "live_workers": lambda store: store.live_workers(within_seconds=1),
}
WRITES: dict[str, Call] = {
    "submit": lambda store: store.submit(new_job(), idempotency_key="k", payload_hash="h"),
    "claim": lambda store: try_claim(store, "id"),
    "fail_unsupervised": lambda store: store.fail_unsupervised("id", WAITED_TOO_LONG),
    "take_sendable": lambda store: store.take_sendable(queues=QUEUES, limit=1, resend_after_seconds=1),
    "unmark_sent": lambda store: store.unmark_sent("id"),
    "wake_retries": lambda store: store.wake_retries(),
    "beat": lambda store: store.beat(BEAT),
    "cancel": lambda store: store.cancel("id", force=False),
    "leave": lambda store: store.leave(HOST),
    "ping": lambda store: store.ping(),
}
SHIFTED_CLOCK = """
CREATE SCHEMA shifted;
CREATE TABLE shifted.clock AS SELECT interval '1 day' AS ahead;
CREATE FUNCTION shifted.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
    AS 'SELECT pg_catalog.clock_timestamp() + (SELECT ahead FROM shifted.clock)';
"""


def _with_claim(store: JobStore) -> dict[str, Call]:
    held = running(store)
    return {
        "renew": lambda s: s.renew(held, lease_seconds=60),
        "release": lambda s: s.release(held),
        "resolve": lambda s: s.resolve(held, Resolved(image="i")),
        "started": lambda s: s.started(held, runner="docker", container="c"),
        "append_log": lambda s: s.append_log(held, b"x", source_offset=1),
        "finish": lambda s: s.finish(held, SUCCEEDED),
        "secret": lambda s: s.secret(held),
    }


def _answering(store: JobStore, calls: dict[str, Call]) -> list[str]:
    """Names of the calls that do not raise StoreUnavailable."""
    names = []
    for name, call in calls.items():
        try:
            call(store)
        except StoreUnavailable:
            continue
        names.append(name)
    return names


def test_every_method_says_that_the_store_is_unavailable_and_works_again_when_it_is_back(
    postgres_server: PostgresServer, postgresql_url: str
) -> None:
    store = SqlStore(postgresql_url)
    calls = {**READS, **WRITES, **_with_claim(store)}
    job_id = submit(store)
    postgres_server.stop()
    try:
        before = time.monotonic()
        assert _answering(store, calls) == []
        assert time.monotonic() - before < 10
    finally:
        postgres_server.start()
    assert store.get(job_id).state is JobState.QUEUED
    assert claim(store, job_id).attempt.number == 1
    store.close()


def test_the_memory_twin_fails_in_every_method_when_it_is_taken_down() -> None:
    store = MemoryStore()
    calls = {**READS, **WRITES, **_with_claim(store)}
    assert set(calls) == {name for name in dir(JobStore) if not name.startswith("_")}
    store.down = True
    assert _answering(store, calls) == []
    store.down = False
    store.ping()


def test_the_memory_twin_goes_by_the_clock_that_it_is_given() -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    store = MemoryStore(clock=lambda: now)
    held = running(store)
    assert held.job.created_at == now
    now += timedelta(days=1)
    assert store.find_orphans(host=HOST) == [held.job.id]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits for locks are a second at most."""
    monkeypatch.setattr(engine, "WAIT_SECONDS", 1)


@pytest.fixture
def locked_file(sqlite_url: str) -> Iterator[sqlite3.Connection]:
    """Another process's connection to the SQLite file, which holds the write lock."""
    connection = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    yield connection
    connection.close()


@pytest.mark.usefixtures("impatient")
def test_sqlite_writes_give_up_on_a_lock_that_stays_and_reads_go_on(
    sqlite_url: str, locked_file: sqlite3.Connection
) -> None:
    locked_file.execute("COMMIT")
    store = SqlStore(sqlite_url)
    calls = _with_claim(store)
    job_id = submit(store)
    locked_file.execute("BEGIN EXCLUSIVE")
    assert _answering(store, {**WRITES, **calls}) == []
    assert store.get(job_id).state is JobState.QUEUED
    assert len(store.list(JobFilter(), limit=5)) == 2
    locked_file.execute("COMMIT")
    store.ping()
    store.close()


@pytest.mark.usefixtures("impatient")
def test_a_crowd_of_threads_on_one_sqlite_file_gets_its_turn(sqlite_url: str) -> None:
    store = SqlStore(sqlite_url)
    at_once(32, lambda _: [submit(store) for _ in range(20)])
    assert len(store.list(JobFilter(), limit=1000)) == 640
    store.close()


def test_sqlite_waits_for_a_lock_that_passes(sqlite_url: str, locked_file: sqlite3.Connection) -> None:
    locked_file.execute("COMMIT")
    store = SqlStore(sqlite_url)

    def hold_or_submit(number: int) -> str | None:
        if number:
            return submit(store)
        connection = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("UPDATE jobs SET version = version")
        connection.execute("COMMIT")
        connection.close()
        return None

    assert len([job_id for job_id in at_once(5, hold_or_submit) if job_id]) == 4
    store.close()


@pytest.mark.usefixtures("impatient")
def test_postgresql_gives_up_on_a_row_that_stays_locked(postgresql_url: str) -> None:
    store = SqlStore(postgresql_url)
    job_id = submit(store)
    with store.engine.connect() as other, other.begin():
        other.execute(sa.text("SELECT 1 FROM jobs FOR UPDATE"))
        with pytest.raises(StoreUnavailable, match="lock timeout"):
            try_claim(store, job_id)
        assert store.take_sendable(queues=QUEUES, limit=1, resend_after_seconds=0) == []
        assert store.get(job_id).state is JobState.QUEUED
    claim(store, job_id)
    store.close()


def test_a_connection_that_breaks_in_a_transaction_is_told_and_leaves_nothing(
    postgres_server: PostgresServer, postgresql_url: str
) -> None:
    store = SqlStore(postgresql_url)
    job_id = submit(store)
    with pytest.raises(StoreUnavailable):
        _change_on_a_connection_that_breaks(store, postgres_server)
    assert store.get(job_id).version == 1
    store.close()


def _change_on_a_connection_that_breaks(store: SqlStore, server: PostgresServer) -> None:
    with store.writing() as transaction:
        transaction.execute(sa.text("UPDATE jobs SET version = 99"))
        server.end_connection(transaction.execute(sa.text("SELECT pg_backend_pid()")).scalar_one())
        transaction.execute(sa.text("SELECT 1"))


def test_a_wrong_password_is_not_repeated(postgresql_url: str) -> None:
    store = SqlStore(sa.make_url(postgresql_url).set(password="wrong-hunter2").render_as_string(hide_password=False))
    with pytest.raises(StoreUnavailable) as caught:
        store.ping()
    assert "hunter2" not in str(caught.value)
    assert "password authentication failed" in caught.value.message
    store.close()


def test_times_and_leases_go_by_the_databases_clock(postgres_server: PostgresServer) -> None:
    with fresh_database(postgres_server) as url:
        plain = url.replace("+psycopg", "")
        with psycopg.connect(plain, autocommit=True) as admin:
            admin.execute(SHIFTED_CLOCK)
            name = sa.make_url(url).database
            admin.execute(f"ALTER DATABASE {name} SET search_path = shifted, pg_catalog, public")
        store = SqlStore(url)
        held = running(store)
        assert held.job.created_at - datetime.now(UTC) > timedelta(hours=23)
        assert try_claim(store, held.job.id) is None
        with psycopg.connect(plain, autocommit=True) as admin:
            admin.execute("UPDATE shifted.clock SET ahead = interval '2 days'")
        assert store.find_orphans(host=HOST) == [held.job.id]
        assert claim(store, held.job.id).token == held.token + 1
        store.close()


def test_many_processes_stores_give_one_claim_and_keep_a_keys_limit(sql_url: str) -> None:
    stores = [SqlStore(sql_url) for _ in range(4)]
    jobs = [submit(stores[0], concurrency_key="model:iris") for _ in range(3)]
    taken = at_once(12, lambda n: try_claim(stores[n % 4], jobs[n % 3], host=f"host-{n}"))
    assert len([one for one in taken if one]) == 1
    for store in stores:
        store.close()


def test_what_was_accepted_is_there_after_a_restart(sql_url: str) -> None:
    first = SqlStore(sql_url)
    job_id = first.submit(new_job(labels={"team": "vision"}), idempotency_key="k", payload_hash="h").job.id
    first.close()
    second = SqlStore(sql_url)
    assert second.submit(new_job(), idempotency_key="k", payload_hash="h").job.id == job_id
    second.close()


def test_what_breaks_a_rule_of_the_database_is_told_without_the_values(sql_store: SqlStore) -> None:
    new = new_job(secret=b"sealed-credentials")
    sql_store.submit(new)
    with pytest.raises(sa.exc.IntegrityError) as caught:
        sql_store.submit(new)
    assert "sealed-credentials" not in str(caught.value)


def test_sqlite_keeps_a_commit_through_a_power_cut(sqlite_url: str) -> None:
    store = SqlStore(sqlite_url)
    with store.reading() as transaction:
        names = ("journal_mode", "synchronous", "foreign_keys")
        found = [transaction.execute(sa.text(f"PRAGMA {name}")).scalar_one() for name in names]
    assert found == ["wal", 2, 1]
    store.close()


def test_the_folder_of_a_sqlite_file_is_made(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path / 'deep' / 'down' / 'jobs.db'}")
    assert (tmp_path / "deep" / "down").is_dir()
    store.close()


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("no url with hunter2", "no database URL"),
        ("mysql://user:hunter2@host/db", "mysql"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
    ],
)
def test_a_url_that_we_cannot_serve_stops_the_start_without_repeating_it(url: str, what: str) -> None:
    with pytest.raises(ConfigurationError, match="DATABASE_URL") as caught:
        SqlStore(url)
    assert what in caught.value.message
    assert "hunter2" not in caught.value.message


def test_a_postgresql_url_is_served_by_the_driver_that_we_ship_whatever_it_names(postgresql_url: str) -> None:
    for scheme in ("postgresql", "postgresql+psycopg2"):
        store = SqlStore(postgresql_url.replace("postgresql+psycopg", scheme))
        store.ping()
        store.close()


def test_signs_of_life_are_one_row_a_host(sql_store: SqlStore) -> None:
    for _ in range(3):
        sql_store.beat(BEAT)
    with sql_store.reading() as transaction:
        assert transaction.execute(sa.text("SELECT count(*) FROM workers")).scalar_one() == 1
    wait_until(lambda: sql_store.live_workers(within_seconds=60) == 1)


def test_many_that_open_a_new_file_at_once_all_get_it(tmp_path: Path) -> None:
    for number in range(20):  # about one round in eight failed while SQLite's own wait was trusted
        databases = [engine.Database(f"sqlite:///{tmp_path / str(number)}.db") for _ in range(8)]
        at_once(8, lambda n, those=databases: _write_something(those[n]))  # type: ignore[misc]
        for database in databases:
            database.close()


def _write_something(database: engine.Database) -> None:
    with database.writing() as transaction:
        transaction.execute(sa.text("CREATE TABLE IF NOT EXISTS something (id INTEGER)"))
